// Processes that claim what was prepared for another, or a confinement that they do not have: refused by name, and the program's seals go on.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { makeAddress, type Address } from '../../../src/base/numbers.js'
import { DaemonClient, runtimeDirectory } from '../../../src/control/index.js'
import { connectOrStart } from '../../../src/control/place/launch.js'
import { SealerSession } from '../../../src/safety/seals/sealer-session.js'
import { SEALER } from '../../../src/safety/seals/sealer/sealer-service.js'
import { addon, createMemoryFile, Mapping } from '../../../src/sys/index.js'
import { connect } from '../../../src/index.js'
import { errorOf } from '../../support/ground.js'
import { openFiles } from '../../support/leaks.js'
import { SealedService } from '../../support/sealed-service.js'
import { serviceProcess } from '../seals/services.js'
import { launch, local } from './ground.js'

const HEAP_BYTES = 65_536

async function sealerSession(t: TestContext): Promise<SealerSession> {
  const fd = await connectOrStart(runtimeDirectory(), () => 5000, SEALER)
  const session = await SealerSession.start(fd, { news: () => undefined, ended: () => undefined }, 5000)
  t.after(() => session.close())
  return session
}

/** Where a program's prepared heap lies, as the kernel says. */
function heapOf(pid: number): Address {
  const line = readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').find((one) => one.includes('rw-s') && one.includes('memfd:rpcool:prepared'))
  assert.ok(line !== undefined, 'the program has a prepared heap')
  return Number.parseInt(line, 16) as Address
}

test('a program\'s prepared heap is attached by nobody else, and by no second launcher', async (t) => {
  const { server } = await local(t)
  const client = await launch(t, server.channel, '--heap', String(HEAP_BYTES), '--heaps', '1')
  const pid = await client.pid()
  const address = heapOf(pid)
  const session = await sealerSession(t)
  const token = randomBytes(16).toString('hex')
  const attach = session.ask({ type: 'attachSender', token, address, byteLength: HEAP_BYTES, descriptors: 16, requests: 16 }, 5000)
  assert.match((await errorOf(attach)).message, /FAILED_PRECONDITION.*no launcher prepared this heap for this process/)
  const daemon = DaemonClient.shared()
  const connection = await connect(server.channel, SealedService, { seals: { backend: 'none' } })
  assert.match((await errorOf(daemon.growPrepared(connection.opened))).message, new RegExp(`FAILED_PRECONDITION.*no launcher prepared a heap for process ${process.pid}`))
  await connection.close()
  const file = createMemoryFile('claimed', HEAP_BYTES, true)
  const userfault = addon.createUserfault(-1)
  const again = session.ask({ type: 'attest', stage: 'runs', pid, uid: process.getuid!(), address, byteLength: HEAP_BYTES }, 5000, [userfault, file])
  assert.match((await errorOf(again)).message, /PERMISSION_DENIED.*and once/)
  for (const fd of [file, userfault]) addon.closeFd(fd)
  assert.deepEqual(await client.ask('connect'), { strength: 'enforced except [same-user]', connection: 0 })
  assert.equal(await client.ask('read', { connection: 0, value: 5 }), '5')
})

test('a process that is not confined is not believed to be, whoever says so', async (t) => {
  await local(t)
  const session = await sealerSession(t)
  const open = (): string => openFiles(serviceProcess('sealer')).filter((name) => /memfd:rpcool|userfaultfd/.test(name)).sort().join()
  const before = open()
  const file = createMemoryFile('claimed', HEAP_BYTES, true)
  const mapping = Mapping.map(file, makeAddress(0x4020, 0), HEAP_BYTES)
  const attest = async (stage: 'stopped' | 'runs'): Promise<string> => {
    const userfault = addon.createUserfault(-1)
    try {
      const own = { pid: process.pid, uid: process.getuid!(), address: mapping.address, byteLength: HEAP_BYTES }
      return (await errorOf(session.ask({ type: 'attest', stage, ...own }, 5000, [userfault, file]))).message
    } finally {
      addon.closeFd(userfault)
    }
  }
  // Its mapping is not final, and it has no filter; a userfaultfd that was never set up watches nothing.
  assert.match(await attest('stopped'), /FAILED_PRECONDITION.*mapping is not final/)
  assert.match(await attest('runs'), /FAILED_PRECONDITION.*without the filter/)
  const token = randomBytes(16).toString('hex')
  const attach = session.ask({ type: 'attachSender', token, address: mapping.address, byteLength: HEAP_BYTES, descriptors: 16, requests: 16 }, 5000)
  assert.match((await errorOf(attach)).message, /no launcher prepared this heap/)
  assert.equal(open(), before, 'the sealer keeps nothing of what it refused')
  mapping.unmap()
  addon.closeFd(file)
})
