// Senders that wake the sealer for nothing, or never: it serves the others, and does not work for who asks for nothing.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { makeAddress } from '../../../src/base/numbers.js'
import { runtimeDirectory } from '../../../src/control/index.js'
import { sealerSocket } from '../../../src/control/place/runtime-directory.js'
import { SEALER_VERSION } from '../../../src/safety/seals/messages.js'
import { SealClient } from '../../../src/safety/seals/seal-client.js'
import { PlainHeap } from '../../support/plain-heap.js'
import { openUserfaultfd, sealOnce } from '../../safety/seals/ground.js'
import { serviceProcess } from '../../safety/seals/services.js'
import { asAttacker, openToAttackers } from '../seals/attack.js'

const MS = 1500
/** Between two seals of the good sender: the sealer has time to sleep. */
const PAUSE_MS = 4
/** What a sealer may use of one CPU for somebody who seals now and then, whatever others do. */
const SHARE = 0.15

let folder: string
let binary: string

before(() => {
  openToAttackers()
  folder = mkdtempSync(join(tmpdir(), 'rpcool-bells-'))
  chmodSync(folder, 0o755)
  binary = join(folder, 'ringer')
  const sources = fileURLToPath(new URL('../../../../test/hostile/', import.meta.url))
  execFileSync('gcc', ['-std=gnu11', '-O1', '-Wall', '-Wextra', `-DSEALER_VERSION=${SEALER_VERSION}`, '-o', binary, join(sources, 'bells/ringer.c'), join(sources, 'seals/protocol.c')])
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** Milliseconds of CPU that a process has used. Source: proc_pid_stat(5), in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

for (const how of ['bell', 'full bell', 'socket', 'silent'] as const) {
  test(`a sender that ${how === 'silent' ? 'asks and never rings' : `rings by its ${how} for nothing`}: others are served, and the sealer rests`, async (t) => {
    await using ground = await openUserfaultfd({ pages: 16, descriptors: 16 })
    const sealer = serviceProcess('sealer')
    using heap = PlainHeap.create(16, true, makeAddress(0x4020, 0))
    using client = SealClient.ofDirectory()
    const receiving = client.attachReceiver({ token: heap.token, address: heap.mapping.address, byteLength: heap.byteLength, file: heap.file })
    const [program, args] = asAttacker([binary, how, sealerSocket(runtimeDirectory()), heap.token, String(heap.mapping.address), String(heap.byteLength), String(MS)])
    const ringer = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit', heap.file] })
    const ended = once(ringer, 'exit')
    try {
      const lines = createInterface(ringer.stdout!)[Symbol.asyncIterator]()
      assert.equal((await lines.next()).value, 'attached')
      await receiving
      const [start, used] = [performance.now(), cpuMs(sealer)]
      ringer.stdin!.write('go\n')
      let over = false
      const lies = lines.next().finally(() => (over = true))
      let rounds = 0
      for (; !over; rounds++) {
        sealOnce(ground, rounds % 16)
        await sleep(PAUSE_MS)
      }
      const [wallMs, sealerMs] = [performance.now() - start, cpuMs(sealer) - used]
      const count = Number((await lies).value)
      t.diagnostic(`${count} lies, ${rounds} seals beside them in ${Math.round(wallMs)} ms, of which the sealer worked ${sealerMs} ms`)
      // A bell that was rung as often as it can be is rung no more.
      assert.ok(count > (how === 'full bell' ? 0 : 100) && rounds > 30)
      assert.ok(sealerMs < wallMs * SHARE, `the sealer worked ${sealerMs} of ${Math.round(wallMs)} ms`)
      assert.equal(serviceProcess('sealer'), sealer, 'the sealer lives')
    } finally {
      ringer.kill('SIGKILL')
      await ended
    }
  })
}
