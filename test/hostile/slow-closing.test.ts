// Descriptors that wait for whoever made them, sent to the sealer and the daemon: neither waits, and both serve others meanwhile.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { compiledProgram } from '../../bench/support/compile.js'
import { DaemonClient, runtimeDirectory } from '../../src/control/index.js'
import { connectOrStart } from '../../src/control/place/launch.js'
import { daemonSocket, sealerSocket } from '../../src/control/place/runtime-directory.js'
import { PROTOCOL_VERSION } from '../../src/control/protocol/limits.js'
import { SEALER_VERSION } from '../../src/safety/seals/messages.js'
import { SealerSession } from '../../src/safety/seals/sealer-session.js'
import { SEALER } from '../../src/safety/seals/sealer/sealer-service.js'
import { addon, createMemoryFile, HEAPS_BASE } from '../../src/sys/index.js'
import { errorOf } from '../support/ground.js'
import { openFiles } from '../support/leaks.js'
import { openUserfaultfd, sealOnce } from '../safety/seals/ground.js'
import { serviceProcess } from '../safety/seals/services.js'

const SENT = 40
const BYTES = 65_536

/** Has them sent while the service stands still, then lets it go on. */
async function sendTo(service: number, args: readonly string[], work: () => Promise<void>): Promise<void> {
  process.kill(service, 'SIGSTOP')
  const sender = spawn(await compiledProgram('test/hostile', 'lingering'), args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(sender, 'exit')
  try {
    const [said] = await Promise.race([once(sender.stdout, 'data'), ended]) as [unknown]
    assert.equal(Number(said), SENT)
    process.kill(service, 'SIGCONT')
    await work()
  } finally {
    process.kill(service, 'SIGCONT')
    sender.kill('SIGKILL')
    await ended
  }
}

test('sockets that linger when they are closed', async () => {
  const { pid } = await DaemonClient.shared().connect()
  await sendTo(pid, [daemonSocket(runtimeDirectory()), String(PROTOCOL_VERSION), '{"type":"ping","id":1}'], async () => {
    for (let round = 0; round < 20; round++) await DaemonClient.shared().ping(5000)
  })
  await using ground = await openUserfaultfd({ pages: 16, descriptors: 16 })
  sealOnce(ground, 0)
  // A sealer that waits does none of this within the time that a seal may take.
  await sendTo(serviceProcess('sealer'), [sealerSocket(runtimeDirectory()), String(SEALER_VERSION), '{"type":"device","id":1}'], async () => {
    for (let round = 0; round < 20; round++) {
      sealOnce(ground, round % 16)
      await sleep(5)
    }
  })
})

test('what is not what it should be is asked nothing, which could wait for whoever made it', async () => {
  const session = await SealerSession.start(await connectOrStart(runtimeDirectory(), () => 5000, SEALER), { news: () => undefined, ended: () => undefined }, 5000)
  const named = { token: randomBytes(16).toString('hex'), address: HEAPS_BASE, byteLength: BYTES }
  const [file, memory, bell] = [openSync('/proc/self/status', 'r'), createMemoryFile('heap', BYTES, true), addon.createBell()]
  const attach = async (fd: number, sender: boolean): Promise<string> => (await errorOf(sender
    ? session.ask({ type: 'attachSender', ...named, descriptors: 16, requests: 16 }, 5000, [fd])
    : session.ask({ type: 'attachReceiver', ...named }, 5000, [fd]))).message
  for (const fd of [file, memory, bell]) assert.match(await attach(fd, true), /INVALID_ARGUMENT.*a userfaultfd must come along/)
  for (const fd of [file, bell]) assert.match(await attach(fd, false), /INVALID_ARGUMENT.*a memory file must come along/)
  const userfault = addon.createUserfault(-1)
  const sealer = serviceProcess('sealer')
  const held = openFiles(sealer).length
  for (let i = 0; i < 20; i++) {
    const attested = session.ask({ type: 'attest', pid: process.pid, uid: 1, address: HEAPS_BASE, byteLength: BYTES, stage: 'runs' }, 5000, [userfault, file])
    assert.match((await errorOf(attested)).message, /INVALID_ARGUMENT.*a memory file must come along/)
  }
  assert.equal(openFiles(sealer).length, held, 'descriptors that were refused stay with the sealer')
  session.close()
  for (const fd of [file, memory, bell, userfault]) addon.closeFd(fd)
})
