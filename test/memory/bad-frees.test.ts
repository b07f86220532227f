// Every wrong free is an INVALID_ARGUMENT, and damages nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Heap } from '../../src/memory/index.js'
import { assertEmpty, capacity, Draw, hasCode, KIB, member, MIB, Model, free, someSize } from './model.js'

const refused = hasCode('INVALID_ARGUMENT')

function assertRefused(heap: Heap, word: number): void {
  const before = heap.stats()
  assert.throws(() => heap.free(heap.region, word), refused, `free of word ${word}`)
  assert.deepEqual(heap.stats(), before)
}

test('a second free of a block is refused, at once and after other frees', () => {
  for (const size of [1, 16, 100, 512, 5000, 100_000]) {
    const heap = member(new ArrayBuffer(8 * MIB))
    const words = Array.from({ length: 20 }, () => heap.allocate(size))
    for (const word of words) {
      heap.free(heap.region, word)
      assertRefused(heap, word)
    }
    for (const word of words) assertRefused(heap, word)
    assertEmpty(heap)
    for (const word of words) assertRefused(heap, word)
  }
})

test('a free inside a block is refused, wherever it points', () => {
  const heap = member(new ArrayBuffer(8 * MIB))
  const model = Model.of(heap)
  for (const size of [16, 40, 100, 160, 448, 512, 2000, 40_000]) {
    const { word, byteLength } = model.add(heap.allocate(size), heap.usableBytes(size))
    for (let inside = 1; inside < byteLength / 4; inside += inside < 64 ? 1 : 63) assertRefused(heap, word + inside)
  }
  while (model.blocks.length > 0) free(heap, model.remove(0))
  assertEmpty(heap)
})

test('a free of what was never allocated is refused: free spans, never used blocks, tables, beyond the heap', () => {
  const heap = member(new ArrayBuffer(MIB))
  const word = heap.allocate(64)
  assertRefused(heap, word + 16)
  assertRefused(heap, word + heap.geometry.spanBytes / 4)
  for (const wild of [0, 1, 16, 100, heap.region.words - 4, heap.region.words, heap.region.words * 2, 0x3fff_ffff, 0xffff_ffff, -1, -16, 1.5, Number.NaN]) {
    assertRefused(heap, wild)
  }
  heap.free(heap.region, word)
  assertEmpty(heap)
})

test('objects inside a chunk are not freed one by one: free does nothing, first object and all', () => {
  for (const size of [256, 100_000]) {
    const heap = member(new ArrayBuffer(4 * MIB))
    const chunk = heap.allocateChunk(size)
    const before = heap.stats()
    for (const offset of [0, 4, 32, size / 4 - 2]) heap.free(heap.region, chunk + offset)
    assert.deepEqual(heap.stats(), before)
    assert.throws(() => heap.freeChunk(chunk + 4), refused)
    heap.freeChunk(chunk)
    assert.throws(() => heap.freeChunk(chunk), refused)
    const object = heap.allocate(size)
    assert.throws(() => heap.freeChunk(object), refused, 'an object is no chunk')
    heap.free(heap.region, object)
    assertEmpty(heap)
  }
})

test('a thousand wild frees between honest ones change nothing', () => {
  const heap = member(new ArrayBuffer(2 * MIB))
  const draw = new Draw(5)
  const model = Model.of(heap)
  for (let step = 0; step < 3000; step++) {
    const size = someSize(draw, 20_000)
    model.add(heap.allocate(size), size)
    if (model.blocks.length > 150) free(heap, model.remove(draw.below(model.blocks.length)))
    const wild = draw.below(heap.region.words)
    if (model.blocks.every(({ word }) => word !== wild)) assertRefused(heap, wild)
  }
  while (model.blocks.length > 0) free(heap, model.remove(0))
  assertEmpty(heap)
  assert.equal(heap.stats().freeBytes, capacity(heap))
})

test('what is refused says where and why', () => {
  const heap = member(new ArrayBuffer(256 * KIB))
  const word = heap.allocate(16)
  heap.free(heap.region, word)
  assert.throws(() => heap.free(heap.region, word), /free of 0x4001[0-9a-f]{8}, which is not the start of a live block: freed before/)
})
