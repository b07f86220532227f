// Writes of something shared that change much, or one thing again and again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, build, list, map, plain, release, shared, sortedMap, struct, text, u32 } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Store = struct('LongWrites', { count: u32, sorted: sortedMap(u32, u32), words: map(text, u32), list: list(u32) })
const Holder = struct('LongWritesHolder', { store: shared(Store) })

test('the journal of a write is about as long as what it changes, however often, and undoes all of it', () => {
  const arena = new Arena(1 << 19)
  arena.region.membership = { member: 1, isGone: () => false, attend: () => undefined, inquire: () => undefined }
  const holder = build(Holder, arena, { store: { count: 7, sorted: [[3, 3]], words: [['a word with memory', 1]], list: [5] } })
  holder.store.write((store) => { store.count = 8 })
  const before = plain(holder)
  const { live } = arena
  const run = (salt: number): void => holder.store.write((store) => {
    for (let i = 0; i < 20_000; i++) store.count++
    for (let i = 0; i < 2500; i++) store.sorted.set(Math.imul(i, 7919) & 0xffff, i)
    for (let i = 0; i < 1500; i++) store.words.set(`a word of some length ${i % 500}`, i + salt)
    for (let i = 0; i < 5000; i++) store.list.set(0, i)
    if (salt === 1) throw new RangeError('not this time')
  })
  assert.throws(() => { run(1) }, /not this time/)
  assert.deepEqual(plain(holder), before)
  assert.equal(arena.live, live)
  run(2)
  assert.deepEqual([plain(holder).store.count, plain(holder).store.sorted.size, plain(holder).store.words.get('a word of some length 499')], [20_008, 2501, 1501])
  release(arena, holder)
  arena.assertEmpty()
})

test('what the journal had no room for is undone too when it is tried again and changed', () => {
  const Row = struct('LongWritesRow', { cells: array(u32, 2000) })
  const Rows = struct('LongWritesRows', { row: shared(Row) })
  // Too little for the row and a journal that holds it.
  const arena = new Arena(3 << 12)
  arena.region.membership = { member: 1, isGone: () => false, attend: () => undefined, inquire: () => undefined }
  const rows = build(Rows, arena, { row: { cells: Array.from({ length: 2000 }, (_, i) => i) } })
  const before = plain(rows)
  assert.throws(() => {
    rows.row.write(({ cells }) => {
      const changed = (): unknown => cells.copyWithin(0, 1)
      for (let i = 0; i < 2; i++) assert.throws(changed, /full/)
    })
  })
  assert.deepEqual(plain(rows), before)
})
