// Messages to and from the sealer and the keeper, changed in their bytes and in their fields: refused by name, or understood as what they say.
import assert from 'node:assert/strict'
import { encodeMessage } from '../../../src/control/protocol/messages.js'
import {
  decodeKeeperMessage, decodeKept, decodeSealerNotice, decodeSealerRequest, heapKey, type KeeperMessage, type KeptHeap, noticeDescriptors, SEALER_VERSION, type SealerNotice,
  type SealerRequest,
} from '../../../src/safety/seals/messages.js'
import { HEAPS_BASE, WINDOW_END } from '../../../src/sys/index.js'
import type { Random } from '../../support/random.js'
import { onlyRpcErrors, type FuzzTarget } from '../target.js'
import { mutatedMessage } from './mutated.js'

const STEPS = 12
const token = '0123456789abcdef0123456789abcdef'
const address = HEAPS_BASE
const named = { token, address, byteLength: 65_536 }

export const REQUESTS: readonly SealerRequest[] = [
  { type: 'hello', version: SEALER_VERSION },
  { type: 'device', id: 1 },
  { type: 'attest', id: 2, uid: 1000, pid: 1, address, byteLength: 65_536, stage: 'runs' },
  { type: 'attachSender', id: 3, ...named, descriptors: 16, requests: 16 },
  { type: 'attachReceiver', id: 4, ...named },
  { type: 'resume', id: 5, token, address, end: 'sender' },
  { type: 'detach', id: 6, token, address, end: 'receiver' },
]
const NOTICES: readonly SealerNotice[] = [
  { type: 'welcome', version: SEALER_VERSION, pid: 1 }, { type: 'device', id: 1, granted: 'device' }, { type: 'done', id: 2 }, { type: 'sending', id: 3, except: ['fork'] },
  { type: 'receiving', id: 4, except: [], descriptors: 16, holders: 2 }, { type: 'resumed', id: 5, bells: 1, holders: 0 }, { type: 'holder' }, { type: 'ended', token, address }, { type: 'broken', pid: 1, address },
  { type: 'error', id: 6, code: 'ABORTED', message: 'why' }, { type: 'goodbye', code: 'INTERNAL', message: 'why' },
]
const KEPT: KeptHeap = { type: 'heap', ...named, descriptors: 16, requests: 16, except: [], events: 'yes', confined: 'yes', broken: 'no', senderPid: 1, receiverPid: 2 }
export const KEEPING: readonly KeeperMessage[] = [
  { type: 'keep', key: heapKey(named), meta: JSON.stringify(KEPT) }, { type: 'forget', key: heapKey(named) }, { type: 'list' }, { type: 'kept', key: heapKey(named), meta: '{}' },
  { type: 'end' },
]
const ALL = [...REQUESTS, ...NOTICES, ...KEEPING, KEPT]

/** What is understood names whole pages of the window, and rings that are not too large. */
function checkRange(message: object): void {
  if ('address' in message) {
    const at = message.address as number
    assert.ok(Number.isInteger(at) && at >= HEAPS_BASE && at < WINDOW_END && at % 4096 === 0, `address ${at}`)
  }
  if ('byteLength' in message) {
    const length = message.byteLength as number
    assert.ok(Number.isInteger(length) && length > 0 && length <= 2 ** 32 && length % 4096 === 0, `length ${length}`)
  }
  for (const ring of ['descriptors', 'requests'] as const) {
    const count = (message as Record<string, unknown>)[ring]
    assert.ok(count === undefined || (Number.isInteger(Math.log2(count as number)) && (count as number) <= 1 << 18), `${ring}: ${String(count)}`)
  }
}

class Sealing implements FuzzTarget {
  readonly name = 'sealing'

  tryCase(random: Random): number {
    for (let step = 0; step < STEPS; step++) {
      const bytes = random.chance(4) ? encodeMessage(random.one(ALL)) : mutatedMessage(random, random.one(ALL))
      onlyRpcErrors('a request', () => checkRange(decodeSealerRequest(bytes)))
      onlyRpcErrors('what is kept', () => checkRange(decodeKept(bytes)))
      onlyRpcErrors('a message of the keeper', () => void decodeKeeperMessage(bytes))
      onlyRpcErrors('a notice', () => {
        const notice = decodeSealerNotice(bytes)
        const count = noticeDescriptors(notice)
        assert.ok(count >= 0 && count <= 3, `${notice.type} comes with ${count} descriptors`)
      })
    }
    return STEPS
  }
}

export const sealing = (): FuzzTarget => new Sealing()
