// Two members of one heap: each may free what the other allocated, once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Heap } from '../../src/memory/index.js'
import { assertEmpty, capacity, codeOf, Draw, free, hasCode, KIB, member, MIB, Model, someSize } from './model.js'

const refused = hasCode('INVALID_ARGUMENT')

function pair(byteLength: number): readonly [Heap, Heap] {
  const buffer = new ArrayBuffer(byteLength)
  return [member(buffer, 1), member(buffer, 2)]
}

test('blocks and chunks of all sizes freed by the other member come back to their owner', () => {
  const [owner, other] = pair(4 * MIB)
  for (const size of [1, 16, 100, 700, 8000, 70_000]) {
    const words = Array.from({ length: 10 }, () => owner.allocate(size))
    const chunks = Array.from({ length: 10 }, () => owner.allocateChunk(size))
    for (const word of words) other.free(other.region, word)
    for (const chunk of chunks) other.freeChunk(chunk)
    assert.equal(owner.stats().liveBlocks, 20, 'not before the owner collects')
    assertEmpty(owner)
    assertEmpty(other)
  }
  assert.equal(owner.stats().freeBytes, capacity(owner))
})

test('a second free by another member, or by the owner, is refused before and after the owner collects', () => {
  for (const size of [16, 100, 8000, 70_000]) {
    const [owner, other] = pair(4 * MIB)
    const third = member(other.region.i32.buffer as ArrayBuffer, 3)
    const word = owner.allocate(size)
    owner.allocate(size)
    other.free(other.region, word)
    assert.throws(() => other.free(other.region, word), refused)
    assert.throws(() => third.free(third.region, word), refused)
    assert.throws(() => owner.free(owner.region, word), refused, 'the owner too sees that it was freed')
    owner.collect()
    for (const heap of [owner, other, third]) assert.throws(() => heap.free(heap.region, word), refused)
    assert.equal(owner.stats().liveBlocks, 1)
    assert.equal(owner.stats().refusedFrees, 0)
  }
})

test('interior frees by the other member are refused and leave the block alive', () => {
  const [owner, other] = pair(4 * MIB)
  for (const size of [48, 160, 500, 5000, 70_000]) {
    const word = owner.allocate(size)
    for (const inside of [1, 2, 3, 4, 8, owner.usableBytes(size) / 4 - 1]) assert.throws(() => other.free(other.region, word + inside), refused)
    owner.collect()
    assert.equal(owner.stats().liveBlocks, 1)
    owner.free(owner.region, word)
  }
  assertEmpty(owner)
})

test('free of an object inside the other member\'s chunk does nothing; the chunk ends by freeChunk', () => {
  const [owner, other] = pair(4 * MIB)
  for (const size of [400, 90_000]) {
    const chunk = owner.allocateChunk(size)
    for (const offset of [0, 2, 40]) other.free(other.region, chunk + offset)
    owner.collect()
    assert.equal(owner.stats().liveBlocks, 1)
    assert.throws(() => other.freeChunk(chunk + 4), refused)
    other.freeChunk(chunk)
    assert.throws(() => other.freeChunk(chunk), refused)
    assertEmpty(owner)
    const object = owner.allocate(size)
    assert.throws(() => other.freeChunk(object), refused)
    owner.free(owner.region, object)
    assertEmpty(owner)
  }
})

test('an owner whose blocks are all freed by others never runs out', () => {
  const [owner, other] = pair(256 * KIB)
  for (let round = 0; round < 20_000; round++) {
    const size = [16, 200, 512, 6000][round % 4]!
    other.free(other.region, owner.allocate(size))
  }
  assertEmpty(owner)
})

test('two members at random: neither is given what the other holds, and all of it comes back', () => {
  const [first, second] = pair(2 * MIB)
  for (const seed of [11, 12, 13]) {
    const draw = new Draw(seed)
    const model = Model.of(first)
    for (let step = 0; step < 20_000; step++) {
      const heap = draw.below(2) === 0 ? first : second
      if (draw.below(100) < 50 && model.blocks.length > 0) {
        free(heap, model.remove(draw.below(model.blocks.length)))
        continue
      }
      const size = someSize(draw, 30_000)
      const chunk = draw.below(3) === 0
      const code = codeOf(() => model.add(chunk ? heap.allocateChunk(size) : heap.allocate(size), size, chunk))
      assert.ok(code === undefined || code === 'RESOURCE_EXHAUSTED')
    }
    while (model.blocks.length > 0) free(draw.below(2) === 0 ? first : second, model.remove(0))
    assertEmpty(first)
    assertEmpty(second)
    assert.equal(first.stats().freeBytes, capacity(first))
    assert.equal(first.stats().refusedFrees + second.stats().refusedFrees, 0)
  }
})
