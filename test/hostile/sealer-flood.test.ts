// One process that asks the sealer for more and more and takes nothing of it: it loses its place, and costs the sealer few descriptors.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { runtimeDirectory } from '../../src/control/index.js'
import { encodeMessage } from '../../src/control/protocol/messages.js'
import { sealerSocket } from '../../src/control/place/runtime-directory.js'
import { SEALER_VERSION, type SealerRequest } from '../../src/safety/seals/messages.js'
import { addon, connectUnix, createMemoryFile, errnoCode, HEAPS_BASE, sendPacket } from '../../src/sys/index.js'
import { openUserfaultfd, sealOnce } from '../safety/seals/ground.js'
import { serviceProcess } from '../safety/seals/services.js'

const FLOOD_MS = 500
/** Before it is dropped, if it is. */
const FLOOD = 300
/** What one link may cost at most: those that wait for their other end, and a few that are on their way. */
const DESCRIPTORS_MAX = 600

const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

const FLOODS: Readonly<Record<string, (id: number) => SealerRequest>> = {
  'the device, again and again': (id) => ({ type: 'device', id }),
  'to receive from senders that never come': (id) => ({ type: 'attachReceiver', id, token: randomBytes(16).toString('hex'), address: HEAPS_BASE, byteLength: PAGE_BYTES }),
}

for (const [what, request] of Object.entries(FLOODS)) {
  test(`a process that asks for ${what}, and reads no answer`, async (t) => {
    await using ground = await openUserfaultfd({ pages: 16, descriptors: 16 })
    sealOnce(ground, 0)
    const sealer = serviceProcess('sealer')
    const before = descriptorsOf(sealer)
    const file = createMemoryFile('flood', PAGE_BYTES, true)
    const fd = connectUnix(sealerSocket(runtimeDirectory()), 'packets')
    sendPacket(fd, encodeMessage({ type: 'hello', version: SEALER_VERSION }), [])
    let [most, sent, isDropped] = [0, 0, false]
    for (const end = performance.now() + FLOOD_MS; performance.now() < end;) {
      try {
        while (!isDropped && sendPacket(fd, encodeMessage(request(sent + 1)), request(1).type === 'attachReceiver' ? [file] : [])) sent++
      } catch (error) {
        if (errnoCode(error) === undefined) throw error
        isDropped = true
      }
      sealOnce(ground, sent % 16)
      most = Math.max(most, descriptorsOf(sealer) - before)
      await sleep(1)
    }
    t.diagnostic(`${sent} requests, ${most} descriptors at most, ${isDropped ? 'dropped' : 'still there'}`)
    for (const one of [fd, file]) addon.closeFd(one)
    for (let waited = 0; descriptorsOf(sealer) > before && waited < 10_000; waited += 20) await sleep(20)
    assert.ok(descriptorsOf(sealer) <= before, `${descriptorsOf(sealer)} descriptors are left, ${before} before`)
    assert.ok(sent > FLOOD, `${sent} requests are no flood`)
    assert.ok(most <= DESCRIPTORS_MAX, `one process cost the sealer ${most} descriptors`)
  })
}
