// Messages to the daemon, changed in their bytes and in their fields: refused by name, or understood; and what is understood is
// decided on by an orchestrator that keeps its books in order.
import { decodeHello, decodeNotice, decodeRequest, encode, type Request } from '../../../src/control/protocol/messages.js'
import type { BookEntry } from '../../../src/control/orchestrator/state.js'
import type { ConnectionId, HeapId } from '../../../src/control/protocol/types.js'
import type { Address } from '../../../src/base/numbers.js'
import { HEAPS_BASE } from '../../../src/sys/index.js'
import { sign, World } from '../../control/model.js'
import type { Random } from '../../support/random.js'
import { onlyRpcErrors, type FuzzTarget } from '../target.js'
import { mutatedMessage } from './mutated.js'

const STANDINGS = ['owner', 'owner', 'user', 'program'] as const
const STEPS = 24
const HELD = 1001 as HeapId
const CONTROL = 1002 as HeapId
const AWAITED = 1002 as ConnectionId
const BEHIND = HEAPS_BASE + 0x20_0000 as Address

export const templates: readonly Request[] = [
  { type: 'ping', id: 1 },
  { type: 'register', id: 2, channel: 'a/b', info: '{}', sharedBytes: 4096, publishedBytes: 0 },
  { type: 'unregister', id: 3, channel: 'a/b' },
  { type: 'open', id: 4, channel: 'a/b', heapBytes: 4096, controlBytes: 4096, info: '{}', timeoutMs: 1 },
  { type: 'accept', connection: 1 as ConnectionId, answer: '{}' },
  { type: 'grow', id: 5, connection: 1 as ConnectionId, end: 'client', byteLength: 4096, kind: 'private' },
  { type: 'growChannel', id: 6, channel: 'a/b', byteLength: 4096 },
  { type: 'release', heap: 1 as HeapId, member: 1 },
  { type: 'close', connection: 1 as ConnectionId, end: 'server' },
  { type: 'cancel', request: 4 },
  { type: 'prepare', id: 7, byteLength: 4096 },
  { type: 'assign', id: 8, heap: 1 as HeapId, member: 1, pid: 7, uid: 1 },
  { type: 'growPrepared', id: 9, connection: 1 as ConnectionId },
  { type: 'claimPrepared', id: 10, heap: HELD, member: 1, byteLength: 4096, pid: 7, uid: 1, readers: [], proof: sign(`attachment/1/own/0/${HELD}/1/prepared/${HEAPS_BASE}/4096`) },
  { type: 'claimHeap', id: 11, heap: CONTROL, member: 1, highestMember: 1, proof: sign(`attachment/1/client/${CONTROL}/${CONTROL}/1/control/${BEHIND}/4096`) },
  {
    type: 'claimConnection', id: 12, connection: AWAITED, end: 'client', channel: 'a/b', token: sign(`connection/${AWAITED}/a/b`),
    control: { heap: CONTROL, member: 1 }, heaps: [],
  },
]

/** What the daemon before had given out. */
const book: readonly BookEntry[] = [
  { heap: HELD, member: 1, kind: 'prepared', role: 'own', via: undefined, uid: 1, address: HEAPS_BASE, byteLength: 4096 },
  { heap: CONTROL, member: 1, kind: 'control', role: 'client', via: { id: AWAITED, end: 'client' }, uid: 1, address: BEHIND, byteLength: 4096 },
]

class Messages implements FuzzTarget {
  readonly name = 'messages'

  tryCase(random: Random): number {
    const world = new World(1, 0, book)
    const participants = STANDINGS.map((standing) => world.join({ pid: 7, standing }))
    for (let step = 0; step < STEPS; step++) {
      const bytes = random.chance(4) ? encode(random.one(templates)) : mutatedMessage(random, random.one(templates))
      onlyRpcErrors('a notice', () => void decodeNotice(bytes))
      onlyRpcErrors('a hello', () => void decodeHello(bytes))
      onlyRpcErrors('a request', () => {
        const request = decodeRequest(bytes)
        const participant = random.one(participants)
        if ('id' in request) world.ask(participant, request)
        else world.post(participant, request)
      })
    }
    world.checkInvariants()
    return STEPS
  }
}

export const messages = (): FuzzTarget => new Messages()
