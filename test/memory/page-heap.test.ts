// Pages for sealed arguments: whole pages, in one piece, whose book-keeping is private.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { Heap, HeapSet, PageHeap } from '../../src/memory/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'
import { Draw, hasCode } from './model.js'

const PAGES = 64
const WORDS = PAGE_BYTES / 4

function pageHeap(firstPage = 0): PageHeap {
  const set = new HeapSet((space) => new Heap(new ArrayBuffer(1 << 20), HEAPS_BASE, 1, space))
  return new PageHeap(new ArrayBuffer(PAGES * PAGE_BYTES), HEAPS_BASE, set, firstPage)
}

test('what is taken does not overlap, is given back once, and joins its neighbours', () => {
  const heap = pageHeap()
  const draw = new Draw(7)
  const taken = new Map<number, number>()
  for (let step = 0; step < 20_000; step++) {
    if (draw.below(2) === 0 || taken.size === 0) {
      const pages = 1 + draw.below(9)
      if (heap.largestRun < pages * PAGE_BYTES) {
        assert.throws(() => heap.allocateChunk(pages * PAGE_BYTES), hasCode('RESOURCE_EXHAUSTED'))
        continue
      }
      const word = heap.allocateChunk(pages * PAGE_BYTES - draw.below(PAGE_BYTES - 1))
      assert.equal(word % WORDS, 0)
      for (const [other, count] of taken) assert.ok(word + pages * WORDS <= other || word >= other + count * WORDS)
      taken.set(word, pages)
    } else {
      const word = [...taken.keys()][draw.below(taken.size)]!
      heap.freeChunk(heap.region, word)
      taken.delete(word)
      assert.throws(() => heap.freeChunk(heap.region, word), hasCode('INVALID_ARGUMENT'))
    }
  }
  for (const word of taken.keys()) heap.freeChunk(heap.region, word)
  assert.equal(heap.largestRun, PAGES * PAGE_BYTES)
})

test('pages before the first one are never given out', () => {
  const heap = pageHeap(9)
  assert.equal(heap.address, HEAPS_BASE + 9 * PAGE_BYTES)
  assert.equal(heap.byteLength, (PAGES - 9) * PAGE_BYTES)
  assert.equal(heap.allocateChunk(1), 9 * WORDS)
  assert.throws(() => heap.allocateChunk((PAGES - 9) * PAGE_BYTES), hasCode('RESOURCE_EXHAUSTED'))
})
