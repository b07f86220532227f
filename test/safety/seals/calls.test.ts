// Sealed calls between processes, while somebody dies, forks, or writes all the same. Every wait ends.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { DaemonClient } from '../../../src/control/index.js'
import { connect, type Connection, SealedError, serve, type Server } from '../../../src/index.js'
import { Commanded, errorOf } from '../../support/ground.js'
import { isAlive } from '../../support/leaks.js'
import { Paper, SealedService } from '../../support/sealed-service.js'
import { writable } from '../../support/writable.js'
import { leakCheck } from './ground.js'
import { serviceProcess } from './services.js'

let channels = 0
const nextChannel = (): string => `sealed/${process.pid}/${++channels}`

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !await condition(); waited += 5) {
    assert.ok(waited < 30_000, `waited in vain for: ${what}`)
    await sleep(5)
  }
}

/** A server in another process, and a connection to it. */
async function remote(t: TestContext): Promise<{ readonly server: Commanded, readonly conn: Connection<typeof SealedService.methods> }> {
  const channel = nextChannel()
  const server = await Commanded.start('./sealed-main.js', channel)
  t.after(() => server.kill())
  await server.ask('serve')
  const conn = await connect(channel, SealedService)
  t.after(() => conn.close())
  assert.match(conn.seals!.strength, /^enforced/)
  return { server, conn }
}

interface Local {
  readonly server: Server
  readonly release: () => void
  readonly waiting: () => number
}

/** A server here, for clients elsewhere. */
async function local(t: TestContext): Promise<Local> {
  const waiting: (() => void)[] = []
  const server = await serve(nextChannel(), SealedService, {
    read: ({ value }) => value,
    hold: async (paper) => {
      const before = paper.value
      await new Promise<void>((resolve) => waiting.push(resolve))
      return paper.value === before ? 'the same' : 'changed'
    },
  })
  t.after(() => server.close())
  return { server, waiting: () => waiting.length, release: () => waiting.splice(0).forEach((resolve) => resolve()) }
}

test('the server dies holding seals: calls reject, and the client gets its pages back', async (t) => {
  const { server, conn } = await remote(t)
  using scope = conn.createScope(4096)
  const paper = scope.new(Paper, { value: 1, body: 'text' })
  const call = errorOf(conn.hold(paper))
  await until('the handler', async () => await server.ask('waiting') === 1)
  assert.equal(writable(scope.address + 4000), false)
  await server.kill()
  assert.equal((await call).code, 'UNAVAILABLE')
  assert.equal(scope.isSealed, false)
  await until('the pages', () => writable(scope.address + 4000))
  paper.value = 2
})

test('servers that die sealed cost their client nothing that outlives the connection', async (t) => {
  // The link to the daemon stays.
  await errorOf(connect(nextChannel(), SealedService))
  const check = leakCheck()
  for (let i = 0; i < 3; i++) {
    const { server, conn } = await remote(t)
    const call = errorOf(conn.hold({ value: 1, body: 'text' }))
    await until('the handler', async () => await server.ask('waiting') === 1)
    await server.kill()
    assert.equal((await call).code, 'UNAVAILABLE')
    await conn.close()
  }
  await check()
})

test('the client dies sealed: the handler reads on, and the server gives everything back', async (t) => {
  const { server, release, waiting } = await local(t)
  const client = await Commanded.start('./sealed-main.js', server.channel)
  t.after(() => client.kill())
  assert.match(String(await client.ask('connect')), /^enforced/)
  await client.ask('hold')
  await until('the handler', () => waiting() === 1)
  await client.kill()
  await until('the end of the connection to be heard', () => server.connections.every(({ end }) => end === undefined || end.inHandlers === 1))
  release()
  await until('the connection to go', () => server.connectionCount === 0)
})

