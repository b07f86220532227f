// Typed calls of programs that "rpcool run" started: their arguments are sealed, several of them at once, through deaths and forks.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DaemonClient } from '../../../src/control/index.js'
import { mappedMemoryFiles, openFiles } from '../../support/leaks.js'
import { Launched } from '../../support/launched.js'
import { isKnownHolder, serviceProcess } from '../seals/services.js'
import { connectAgain, launch, local, until } from './ground.js'

const SAME_USER = 'enforced except [same-user]'
test('a client under "rpcool run" makes sealed calls: awaited, sync, many at once; both ends know the strength', async (t) => {
  const { server, isolations } = await local(t)
  const client = await launch(t, server.channel)
  assert.deepEqual(await client.ask('connect'), { strength: SAME_USER, connection: 0 })
  assert.equal(server.connections[0]!.seals?.strength, SAME_USER)
  assert.equal(await client.ask('read', { connection: 0, value: 7 }), '7')
  assert.equal(await client.ask('sync', { connection: 0, value: 8 }), 8)
  assert.equal(await client.ask('many', { connection: 0, value: 1000 }), true)
  assert.equal(isolations().length, 1002)
  assert.deepEqual([...new Set(isolations())], ['seal true'])
})

test('what a server demands is compared with what was verified', async (t) => {
  const strict = await local(t, { seals: { require: 'enforced' } })
  const refused = await launch(t, strict.server.channel)
  assert.deepEqual(await refused.ask('connect'), { strength: 'none', connection: 0 })
  assert.match(String(await refused.ask('read', { connection: 0, value: 1 })), /FAILED_PRECONDITION.*demands stronger seals.*enforced except \[same-user\]: start the client by "rpcool run --user NUMBER/)
  assert.equal(strict.isolations().length, 0)

  const lenient = await local(t, { seals: { require: 'enforced', except: ['same-user'] } })
  const client = await launch(t, lenient.server.channel)
  assert.deepEqual(await client.ask('connect'), { strength: SAME_USER, connection: 0 })
  assert.equal(await client.ask('read', { connection: 0, value: 1 }), '1')
})

test('several programs at once, each with its own memory; what they had is given back when they end', async (t) => {
  const { server, waiting, release } = await local(t)
  // On a busy machine programs start so slowly that a sealer which nobody uses has ended by then.
  await (await launch(t, server.channel)).ask('connect')
  const trusted = [(await DaemonClient.shared().connect()).pid, ...(['sealer', 'keeper'] as const).map(serviceProcess)]
  const held = (): number[] => [mappedMemoryFiles(), ...trusted.map((pid) => openFiles(pid).filter((name) => /memfd:rpcool|userfaultfd/.test(name)).length)]
  const before = held()
  const clients = await Promise.all(Array.from({ length: 3 }, () => launch(t, server.channel, '--heap', '262144', '--heaps', '2')))
  const addresses: unknown[] = []
  for (const client of clients) {
    assert.deepEqual(await client.ask('connect'), { strength: SAME_USER, connection: 0 })
    addresses.push(await client.ask('hold', 0))
  }
  await until('all their handlers', () => waiting() === 3)
  assert.equal(new Set(addresses).size, 3, 'no two of them share an address')
  assert.ok(held().every((count, i) => count >= before[i]! + 3), `they hold memory: ${held().join()} after ${before.join()}`)
  release()
  for (const client of clients) assert.deepEqual(await client.ask('held'), ['the same'])
  for (const client of clients) assert.equal(await client.end(), 0)
  await until('the connections to go', () => server.connectionCount === 1)
  await until('daemon, sealer and keeper to give back what they held of them', () => held().join() === before.join())
})

test('threads of a program each have seals, on heaps of their own', async (t) => {
  const { server } = await local(t)
  const client = await launch(t, server.channel, '--heap', '262144', '--heaps', '3')
  assert.deepEqual(await client.ask('connect'), { strength: SAME_USER, connection: 0 })
  const said = await Promise.all([client.ask('worker', 11), client.ask('worker', 12)])
  assert.deepEqual(said, [[SAME_USER, '11'], [SAME_USER, '12']])
  assert.equal(await client.ask('read', { connection: 0, value: 13 }), '13')
})

test('a connection too many is told so; a heap that was given back serves the next connection', async (t) => {
  const { server, waiting, release } = await local(t)
  const client = await launch(t, server.channel, '--heap', '262144', '--heaps', '1')
  for (let round = 0; round < 3; round++) {
    const { connection } = await client.ask('connect') as { readonly connection: number }
    const second = await client.ask('connect') as { readonly connection: number, readonly strength: string }
    assert.equal(second.strength, 'none')
    assert.match(String(await client.ask('read', { connection: second.connection, value: 1 })), /FAILED_PRECONDITION.*all 1 heaps that "rpcool run" prepared.*--heaps/)
    await client.ask('hold', connection)
    await until('the handler', () => waiting() === 1)
    // Closed while its call is in flight: the next connection waits until the handler has done with the pages.
    await client.ask('close', connection)
    await client.ask('close', second.connection)
    const next = client.ask('connect')
    assert.equal(await Promise.race([next, sleep(300, 'waits')]), 'waits')
    release()
    const { strength, connection: third } = await next as { readonly connection: number, readonly strength: string }
    assert.equal(strength, SAME_USER)
    assert.equal(await client.ask('read', { connection: third, value: round }), String(round))
    await client.ask('close', third)
  }
})

test('more memory than was prepared is refused, naming the option', async (t) => {
  const { server } = await local(t)
  const client = await launch(t, server.channel, '--heap', '65536', '--heaps', '1')
  assert.deepEqual(await client.ask('connect', { seals: { heapBytes: 1 << 20 } }), { strength: 'none', connection: 0 })
  assert.match(String(await client.ask('read', { connection: 0, value: 1 })), /FAILED_PRECONDITION.*--heap 1048576/)
})

test('a child of the program has no heap of it, and is told what to do; the program\'s own seals hold', async (t) => {
  const { server, waiting, release } = await local(t)
  const client = await launch(t, server.channel, '--heap', '262144')
  await client.ask('connect')
  await client.ask('hold', 0)
  await until('the handler', () => waiting() === 1)
  const [strength, answer] = await client.ask('child') as [string, string]
  assert.equal(strength, 'none')
  assert.match(answer, /FAILED_PRECONDITION.*no memory that "rpcool run" prepared.*start this one with "rpcool run"/)
  release()
  assert.deepEqual(await client.ask('held'), ['the same'])
})

test('the program is killed in the middle of a call: its handler reads on, and everything comes back', async (t) => {
  const { server, waiting, release } = await local(t)
  const client = await Launched.client(server.channel, '--heap', '262144')
  await client.ask('connect')
  await client.ask('hold', 0)
  await until('the handler', () => waiting() === 1)
  process.kill(await client.pid(), 'SIGKILL')
  await client.ended()
  assert.equal(client.launcher.exitCode, 128 + 9)
  await until('the end of the connection to be heard', () => server.connections.every(({ end }) => end === undefined || end.inHandlers === 1))
  release()
  await until('the connection to go', () => server.connectionCount === 0)
})

test('the sealer, the keeper and the daemon die: seals in flight hold, calls go on, new connections get seals', async (t) => {
  const { server, waiting, release } = await local(t)
  const client = await launch(t, server.channel, '--heap', '262144', '--heaps', '6')
  await client.ask('connect')
  const deaths: readonly [string, () => Promise<number> | number][] = [
    ['sealer', () => serviceProcess('sealer')],
    ['keeper', () => serviceProcess('keeper')],
    ['daemon', async () => (await DaemonClient.shared().connect()).pid],
    ['sealer', () => serviceProcess('sealer')],
  ]
  for (const [i, [name, find]] of deaths.entries()) {
    await client.ask('hold', 0)
    await until(`the handler before the ${name}'s death`, () => waiting() === 1)
    process.kill(await find(), 'SIGKILL')
    release()
    assert.equal((await client.ask('held') as string[]).at(-1), 'the same', `the ${name} died`)
    const { connection } = await connectAgain(client, SAME_USER)
    assert.equal(await client.ask('read', { connection, value: i }), String(i))
    await client.ask('close', connection)
    assert.equal(await client.ask('read', { connection: 0, value: 100 + i }), String(100 + i))
    // While there is no keeper but one that starts, nobody holds the seals of a sealer that dies: such calls are ABORTED.
    await until('sealer and keeper to hold the seals, and this server to know it', () =>
      server.connectionCount === 1 && isKnownHolder('sealer') && isKnownHolder('keeper'))
  }
})

test('the launcher is killed: connections go on, and new ones are told that there is none', async (t) => {
  const { server } = await local(t)
  const client = await Launched.client(server.channel, '--heap', '262144')
  await client.ask('connect')
  const pid = await client.pid()
  // The answer to a question that it is asked before, by which it says that it waits.
  const waits = client.expect(1000)
  const answers = client.ask('orphaned', 1000)
  assert.equal(await waits, 'waits')
  client.launcher.kill('SIGKILL')
  const [first, second] = await answers as [string, string]
  assert.equal(first, '1')
  assert.match(second, /FAILED_PRECONDITION.*no launcher prepared a heap for process/)
  process.kill(pid, 'SIGKILL')
  await until('the connections to go', () => server.connectionCount === 0)
})
