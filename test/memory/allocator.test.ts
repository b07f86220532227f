// One member alone: blocks never overlap, everything comes back, and a full heap is an error and not a loss.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { assertEmpty, capacity, codeOf, Draw, free, hasCode, KIB, member, MIB, Model, someSize } from './model.js'

for (const byteLength of [256 * KIB, 8 * MIB, 48 * MIB]) {
  test(`a long random mix in ${byteLength / KIB} KiB keeps live blocks apart and returns to its starting footprint`, () => {
    const heap = member(new ArrayBuffer(byteLength))
    const start = heap.stats()
    for (const seed of [1, 2]) {
      const draw = new Draw(seed)
      const model = Model.of(heap)
      let refused = 0
      for (let step = 0; step < 20_000; step++) {
        if (model.blocks.length > 0 && draw.below(1000) < 490) free(heap, model.remove(draw.below(model.blocks.length)))
        else {
          const size = someSize(draw, Math.min(byteLength >>> 4, 200 * KIB))
          const chunk = draw.below(4) === 0
          const code = codeOf(() => model.add(chunk ? heap.allocateChunk(size) : heap.allocate(size), size, chunk))
          if (code === undefined) continue
          assert.equal(code, 'RESOURCE_EXHAUSTED')
          refused++
        }
      }
      assert.ok(byteLength > MIB || refused > 0, 'the small heap was full at times')
      assert.equal(heap.stats().liveBlocks, model.blocks.length)
      while (model.blocks.length > 0) free(heap, model.remove(draw.below(model.blocks.length)))
      assertEmpty(heap)
      assert.deepEqual(heap.stats(), start)
    }
  })
}

test('every size from 0 to two spans gets a block that is long enough, and usableBytes says how long', () => {
  const heap = member(new ArrayBuffer(16 * MIB))
  const model = Model.of(heap)
  for (let size = 0; size <= heap.geometry.spanBytes * 2; size += size < 600 ? 1 : 97) {
    assert.ok(heap.usableBytes(size) >= size)
    model.add(heap.allocate(size), heap.usableBytes(size))
    model.add(heap.allocateChunk(size), heap.usableBytes(size), true)
    while (model.blocks.length > 200) free(heap, model.remove(0))
  }
  while (model.blocks.length > 0) free(heap, model.remove(0))
  assertEmpty(heap)
})

test('a full heap answers RESOURCE_EXHAUSTED, loses nothing, and goes on after a free', () => {
  for (const size of [16, 200, 512, 3000, 20_000]) {
    const heap = member(new ArrayBuffer(512 * KIB))
    const words: number[] = []
    while (codeOf(() => words.push(heap.allocate(size))) === undefined);
    assert.throws(() => heap.allocate(size), hasCode('RESOURCE_EXHAUSTED'))
    assert.equal(heap.stats().liveBlocks, words.length)
    assert.equal(new Set(words).size, words.length)
    assert.ok(words.length * heap.usableBytes(size) > capacity(heap) * 0.8, 'most of the heap was handed out')
    heap.free(heap.region, words.pop()!)
    words.push(heap.allocate(size))
    assert.throws(() => heap.allocate(size), hasCode('RESOURCE_EXHAUSTED'))
    for (const word of words) heap.free(heap.region, word)
    assertEmpty(heap)
    assert.equal(heap.stats().freeBytes, capacity(heap))
  }
})

test('memory of one size serves another when it is free', () => {
  const heap = member(new ArrayBuffer(512 * KIB))
  for (const size of [16, 48, 512, 100, 30_000, 16, 4000]) {
    const words: number[] = []
    while (codeOf(() => words.push(heap.allocate(size))) === undefined);
    assert.ok(words.length * heap.usableBytes(size) > capacity(heap) * 0.8, `${size} bytes filled the heap`)
    for (const word of words) heap.free(heap.region, word)
  }
  assertEmpty(heap)
})

test('a block as long as the heap can be had when it is empty; a longer one is refused', () => {
  const heap = member(new ArrayBuffer(2 * MIB))
  const whole = capacity(heap)
  for (let round = 0; round < 3; round++) {
    const word = heap.allocate(whole)
    assert.throws(() => heap.allocate(1), hasCode('RESOURCE_EXHAUSTED'))
    heap.free(heap.region, word)
    assertEmpty(heap)
  }
  assert.throws(() => heap.allocate(whole + 1), hasCode('RESOURCE_EXHAUSTED'))
  for (const size of [2 ** 32, 2 ** 32 + 16, 2 ** 40]) assert.throws(() => heap.allocate(size), hasCode('RESOURCE_EXHAUSTED'))
})

test('a heap too small for its own tables is always full', () => {
  const heap = member(new ArrayBuffer(4 * KIB))
  assert.throws(() => heap.allocate(16), hasCode('RESOURCE_EXHAUSTED'))
  assert.throws(() => heap.allocateChunk(8000), hasCode('RESOURCE_EXHAUSTED'))
})

test('a size that is no whole number of bytes is refused', () => {
  const heap = member(new ArrayBuffer(256 * KIB))
  for (const size of [-1, -1000, -(2 ** 32), Number.NaN, Number.POSITIVE_INFINITY, 1e300, 20_000.5]) {
    assert.throws(() => heap.allocate(size), hasCode('INVALID_ARGUMENT'), String(size))
    assert.throws(() => heap.allocateChunk(size), hasCode('INVALID_ARGUMENT'), String(size))
  }
  assertEmpty(heap)
})

test('a member number outside 1 to 1023, and memory of something else, are refused', () => {
  for (const number of [0, 1024, -1, 1.5]) assert.throws(() => member(new ArrayBuffer(256 * KIB), number), hasCode('INVALID_ARGUMENT'))
  const foreign = new ArrayBuffer(256 * KIB)
  new Int32Array(foreign)[0] = 77
  assert.throws(() => member(foreign), hasCode('FAILED_PRECONDITION'))
})

test('property: any sequence of allocations and frees keeps blocks apart and comes back to nothing', () => {
  const step = fc.record({ free: fc.boolean(), pick: fc.nat(), size: fc.oneof(fc.nat(600), fc.nat(9000), fc.nat(200_000)), chunk: fc.boolean() })
  fc.assert(fc.property(fc.array(step, { maxLength: 300 }), fc.constantFrom(128 * KIB, MIB, 6 * MIB), (steps, byteLength) => {
    const heap = member(new ArrayBuffer(byteLength))
    const model = Model.of(heap)
    for (const { free: frees, pick, size, chunk } of steps) {
      if (frees && model.blocks.length > 0) free(heap, model.remove(pick % model.blocks.length))
      else {
        const code = codeOf(() => model.add(chunk ? heap.allocateChunk(size) : heap.allocate(size), size, chunk))
        assert.ok(code === undefined || code === 'RESOURCE_EXHAUSTED')
      }
      assert.equal(heap.stats().liveBlocks, model.blocks.length)
    }
    while (model.blocks.length > 0) free(heap, model.remove(0))
    assertEmpty(heap)
  }), { numRuns: 150 })
})