test('the sealer dies during sealed calls: what it sealed holds, and calls go on with the next one', async (t) => {
  const { server, conn } = await remote(t)
  using scope = conn.createScope(4096)
  const paper = scope.new(Paper, { value: 1, body: 'text' })
  const call = conn.hold(paper)
  await until('the handler', async () => await server.ask('waiting') === 1)
  process.kill(serviceProcess('sealer'), 'SIGKILL')
  assert.equal(writable(scope.address + 4000), false, 'the keeper holds the seal')
  await server.ask('go')
  assert.equal(await call, 'the same')
  await until('the pages to come back from the next sealer', () => !scope.isSealed)
  for (let i = 0; i < 20; i++) assert.equal(await conn.read({ value: i, body: 'text' }), i)
})

test('the daemon dies during sealed calls and returns: they are answered, their pages come back, and new connections are sealed', async (t) => {
  const { server, conn } = await remote(t)
  using scope = conn.createScope(4096)
  const call = conn.hold(scope.new(Paper, { value: 1, body: 'text' }))
  await until('the handler', async () => await server.ask('waiting') === 1)
  const { pid } = await DaemonClient.shared().connect()
  const sealer = serviceProcess('sealer')
  process.kill(pid, 'SIGKILL')
  await until('the daemon to end', () => !isAlive(pid))
  assert.equal(writable(scope.address + 4000), false, 'no seal is the daemon\'s')
  // On the connection that is there, without a daemon.
  assert.equal(await conn.read({ value: 2, body: 'text' }), 2)
  await server.ask('go')
  assert.equal(await call, 'the same')
  await until('the pages', () => !scope.isSealed && writable(scope.address + 4000))
  let later: Connection<typeof SealedService.methods> | undefined
  await until('the channel to be known to the next daemon', async () => {
    later = await connect(conn.channel, SealedService).catch(() => undefined)
    return later !== undefined
  })
  t.after(() => later?.close())
  assert.notEqual((await DaemonClient.shared().connect()).pid, pid)
  assert.match(later!.seals!.strength, /^enforced/)
  assert.equal(await later!.read({ value: 3, body: 'text' }), 3)
  assert.equal(serviceProcess('sealer'), sealer)
})

test('sealer and keeper die while a handler works: its answer does not count', async (t) => {
  const { server, conn } = await remote(t)
  const call = errorOf(conn.hold({ value: 1, body: 'text' }))
  await until('the handler', async () => await server.ask('waiting') === 1)
  for (const name of ['keeper', 'sealer'] as const) process.kill(serviceProcess(name), 'SIGSTOP')
  for (const pid of [serviceProcess('keeper'), serviceProcess('sealer')]) process.kill(pid, 'SIGKILL')
  await sleep(100)
  await server.ask('go')
  const error = await call
  assert.equal(error.code, 'ABORTED')
  assert.match(error.message, /seal of the argument did not hold.*call again/)
})

test('a fork of the client: calls go on, before, while and after', async (t) => {
  const { server, release, waiting } = await local(t)
  const client = await Commanded.start('./sealed-main.js', server.channel)
  t.after(() => client.kill())
  await client.ask('connect')
  assert.equal(await client.ask('read', 5), '5')
  await client.ask('hold')
  await until('the handler', () => waiting() === 1)
  assert.equal(await client.ask('fork'), 0)
  assert.equal(await client.ask('read', 6), '6')
  release()
  assert.equal(await client.ask('read', 7), '7')
})

test('a thread that stores to a sealed page waits for the release; the call does not wait for the thread', async (t) => {
  const { server, conn } = await remote(t)
  using scope = conn.createScope(4096)
  const paper = scope.new(Paper, { value: 1, body: 'text' })
  const call = conn.hold(paper)
  await until('the handler', async () => await server.ask('waiting') === 1)
  const writer = new Worker(new URL('../../support/thread-store-main.js', import.meta.url), { workerData: { address: scope.address + 4000 } })
  t.after(() => writer.terminate())
  const messages: unknown[] = []
  writer.on('message', (message) => messages.push(message))
  await until('the thread to store', () => messages.length > 0)
  await sleep(50)
  assert.deepEqual(messages, ['storing'])
  assert.ok(await errorOf(() => { paper.value = 2 }) instanceof SealedError)
  await server.ask('go')
  assert.equal(await call, 'the same')
  // Nobody asks for the release: it comes by itself.
  await until('the store to come through', () => messages.length === 2)
})
