// Calls that nobody waits for any more: deadlines, signals, and what becomes of their slots and arguments.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClientConnection, plain } from '../../src/index.js'
import { Point } from '../support/everything.js'
import { errorOf, Ground, type EverythingConnection } from '../support/ground.js'

const quarantined = (conn: EverythingConnection): number => (conn as ClientConnection).end.quarantined

test('a call is given up after its timeoutMs, or the default of its connection', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  const quick = await ground.connect({ timeoutMs: 50 })
  for (const call of [() => conn.hold('a', { timeoutMs: 30 }), () => conn.sync.hold('b', { timeoutMs: 30 }), () => quick.hold('c'), () => quick.sync.hold('d')]) {
    const error = await errorOf(call)
    assert.equal(error.code, 'DEADLINE_EXCEEDED')
    assert.match(error.message, /#hold/)
  }
  for (const timeoutMs of [0, -1, Number.NaN]) {
    assert.equal((await errorOf(conn.nothing(undefined, { timeoutMs }))).code, 'INVALID_ARGUMENT')
    assert.equal((await errorOf(() => conn.sync.nothing(undefined, { timeoutMs }))).code, 'INVALID_ARGUMENT')
  }
  // A misspelt option would mean no deadline at all.
  const misspelt = { timeout: 5 } as never
  assert.match((await errorOf(conn.nothing(undefined, misspelt))).message, /no option "timeout"/)
  assert.match((await errorOf(() => conn.sync.nothing(undefined, misspelt))).message, /no option "timeout"/)
  assert.equal(await conn.sleep(5, { timeoutMs: Infinity }), 5)
  for (const key of 'abcd') conn.sync.free(key)
})

test('a handler learns its deadline, and its signal fires when it passes', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect()
  assert.equal(await conn.remaining(), Infinity)
  const remaining = await conn.remaining(undefined, { timeoutMs: 10_000 })
  assert.ok(remaining > 0 && remaining <= 10_000)
  await errorOf(conn.hold('late', { timeoutMs: 30 }))
  await ground.until('the handler to be told', async () => (await ground.info(server)).reasons.length > 0)
  assert.match((await ground.info(server)).reasons[0] ?? '', /^late (DEADLINE_EXCEEDED|CANCELLED)$/)
  conn.sync.free('late')
})

test('an AbortSignal ends a call before it is made, while it runs, while it is queued, and not after', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 4 })
  const before = await errorOf(conn.nothing(undefined, { signal: AbortSignal.abort() }))
  assert.equal(before.code, 'CANCELLED')
  const timedOut = AbortSignal.timeout(10)
  for (const signal of [timedOut, AbortSignal.any([new AbortController().signal, timedOut])]) {
    // While it runs, and the next time before it is made: a deadline, as timeoutMs is.
    const error = await errorOf(conn.hold('timed', { signal }))
    assert.deepEqual([error.code, error.cause], ['DEADLINE_EXCEEDED', timedOut.reason])
  }
  conn.sync.free('timed')
  const during = new AbortController()
  const held = [conn.hold('one', { signal: during.signal }), conn.hold('two'), conn.hold('more')]
  const queued = conn.hold('three', { signal: during.signal })
  await ground.until('three handlers to begin', async () => (await ground.info(server)).inHandlers === 3)
  during.abort()
  for (const error of await Promise.all([errorOf(held[0]!), errorOf(queued)])) assert.equal(error.code, 'CANCELLED')
  await ground.until('the handler to be told', async () => (await ground.info(server)).reasons.includes('one CANCELLED'))
  await server.ask('free', 'one')
  await server.ask('free', 'two')
  await server.ask('free', 'more')
  assert.deepEqual(await Promise.all(held.slice(1)), ['two', 'more'])
  const after = new AbortController()
  assert.equal(await conn.text('done', { signal: after.signal }), 'done')
  after.abort()
  assert.equal(await conn.text('next'), 'next')
  assert.deepEqual((await ground.info(server)).reasons.filter((reason) => !reason.startsWith('timed')), ['one CANCELLED'])
})

test('a handler is told of a cancelled call also while other calls keep coming', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect()
  const abort = new AbortController()
  const held = conn.hold('x', { signal: abort.signal })
  let over = false
  const busy = Promise.all(Array.from({ length: 8 }, async () => {
    while (!over) await conn.nothing()
  }))
  abort.abort()
  assert.equal((await errorOf(held)).code, 'CANCELLED')
  await ground.until('the handler to be told although the ring is busy', async () => (await ground.info(server)).reasons.length > 0)
  over = true
  await busy
  await server.ask('free', 'x')
})

