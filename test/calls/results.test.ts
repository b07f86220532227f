import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, list, method, serve, service, struct, text, u32 } from '../../src/index.js'
import { Bag } from '../support/everything.js'
import { Ground } from '../support/ground.js'

const Item = struct('ResultItem', { id: u32, name: text })
const Items = service('results', { make: method(1, u32, Item), many: method(2, u32, list(u32)) })

test('results kept, given back late or while their slot is busy stay what they were', async () => {
  const server = await serve('test/results', Items, {
    make: async (id) => {
      await Promise.resolve()
      return { id, name: `item number ${id}, long enough for a record of its own` }
    },
    many: (count) => Array.from({ length: count }, (_, i) => i),
  })
  const connection = await connect('test/results', Items, { slots: 4 })
  const kept: { id: number; view: Awaited<ReturnType<typeof connection.make>> }[] = []
  let seed = 7
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return (seed >>> 8) % below
  }
  for (let round = 0; round < 3000; round++) {
    const calls = [connection.make(round * 2), connection.make(round * 2 + 1)]
    // Give some back while the two calls are in flight.
    while (kept.length > 40 + random(20)) kept.splice(random(kept.length), 1)[0]!.view[Symbol.dispose]()
    const views = await Promise.all(calls)
    views.forEach((view, i) => kept.push({ id: round * 2 + i, view }))
    const { id, view } = kept[random(kept.length)]!
    assert.equal(view.id, id)
    assert.equal(view.name, `item number ${id}, long enough for a record of its own`)
  }
  for (const { view } of kept) view[Symbol.dispose]()
  using large = await connection.many(100_000)
  assert.equal(large.at(99_999), 99_999)
  await connection.close()
  await server.close()
})

const HEAP_BYTES = 1024 * 1024

test('results that are given back never use up a heap that holds a few of them', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect({ heapBytes: HEAP_BYTES })
  // Some 40 KB, which a call scope keeps for its next use, and 200 KB, which it does not; calls without results between them.
  for (const count of [1000, 4000]) {
    for (let i = 0; i < 30; i++) {
      using points = conn.sync.points(count)
      assert.equal(points.items.length, count)
      if (i % 3 === 0) conn.sync.nothing()
      using awaited = await conn.points(count)
      assert.equal(awaited.items.at(-1)!.x, count - 1)
      assert.equal(conn.sync.blob(count * 40).length, count * 40)
      assert.throws(() => conn.sync.failOrdinary('x'.repeat(2000)), /xxx/)
    }
  }
})

for (const slots of [2, 4, 64]) {
  test(`what many results took is free for others once they are given back, with ${slots} slots`, async (t) => {
    await using ground = await Ground.open(t)
    await ground.serve()
    const conn = await ground.connect({ heapBytes: HEAP_BYTES, slots })
    for (let round = 0; round < 4; round++) {
      const held: Disposable[] = []
      assert.throws(() => {
        for (;;) held.push(conn.sync.points(1000))
      }, { code: 'RESOURCE_EXHAUSTED' })
      assert.ok(held.length > 12, `only ${held.length} results of 40 KB fit into 1 MB`)
      for (const result of held) result[Symbol.dispose]()
      conn.sync.nothing()
      assert.equal(conn.sync.blobLength(new Uint8Array(HEAP_BYTES / 2)), HEAP_BYTES / 2)
      // Bytes are copied: their memory is given back as soon as they are read.
      const blobs = await Promise.all(Array.from({ length: 12 }, () => conn.blob(45_000)))
      assert.equal(blobs.reduce((sum, blob) => sum + blob.length, 0), 12 * 45_000)
      conn.sync.nothing()
      assert.equal(conn.sync.blobLength(new Uint8Array(HEAP_BYTES / 2)), HEAP_BYTES / 2)
    }
  })
}

test('with two slots, too, a large result follows another that was given back', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect({ heapBytes: HEAP_BYTES, slots: 2 })
  for (let i = 0; i < 6; i++) {
    // Half of the heap, each of them.
    using points = conn.sync.points(10_000)
    assert.equal(points.items.length, 10_000)
  }
})

test('what counts of a result that was given back is the memory that it took', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  for (const what of ['leads to the argument', 'some bytes in a chunk of 48 KB, which another result has left'] as const) {
    const conn = await ground.connect({ heapBytes: HEAP_BYTES })
    const make = (): { readonly blob: Uint8Array } => conn.heap.new(Bag, {
      words: ['a'], counts: new Map<string, number>(), blob: new Uint8Array(40_000), note: undefined, grid: [1, 2, 3, 4], shape: { kind: 'circle', value: 1 }, on: true,
    })
    const bag = make() as Parameters<typeof conn.bag>[0]
    const held: Disposable[] = []
    assert.throws(() => {
      for (;;) {
        if (what === 'leads to the argument') {
          held.push(conn.sync.bag(bag))
          continue
        }
        for (const large of [conn.sync.points(1000), conn.sync.points(1000)]) large[Symbol.dispose]()
        conn.sync.nothing()
        conn.sync.nothing()
        held.push(conn.sync.points(1))
      }
    }, { code: 'RESOURCE_EXHAUSTED' })
    for (const result of held) result[Symbol.dispose]()
    conn.sync.nothing()
    // An eighth that the server has not heard of, an eighth that it keeps: most of the rest is there.
    for (let i = 0; i < 11; i++) assert.equal(make().blob.length, 40_000)
  }
})

test('a result that grows while it is written is built again, and refused when it goes on growing', async () => {
  let length = 0
  let growths = 0
  const server = await serve('test/results/growing', Items, {
    make: (id) => ({ id, get name() { return 'x'.repeat(growths-- > 0 ? length *= 2 : length) } }),
    many: (count) => Array.from({ length: count }, (_, i) => i),
  })
  const connection = await connect('test/results/growing', Items)
  const free = (): number => connection.heap.stats().freeBytes
  const attempt = async (times: number): Promise<string> => {
    length = 100_000
    growths = times
    using item = await connection.make(1)
    return item.name
  }
  for (const times of [0, 1, 2, 3]) assert.match(await attempt(times), /^x+$/)
  const before = free()
  for (let i = 0; i < 20; i++) {
    await assert.rejects(attempt(Infinity), { code: 'ABORTED' })
    assert.equal((await attempt(3)).length, 100_000 * 2 ** 3)
  }
  assert.ok(free() > before - 1024 * 1024, 'chunks of it are lost')
  await connection.close()
  await server.close()
})
