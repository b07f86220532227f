// Calls in flight: out of order, more than there are slots, too many, and to oneself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { serve } from '../../src/index.js'
import { QUEUE_MAX } from '../../src/calls/client/waiters.js'
import { Everything, everyHandler, Gates } from '../support/everything.js'
import { errorOf, Ground } from '../support/ground.js'

test('answers come out of order, each to its own call', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 16 })
  const order: string[] = []
  const calls = ['a', 'b', 'c', 'd'].map(async (name) => {
    assert.equal(await conn.hold(name), name)
    order.push(name)
  })
  // A busy server may read the command before the ring.
  await ground.until('all to be in handlers', async () => (await ground.info(server)).inHandlers === 4)
  for (const name of ['c', 'a', 'd', 'b']) {
    await server.ask('free', name)
    await ground.until(`the answer to ${name}`, () => order.at(-1) === name)
  }
  await Promise.all(calls)
  assert.deepEqual(order, ['c', 'a', 'd', 'b'])
})

test('a call overtakes one that is held, sync or not', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  const held = conn.hold('held')
  assert.equal(conn.sync.number(1), 1)
  assert.equal(await conn.number(2), 2)
  conn.sync.free('held')
  assert.equal(await held, 'held')
})

test('more calls than slots wait in order and are all answered', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  for (const slots of [2, 8, 64]) {
    const conn = await ground.connect({ slots })
    const answers = await Promise.all(Array.from({ length: 3000 }, (_, i) => i % 3 === 0 ? conn.sleep(0).then(() => i) : conn.add({ x: i, y: 0, label: '' })))
    assert.deepEqual(answers, Array.from({ length: 3000 }, (_, i) => i))
    await conn.close()
  }
})

test('with every slot in flight a sync call is refused, and works when one is free', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 4 })
  const held = [conn.hold('a'), conn.hold('b'), conn.hold('c')]
  for (let i = 0; i < 100; i++) {
    const error = await errorOf(() => conn.sync.add({ x: 1, y: 2, label: 'refused' }))
    assert.equal(error.code, 'RESOURCE_EXHAUSTED')
    assert.match(error.message, /slots/)
  }
  await server.ask('free', 'a')
  assert.equal(await held[0], 'a')
  assert.equal(conn.sync.number(3), 3)
  await server.ask('free', 'b')
  await server.ask('free', 'c')
  assert.deepEqual(await Promise.all(held), ['a', 'b', 'c'])
})

test('a queue beyond its limit is refused, and what waits is answered', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect({ slots: 2 })
  const held = [conn.hold('a')]
  let answered = 0
  const queued = Array.from({ length: QUEUE_MAX }, () => conn.nothing().then(() => answered++))
  for (let i = 0; i < 10; i++) assert.equal((await errorOf(conn.add({ x: 1, y: 1, label: 'x' }))).code, 'RESOURCE_EXHAUSTED')
  await server.ask('free', 'a')
  await Promise.all([...held, ...queued])
  assert.equal(answered, QUEUE_MAX)
})

test('slots that give results back are in no call\'s way for long', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  for (const waiting of ['event', 'adaptive'] as const) {
    for (const slots of [2, 4]) {
      const conn = await ground.connect({ heapBytes: 1 << 20, slots, waiting })
      for (let i = 0; i < 20; i++) {
        conn.sync.points(8000)[Symbol.dispose]()
        const held = Array.from({ length: slots - 2 }, (_, at) => conn.hold(`${at}`))
        const start = performance.now()
        assert.equal(i % 2 === 0 ? conn.sync.number(i) : await conn.number(i), i)
        const ms = performance.now() - start
        assert.ok(ms < 300, `it waited ${ms} ms for a slot`)
        await ground.until('the held calls', async () => (await ground.info(server)).inHandlers === held.length)
        for (const at of held.keys()) await server.ask('free', `${at}`)
        await Promise.all(held)
      }
    }
  }
})

test('a call that waits for a slot is sent when a pipeline has given its slots back', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect({ slots: 4 })
  const pipeline = conn.pipeline('number')
  let sent = 0
  while (pipeline.submit(sent)) sent++
  const waiting = conn.number(77)
  let answers = 0
  while (answers < sent) answers += pipeline.poll(() => undefined)
  assert.equal(await waiting, 77)
})

test('a sync call to oneself on the same thread is refused, and an async one works', async (t) => {
  await using ground = await Ground.open(t)
  const gates = new Gates()
  ground.owns(await serve(ground.channel, Everything, everyHandler(gates)))
  const conn = await ground.connect()
  const error = await errorOf(() => conn.sync.number(1))
  assert.equal(error.code, 'FAILED_PRECONDITION')
  assert.match(error.message, /this thread/)
  assert.equal(await conn.number(1), 1)
  assert.deepEqual(await Promise.all(Array.from({ length: 500 }, (_, i) => conn.number(i))), Array.from({ length: 500 }, (_, i) => i))
  const copy = await conn.copy({ x: 1, y: 2, label: 'to oneself' })
  assert.equal(copy.label, 'to oneself')
})

test('a handler may call its own client\'s server, and others, while it handles', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve({}, `${ground.channel}/behind`)
  const behind = await ground.connectTo(Everything, {}, `${ground.channel}/behind`)
  const gates = new Gates()
  ground.owns(await serve(ground.channel, Everything, {
    ...everyHandler(gates), number: async (value) => await behind.number(value) + 1, add: (point) => behind.sync.add({ x: point.x, y: point.y, label: point.label }) + 1,
  }))
  const conn = await ground.connect()
  assert.equal(await conn.number(1), 2)
  assert.equal(await conn.add({ x: 1, y: 2, label: '' }), 4)
})

for (const where of ['server', 'client'] as const) {
  test(`several ${where}s live in worker threads of one process`, async (t) => {
    await using ground = await Ground.open(t)
    const program = new URL('../support/worker-main.js', import.meta.url)
    if (where === 'client') await ground.serve()
    const workers = Array.from({ length: 3 }, (_, i) => new Worker(program, { workerData: { role: where, channel: where === 'client' ? ground.channel : `${ground.channel}/${i}` } }))
    const messages = workers.map((worker) => new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    }))
    ground.waitsFor = `the ${where}s in worker threads`
    if (where === 'client') {
      for (const sum of await Promise.all(messages)) assert.equal(sum, 2 * 1999 * 2000 / 2)
    } else {
      await Promise.all(messages)
      for (const i of workers.keys()) {
        const conn = await ground.connectTo(Everything, {}, `${ground.channel}/${i}`)
        assert.equal(conn.server.pid, process.pid)
        assert.equal(conn.sync.number(i), i)
        assert.equal(await conn.add({ x: i, y: 1, label: '' }), i + 1)
        await conn.close()
      }
    }
    const ended = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)))
    for (const worker of workers) worker.postMessage('end')
    await Promise.all(ended)
  })
}