test('a slot and its argument stay untouched until the server has answered a call that was given up', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 4 })
  // The call's argument is read by the handler long after the client stopped waiting.
  assert.equal((await errorOf(conn.holdPoint({ x: 1234, y: 4321, label: 'kept' }, { timeoutMs: 20 }))).code, 'DEADLINE_EXCEEDED')
  assert.equal((await errorOf(() => conn.sync.holdPoint({ x: 1, y: 2, label: 'kept too' }, { timeoutMs: 20 }))).code, 'DEADLINE_EXCEEDED')
  assert.equal(quarantined(conn), 2)
  for (let i = 0; i < 1000; i++) {
    assert.equal(conn.sync.add({ x: i, y: i, label: 'overwriting' }), 2 * i + 11)
    if (i % 100 === 0) await conn.copy({ x: -1, y: -1, label: 'overwriting, too' })
  }
  assert.equal(quarantined(conn), 2)
  await server.ask('free', 'kept')
  await server.ask('free', 'kept too')
  await ground.until('the slots to come back', async () => {
    await conn.nothing()
    return quarantined(conn) === 0
  })
  assert.deepEqual((await ground.info(server)).sums, [5555, 3], 'the handlers read what was sent')
  const live = conn.heap.stats().liveBlocks
  for (let i = 0; i < 200; i++) await Promise.all([conn.add({ x: i, y: 1, label: '' }), conn.add({ x: i, y: 1, label: '' }), conn.add({ x: i, y: 1, label: '' })])
  assert.ok(conn.heap.stats().liveBlocks <= live + 2, 'arguments are given back')
})

test('a pipeline that is disposed of gives its calls up, and their slots come back', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 8 })
  for (let round = 0; round < 3; round++) {
    {
      using pipeline = conn.pipeline('holdPoint')
      for (let i = 0; i < 7; i++) assert.ok(pipeline.submit({ x: i, y: round, label: `${round} ${i}` }))
      assert.throws(() => pipeline.wait(20), { code: 'DEADLINE_EXCEEDED' })
    }
    await ground.until('the handlers to be told', async () => (await ground.info(server)).reasons.length === 7 * (round + 1))
    assert.equal(quarantined(conn), 7)
    for (let i = 0; i < 7; i++) await server.ask('free', `${round} ${i}`)
    assert.equal(await conn.number(round), round)
    assert.equal(conn.sync.number(round), round)
  }
  assert.ok((await ground.info(server)).reasons.every((reason) => reason.endsWith('CANCELLED')))
  const pipeline = conn.pipeline('number')
  await conn.close()
  pipeline[Symbol.dispose]()
})

test('a server dies with calls that were given up: what waits rejects, and their slots and arguments go with the connection', async (t) => {
  // The ground proves at its end that nothing is left.
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 4 })
  for (let i = 0; i < 2; i++) assert.equal((await errorOf(conn.holdPoint({ x: i, y: i, label: 'kept' }, { timeoutMs: 20 }))).code, 'DEADLINE_EXCEEDED')
  const waiting = errorOf(conn.hold('never answered'))
  assert.equal(quarantined(conn), 2)
  await server.kill()
  assert.equal((await waiting).code, 'UNAVAILABLE')
  assert.equal((await errorOf(conn.nothing())).code, 'UNAVAILABLE')
  await conn.close()
})

test('calls that wait for a slot have the same deadlines as those that have one', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 4, timeoutMs: 300 })
  const calls = [conn.hold('a'), conn.hold('b'), conn.hold('c'), conn.nothing(), conn.nothing(undefined, { timeoutMs: 20 })]
  for (const error of await Promise.all(calls.map(errorOf))) assert.equal(error.code, 'DEADLINE_EXCEEDED')
  await server.ask('free', 'a')
  await server.ask('free', 'b')
  await server.ask('free', 'c')
  assert.equal(await conn.number(5), 5)
})

test('calls that wait for a slot go on when the answer to a call that was given up comes', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 2 })
  const given = [conn.hold('a', { timeoutMs: 30 })]
  const waiting = [conn.number(1), conn.number(2), conn.number(3)]
  for (const error of await Promise.all(given.map(errorOf))) assert.equal(error.code, 'DEADLINE_EXCEEDED')
  await server.ask('free', 'a')
  ground.waitsFor = 'the calls that wait for the slots of abandoned ones'
  assert.deepEqual(await Promise.all(waiting), [1, 2, 3])
})

test('an answer that is there already wins over a deadline that has passed', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect({ slots: 4 })
  for (let round = 0; round < 5; round++) {
    const calls = [conn.number(1, { timeoutMs: 30 }), conn.number(2, { timeoutMs: 30 }), conn.number(3)]
    // The event loop is busy while the answers come and the timers run out.
    const end = performance.now() + 60
    while (performance.now() < end);
    ground.waitsFor = 'answers that came before the deadline was looked at'
    assert.deepEqual(await Promise.all(calls), [1, 2, 3])
  }
})

test('a view that was passed to a call that was given up stays the caller\'s', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect()
  const point = conn.heap.new(Point, { x: 1, y: 2, label: 'mine' })
  await errorOf(conn.holdPoint(point, { timeoutMs: 20 }))
  await server.ask('free', 'mine')
  assert.deepEqual(plain(point), { x: 1, y: 2, label: 'mine' })
  conn.heap.free(point)
})
