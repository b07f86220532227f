// What stats() says is what there is, field by field.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Directory } from '../../src/layout/heap-layout.js'
import type { HeapStats } from '../../src/memory/index.js'
import { sumStats } from '../../src/memory/heap-stats.js'
import { capacity, member, MIB } from './model.js'

const NONE: HeapStats = { ownedBytes: 0, liveBytes: 0, liveBlocks: 0, ownedSpans: 0, adoptedSpans: 0, largeBlocks: 0, refusedFrees: 0, freeBytes: 0, members: [], sizes: [] }

test('blocks, spans and bytes by size, as they come and go', () => {
  const heap = member(new ArrayBuffer(4 * MIB))
  const { spanBytes } = heap.geometry
  const all = capacity(heap)
  assert.deepEqual(heap.stats(), { ...NONE, freeBytes: all })
  const small = Array.from({ length: 3 }, () => heap.allocate(16))
  const other = heap.allocate(100)
  const blockBytes = heap.stats().sizes[1]!.blockBytes
  assert.ok(blockBytes >= 100 && blockBytes < 200)
  assert.deepEqual(heap.stats(), {
    ...NONE, members: [{ member: 1, ownedBytes: 2 * spanBytes, isSelf: true, isGone: false }], ownedBytes: 2 * spanBytes, liveBytes: 3 * 16 + blockBytes, liveBlocks: 4, ownedSpans: 2, freeBytes: all - 2 * spanBytes,
    sizes: [{ blockBytes: 16, liveBlocks: 3, spans: 1 }, { blockBytes, liveBlocks: 1, spans: 1 }],
  })
  const large = heap.allocate(2 * spanBytes + 1)
  const with5 = heap.stats()
  assert.deepEqual([with5.largeBlocks, with5.ownedSpans, with5.liveBlocks, with5.liveBytes, with5.freeBytes], [1, 5, 5, 3 * 16 + blockBytes + 3 * spanBytes, all - 5 * spanBytes])
  assert.equal(with5.sizes.length, 2, 'a large block has no size of its own')
  // As many of one size as two spans hold.
  const many = Array.from({ length: 2 * spanBytes / 16 - 3 }, () => heap.allocate(16))
  const { sizes: [sixteen], ownedSpans } = heap.stats()
  assert.equal(sixteen!.liveBlocks, 2 * spanBytes / 16)
  assert.deepEqual([sixteen!.spans, ownedSpans], [2, 6])
  for (const word of [...small, other, large, ...many]) heap.free(heap.region, word)
  heap.collect()
  const { liveBlocks, liveBytes, largeBlocks } = heap.stats()
  assert.deepEqual([liveBlocks, liveBytes, largeBlocks], [0, 0, 0])
})

test('spans of the dead, and frees that name no live block, are counted', () => {
  const buffer = new ArrayBuffer(4 * MIB)
  const [first, second, third] = [member(buffer, 1), member(buffer, 2), member(buffer, 3)]
  const { spanBytes } = first.geometry
  third.allocate(16)
  third.allocate(500)
  third.allocate(3 * spanBytes)
  assert.equal(first.stats().adoptedSpans, 0)
  second.allocate(16)
  first.memberDied(3)
  const others = [{ member: 3, ownedBytes: 5 * spanBytes, isSelf: false, isGone: true }, { member: 2, ownedBytes: spanBytes, isSelf: false, isGone: false }]
  assert.deepEqual(first.stats().members, others)
  first.collect()
  const { adoptedSpans, ownedSpans, liveBlocks, largeBlocks } = first.stats()
  assert.deepEqual([adoptedSpans, ownedSpans, liveBlocks, largeBlocks], [5, 5, 3, 1])
  assert.deepEqual(first.stats().members, [{ member: 1, ownedBytes: 5 * spanBytes, isSelf: true, isGone: false }, others[1]])
  // Freed twice is an error where it is done. Only what a liar marks as freed is counted, by its owner.
  const [live, gone] = [first.allocate(16), first.allocate(16)]
  first.free(first.region, gone)
  second.free(second.region, live)
  first.collect()
  assert.deepEqual([first.stats().refusedFrees, first.stats().liveBlocks], [0, 3])
  const { i32 } = first.region
  i32[first.geometry.freedWord + (gone >>> 7)]! |= 1 << (gone >>> 2)
  i32[Directory.WORD + Math.floor(gone * 4 / spanBytes) * 2 + 1] = 1
  first.collect()
  assert.deepEqual([first.stats().refusedFrees, first.stats().liveBlocks], [1, 3])
  const both = [...first.stats().members, ...second.stats().members]
  const together = sumStats([first.stats(), second.stats()])
  assert.deepEqual([together.adoptedSpans, together.refusedFrees, together.ownedSpans], [5, 1, first.stats().ownedSpans + second.stats().ownedSpans])
  assert.deepEqual(together.members, both)
})
