// What goes through a call: plain values and views, small and large, and who owns the memory.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressOf, plain, same } from '../../src/index.js'
import { Chain, Point, Tree } from '../support/everything.js'
import { errorOf, Ground } from '../support/ground.js'

test('sync and await, with plain values, views, and nothing', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  assert.equal(conn.sync.nothing(), undefined)
  assert.equal(await conn.nothing(), undefined)
  assert.equal(conn.sync.add({ x: 1, y: 2, label: 'abc' }), 6)
  assert.equal(await conn.add({ x: 1, y: 2, label: 'abc' }), 6)
  const point = conn.heap.new(Point, { x: 40, y: 2, label: '' })
  assert.equal(conn.sync.add(point), 42)
  assert.equal(await conn.add(point), 42)
  assert.equal(conn.sync.number(-7), -7)
  assert.equal(await conn.caller(), process.pid)
  assert.equal(conn.sync.sleep(1), 1)
  assert.equal(await conn.sleep(1), 1)
  conn.heap.free(point)
})

test('a view is passed by pointer: the server sees the same object, and what it returns is the same object', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  const point = conn.heap.new(Point, { x: 1, y: 2, label: 'here' })
  const echoed = await conn.echo(point)
  assert.ok(same(point, echoed))
  assert.equal(addressOf(echoed), addressOf(point))
  point.x = 77
  assert.equal(echoed.x, 77)
  conn.heap.free(point)
})

test('what one side writes before a call or an answer, the other side reads after it', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  const point = conn.heap.new(Point, { x: 0, y: 0, label: '' })
  for (let round = 0; round < 3000; round++) {
    point.x = round
    point.y = 0 - 2 * round
    assert.equal(conn.sync.add(point), 0 - round)
    using copy = conn.sync.copy(point)
    assert.deepEqual([copy.x, copy.y], [round, 0 - 2 * round])
  }
  conn.heap.free(point)
})

test('every kind of field goes both ways', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  const bag = {
    words: ['', 'short', 'a text that does not fit into its cell', 'ünïcödé', '漢字 and more of them: 漢字漢字漢字'],
    counts: new Map([['one', 1], ['a longer key than inline', 2]]), blob: Uint8Array.of(1, 2, 3), note: 'a note that is there',
    grid: [1, -2, 3, -4], shape: { kind: 'point', value: { x: 5, y: 6, label: 'in a union' } }, on: true,
  } as const
  for (const answer of [conn.sync.bag(bag), await conn.bag(bag)]) {
    assert.deepEqual(plain(answer), { ...bag, shape: { ...bag.shape } })
  }
  const bare = plain(await conn.bag({ blob: new Uint8Array(), grid: [0, 0, 0, 0], on: false }))
  assert.deepEqual([bare.words, bare.counts.size, bare.note, bare.shape.kind], [[], 0, undefined, 'none'])
})

test('arguments of no chunk, one chunk and many chunks', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  assert.equal(conn.sync.text(''), '')
  assert.equal(conn.sync.text('short'), 'short')
  for (const length of [8, 100, 5000, 70_000, 1_000_000]) {
    const long = 'x'.repeat(length)
    assert.equal(conn.sync.text(long), long)
    assert.equal(await conn.text(long), long)
  }
  const wide = { value: 1, name: 'root', children: Array.from({ length: 5000 }, (_, i) => ({ value: i, name: `a child whose name takes room ${i}` })) }
  assert.equal(conn.sync.sumTree(wide), 1 + 5000 * 4999 / 2)
  assert.equal(await conn.sumTree(wide), 1 + 5000 * 4999 / 2)
  assert.equal(conn.sync.blobLength(new Uint8Array(3_000_000)), 3_000_000)
})

test('graphs with sharing and cycles are passed as they are', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  const shared = { value: 5, name: 'shared' }
  assert.equal(conn.sync.sumTree({ value: 1, name: 'root', children: [shared, shared, { value: 2, name: 'x', children: [shared] }] }), 18)
  const chain = conn.heap.new(Chain, { value: 1, next: { value: 2, next: { value: 3 } } })
  assert.equal(conn.sync.sumChain(chain), 6)
  const tree = conn.heap.new(Tree, { value: 1, name: 'own', children: [{ value: 2, name: 'child' }] })
  assert.equal(await conn.sumTree(tree), 3)
  conn.heap.free(tree, { deep: true })
  conn.heap.free(chain, { deep: true })
})

