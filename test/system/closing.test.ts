// The end of connections and servers, wanted or not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, serve } from '../../src/index.js'
import { Everything, everyHandler, Gates, Point } from '../support/everything.js'
import { errorOf, Ground } from '../support/ground.js'

test('after close every call rejects, calls in flight are cancelled, and close may come twice', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 2 })
  const inFlight = [conn.hold('a'), conn.nothing(), conn.number(1)].map(errorOf)
  const point = conn.heap.new(Point, { x: 1, y: 2, label: 'a label in a record' })
  await Promise.all([conn.close(), conn.close()])
  assert.equal(await conn.closed, undefined)
  for (const error of await Promise.all(inFlight)) {
    assert.equal(error.code, 'CANCELLED')
    assert.match(error.message, /closed/)
  }
  for (const call of [() => conn.nothing(), () => conn.sync.nothing(), () => conn.add(point), () => conn.sync.add({ x: 1, y: 2, label: '' })]) {
    assert.equal((await errorOf(call)).code, 'CANCELLED')
  }
  // A late look at memory that is gone: zeros or an error, never a fault.
  try {
    assert.ok(point.x === 0 || point.x === undefined)
  } catch (error) {
    assert.ok(error instanceof Error)
  }
  await server.ask('free', 'a')
  await ground.until('the server to notice', async () => (await ground.info(server)).closes.length === 1)
  assert.deepEqual((await ground.info(server)).closes, [false])
})

test('a server that closes answers the calls at work, refuses new ones, and tells its clients', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect()
  const held = conn.hold('at work')
  await ground.until('the handler to begin', async () => (await ground.info(server)).inHandlers === 1)
  const closing = server.ask('close', 30_000)
  await ground.until('the name to be given back', async () => (await errorOf(connect(ground.channel, Everything))).code === 'NOT_FOUND')
  assert.equal((await errorOf(conn.nothing())).code, 'UNAVAILABLE')
  await server.ask('free', 'at work')
  assert.equal(await held, 'at work')
  await closing
  const reason = await conn.closed
  assert.equal(reason?.code, 'UNAVAILABLE')
  assert.match(reason?.message ?? '', /closed the connection/)
  assert.equal((await errorOf(() => conn.sync.nothing())).code, 'UNAVAILABLE')
})

test('a server that does not wait for its handlers rejects their calls', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect()
  const held = [errorOf(conn.hold('a')), errorOf(conn.holdPoint({ x: 1, y: 2, label: 'b' }))]
  await ground.until('the handlers to begin', async () => (await ground.info(server)).inHandlers === 2)
  await server.ask('close', 10)
  for (const error of await Promise.all(held)) assert.equal(error.code, 'UNAVAILABLE')
  assert.equal((await conn.closed)?.code, 'UNAVAILABLE')
  const reasons = (await ground.info(server)).reasons
  assert.deepEqual(reasons.toSorted(), ['a CANCELLED', 'b CANCELLED'])
  await server.ask('free', 'a')
  await server.ask('free', 'b')
})

test('a server that is killed: calls reject at once, closed tells why, the heap stays readable until close', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 4 })
  const point = conn.heap.new(Point, { x: 1, y: 2, label: 'still here after the crash' })
  const calls = ['a', 'b', 'c', 'queued'].map((key) => errorOf(conn.hold(key)))
  await ground.until('the handlers to begin', async () => (await ground.info(server)).inHandlers === 3)
  await server.kill()
  for (const error of await Promise.all(calls)) assert.equal(error.code, 'UNAVAILABLE')
  const reason = await conn.closed
  assert.equal(reason?.code, 'UNAVAILABLE')
  assert.match(reason?.message ?? '', /ended/)
  assert.equal(point.label, 'still here after the crash')
  conn.heap.free(point)
})

test('a client that is killed: the server is told, and its handlers finish with readable arguments', async (t) => {
  await using ground = await Ground.open(t)
  const gates = new Gates()
  const closes: boolean[] = []
  const sums: number[] = []
  const server = ground.owns(await serve(ground.channel, Everything, {
    ...everyHandler(gates),
    holdPoint: async (point, call) => {
      await gates.pass(point.label, call)
      sums.push(point.x + point.y)
      return 0
    },
  }, {
    onConnection: (connection) => {
      connection.onClose = (crashed): void => {
        closes.push(crashed)
      }
    },
  }))
  const client = await ground.child('../support/caller-main.js', ground.channel)
  await ground.until('the handler to begin', () => server.inHandlers === 1)
  await client.kill()
  await ground.until('the server to be told', () => closes.length === 1)
  assert.deepEqual([closes, gates.reasons], [[true], ['at work CANCELLED']])
  gates.free('at work')
  await ground.until('the handler to end', () => sums.length === 1)
  assert.deepEqual(sums, [42])
  await ground.until('its memory to go', () => server.connectionCount === 0)
})

test('the server limits its connections', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve({ maxConnections: 2 })
  const one = await ground.connect()
  await ground.connect()
  assert.equal((await errorOf(ground.connect())).code, 'RESOURCE_EXHAUSTED')
  await one.close()
  await ground.until('a place to be free', async () => await ground.connect().then(() => true, () => false))
})