test('results of several megabytes, kept while slots are used again', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect({ slots: 2 })
  const kept = Array.from({ length: 10 }, (_, i) => conn.sync.points(i * 3000))
  for (let i = 0; i < 50; i++) conn.sync.copy({ x: i, y: i, label: 'overwrites what is not kept' })
  for (const [i, { items }] of kept.entries()) {
    assert.equal(items.length, i * 3000)
    assert.deepEqual(plain(items.at(-1)), i === 0 ? undefined : { x: i * 3000 - 1, y: 1 - i * 3000, label: `point ${i * 3000 - 1}` })
  }
  assert.equal((await conn.blob(8_000_000)).length, 8_000_000)
  assert.equal(conn.sync.blob(8_000_000)[7_999_999], 7_999_999 & 255)
  for (const view of kept) view[Symbol.dispose]()
})

test('a handler may answer with an object that it makes in the connection heap; the client may free it', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  for (let round = 0; round < 200; round++) {
    const made = conn.sync.made({ x: 1, y: round, label: 'made by the server, freed by the client' })
    assert.equal(made.x, round)
    conn.heap.free(made)
  }
  const twice = await conn.made({ x: 1, y: 2, label: 'x' })
  conn.heap.free(twice)
  assert.equal((await errorOf(() => conn.heap.free(twice))).code, 'INVALID_ARGUMENT')
})

test('a pointer into another connection is refused, naming copyFrom; copyFrom makes it usable', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const one = await ground.connect()
  const two = await ground.connect()
  const foreign = one.heap.new(Tree, { value: 3, name: 'over there', children: [{ value: 4, name: 'child' }] })
  for (const call of [() => two.sync.sumTree(foreign), () => two.sumTree(foreign)]) {
    const error = await errorOf(call)
    assert.equal(error.code, 'INVALID_ARGUMENT')
    assert.match(error.message, /copyFrom/)
    assert.match(error.message, /sumTree/)
  }
  const copy = two.heap.copyFrom(foreign)
  assert.equal(await two.sumTree(copy), 7)
  assert.equal(plain(copy).name, 'over there')
  assert.equal(two.sync.add(two.heap.new(Point, { x: 1, y: 1, label: '' })), 2)
})

test('copyFrom takes an address, stops at its limits, and leaves nothing behind when it does', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  const { heap } = conn
  const tree = heap.new(Tree, { value: 3, name: 'the root', children: [{ value: 4, name: 'a child with a name' }, { value: 5, name: 'another one' }] })
  const document = heap.json({ many: Array.from({ length: 50 }, (_, i) => ({ text: `a text that takes a record ${i}` })) })
  // Keys that are met for the second time become a shape, which stays.
  heap.free(heap.copyFrom(document))
  const before = heap.stats().liveBlocks
  const copy = heap.copyFrom(Tree, addressOf(tree))
  assert.notEqual(addressOf(copy), addressOf(tree))
  assert.deepEqual(plain(copy), plain(tree))
  heap.free(copy, { deep: true })
  for (const limits of [{ maxBytes: 64 }, { maxNodes: 2 }]) {
    for (const work of [() => heap.copyFrom(Tree, addressOf(tree), limits), () => heap.copyFrom(tree, limits), () => heap.copyFrom(document, limits)]) {
      assert.throws(work, { code: 'RESOURCE_EXHAUSTED' })
    }
  }
  assert.equal(heap.stats().liveBlocks, before)
  assert.throws(() => heap.copyFrom(Tree, 8 as never), { code: 'INVALID_ARGUMENT' })
})

test('wrong values are refused with the field named, and nothing is sent or lost', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect()
  const wrong: readonly unknown[] = [
    { x: 'one', y: 2, label: '' }, { x: 1, y: 2, label: 3 }, { x: 1, y: 2 }, 'text', 42, null, undefined, { x: 1, y: 2 ** 40, label: '' },
    { x: 1.5, y: 2, label: '' }, [], conn.heap.new(Chain, { value: 1 }),
  ]
  conn.sync.add({ x: 1, y: 1, label: 'warm' })
  const before = conn.heap.stats().liveBlocks
  for (const value of wrong) {
    for (const call of [() => conn.sync.add(value as { x: number, y: number, label: string }), () => conn.add(value as { x: number, y: number, label: string })]) {
      const error = await errorOf(call)
      assert.ok(['INVALID_ARGUMENT', 'OUT_OF_RANGE'].includes(error.code), error.message)
      assert.equal(error.method, 'add')
    }
  }
  assert.equal(conn.heap.stats().liveBlocks, before)
  assert.deepEqual((await ground.info(server)).errors, [])
  assert.equal(conn.sync.add({ x: 1, y: 2, label: '' }), 3)
})
