// The memory of a member that died belongs to the living: what it had allocated stays alive, the rest can be used again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Directory, Kind } from '../../src/layout/heap-layout.js'
import type { Heap } from '../../src/memory/index.js'
import { makeEntry } from '../../src/memory/span-directory.js'
import { assertEmpty, capacity, codeOf, Draw, free, hasCode, KIB, member, MIB, Model, someSize } from './model.js'

function fill(heap: Heap, model: Model, draw: Draw, count: number): void {
  for (let i = 0; i < count; i++) {
    const size = someSize(draw, 60_000)
    const chunk = draw.below(3) === 0
    if (codeOf(() => model.add(chunk ? heap.allocateChunk(size) : heap.allocate(size), size, chunk)) !== undefined) return
    if (draw.below(3) === 0) free(heap, model.remove(draw.below(model.blocks.length)))
  }
}

test('blocks of a dead member stay alive and can be freed; everything else of it is used again', () => {
  for (const seed of [1, 2, 3, 4]) {
    const buffer = new ArrayBuffer(4 * MIB)
    const living = member(buffer, 1)
    const dying = member(buffer, 2)
    const draw = new Draw(seed)
    const model = Model.of(living)
    fill(dying, model, draw, 400)
    fill(living, model, draw, 100)
    living.memberDied(2)
    living.collect()
    assert.equal(living.stats().liveBlocks, model.blocks.length)
    fill(living, model, draw, 5000)
    while (model.blocks.length > 0) free(living, model.remove(draw.below(model.blocks.length)))
    assertEmpty(living)
    assert.equal(living.stats().freeBytes, capacity(living))
  }
})

test('what a member that crashed had built for calls goes once its calls are over, and its objects stay', () => {
  const buffer = new ArrayBuffer(4 * MIB)
  const living = member(buffer, 1)
  living.inherits = 'after calls'
  for (const [number, ...order] of [[2, 'calls', 'death'], [3, 'death', 'calls']] as const) {
    const dying = member(buffer, number)
    const objects = [16, 700, 100_000].map((size) => dying.allocate(size))
    for (const size of [64, 64, 700, 8000, 100_000]) dying.allocateChunk(size)
    for (const event of order) {
      const before = living.stats()
      living.collect()
      assert.equal(living.stats().adoptedSpans, before.adoptedSpans, 'its spans wait for both')
      if (event === 'death') living.memberDied(number)
      else living.callsEnded(number, true)
    }
    living.collect()
    assert.equal(living.stats().liveBlocks, objects.length)
    for (const word of objects) living.free(living.region, word)
    assertEmpty(living)
    assert.equal(living.stats().freeBytes, capacity(living))
  }
})

test('of those who share a heap one alone takes over, at once when the calls are over, and however many die together', () => {
  const buffer = new ArrayBuffer(4 * MIB)
  const heir = member(buffer, 1)
  heir.inherits = 'after calls'
  const other = member(buffer, 2)
  other.inherits = 'never'
  const dead = Array.from({ length: 100 }, (_, i) => i + 3)
  const objects: number[] = []
  for (const number of dead) {
    const dying = member(buffer, number)
    if (number % 10 === 0) objects.push(dying.allocate(16))
    if (number < 40) dying.allocateChunk(64)
    for (const living of [heir, other]) living.memberDied(number)
  }
  other.collect()
  other.free(other.region, objects.pop()!)
  assert.equal(other.stats().adoptedSpans, 0)
  for (const number of dead) heir.callsEnded(number, true)
  assert.equal(heir.stats().liveBlocks, objects.length, 'their objects alone are left')
  for (const word of objects) other.free(other.region, word)
  heir.collect()
  other.collect()
  assertEmpty(heir)
  assertEmpty(other)
  assert.equal(heir.stats().freeBytes, capacity(heir))
})

test('calls that end after too many have died are not taken for those of the next member with that number', () => {
  const buffer = new ArrayBuffer(4 * MIB)
  const heir = member(buffer, 1)
  heir.inherits = 'after calls'
  // As many as wait, and one more: the first waits no longer.
  for (let number = 2; number < 2 + 257; number++) heir.memberDied(number)
  heir.callsEnded(2, true)
  const next = member(buffer, 2)
  next.allocateChunk(64)
  heir.memberDied(2)
  heir.collect()
  assert.equal(heir.stats().adoptedSpans, 0, 'its handlers may read what it has built')
  heir.callsEnded(2, true)
  assert.deepEqual([heir.stats().adoptedSpans, heir.stats().liveBlocks], [1, 0])
})

test('what a member that left has built for calls is its own to give back', () => {
  const buffer = new ArrayBuffer(4 * MIB)
  const living = member(buffer, 1)
  living.inherits = 'after calls'
  const leaving = member(buffer, 2)
  const chunk = leaving.allocateChunk(64)
  living.memberDied(2)
  living.callsEnded(2, false)
  living.collect()
  living.freeChunk(chunk)
  assertEmpty(living)
})

test('a block of a dead member whose calls are not over is freed as a living one\'s', () => {
  const buffer = new ArrayBuffer(4 * MIB)
  const living = member(buffer, 1)
  living.inherits = 'after calls'
  const dying = member(buffer, 2)
  const words = [16, 700, 100_000].map((size) => dying.allocate(size))
  living.memberDied(2)
  for (const word of words) {
    living.free(living.region, word)
    assert.throws(() => living.free(living.region, word), hasCode('INVALID_ARGUMENT'))
  }
  living.callsEnded(2, true)
  living.collect()
  assertEmpty(living)
  assert.equal(living.stats().freeBytes, capacity(living))
})

test('a member that dies with a full heap leaves it to whoever needs memory next', () => {
  const buffer = new ArrayBuffer(MIB)
  const living = member(buffer, 1)
  const dying = member(buffer, 2)
  const words: number[] = []
  while (codeOf(() => words.push(dying.allocate(500))) === undefined);
  const kept = words.filter((word, index) => index % 2 === 0 || codeOf(() => dying.free(dying.region, word)) !== undefined)
  assert.throws(() => living.allocate(500), hasCode('RESOURCE_EXHAUSTED'))
  living.memberDied(2)
  living.free(living.region, living.allocate(500))
  for (const word of kept) living.free(living.region, word)
  assertEmpty(living)
})

test('blocks freed by others before and after the death come back to the adopter', () => {
  const buffer = new ArrayBuffer(4 * MIB)
  const [first, second, dying] = [member(buffer, 1), member(buffer, 2), member(buffer, 3)]
  for (const size of [16, 700, 8000, 100_000]) {
    const [before, after, own] = [dying.allocate(size), dying.allocate(size), dying.allocate(size)]
    second.free(second.region, before)
    first.memberDied(3)
    first.collect()
    assert.throws(() => second.free(second.region, before), hasCode('INVALID_ARGUMENT'))
    second.free(second.region, after)
    assert.throws(() => second.free(second.region, after), hasCode('INVALID_ARGUMENT'))
    first.free(first.region, own)
    assertEmpty(first)
  }
})

test('a free that finds a dead owner adopts, and frees', () => {
  const buffer = new ArrayBuffer(4 * MIB)
  for (const size of [16, 100_000]) {
    const living = member(buffer, 1)
    const dying = member(buffer, 2)
    const word = dying.allocate(size)
    living.memberDied(2)
    living.free(living.region, word)
    assert.throws(() => living.free(living.region, word), hasCode('INVALID_ARGUMENT'))
    assertEmpty(living)
  }
})

test('two survivors that both hear of the death share out the spans without taking one twice', () => {
  const buffer = new ArrayBuffer(4 * MIB)
  const [first, second, dying] = [member(buffer, 1), member(buffer, 2), member(buffer, 3)]
  const draw = new Draw(9)
  const model = Model.of(first)
  fill(dying, model, draw, 600)
  first.memberDied(3)
  second.memberDied(3)
  for (let round = 0; round < 2000; round++) fill(round % 2 === 0 ? first : second, model, draw, 2)
  first.collect()
  second.collect()
  assert.equal(first.stats().liveBlocks + second.stats().liveBlocks, model.blocks.length)
  while (model.blocks.length > 0) free(draw.below(2) === 0 ? first : second, model.remove(0))
  assertEmpty(first)
  assertEmpty(second)
  assert.equal(first.stats().freeBytes, capacity(first))
})

test('an adopter that dies is adopted in turn, large runs whole', () => {
  const buffer = new ArrayBuffer(4 * MIB)
  const model = Model.of(member(buffer, 1))
  const draw = new Draw(3)
  const members = [1, 2, 3, 4, 5].map((number) => member(buffer, number))
  fill(members[0]!, model, draw, 300)
  model.add(members[0]!.allocate(600_000), 600_000)
  for (let next = 1; next < members.length; next++) {
    members[next]!.memberDied(next)
    members[next]!.collect()
    assert.equal(members[next]!.stats().liveBlocks, model.blocks.length)
    fill(members[next]!, model, draw, 50)
  }
  const last = members.at(-1)!
  while (model.blocks.length > 0) free(last, model.remove(0))
  assertEmpty(last)
  assert.equal(last.stats().freeBytes, capacity(last))
})

// What the directory holds when a member dies between two stores of a claim or a release of a large block.
for (const [what, promised, continued] of [
  ['a claim that got no further than its head', 0, 0],
  ['a claim of three of five spans', 0, 2],
  ['a complete claim whose length was not yet written', 0, 4],
  ['a release that had freed two of five spans', 0, 2],
] as const) {
  test(`${what} is given back to everybody`, () => {
    const buffer = new ArrayBuffer(MIB)
    const living = member(buffer, 1)
    const words = new Int32Array(buffer)
    const head = Directory.WORD + (living.geometry.firstSpan + 7) * 2
    words[head] = makeEntry(2, Kind.LARGE)
    words[head + 1] = promised
    for (let i = 1; i <= continued; i++) words[head + i * 2] = makeEntry(2, Kind.CONTINUED)
    living.memberDied(2)
    assertEmpty(living)
    assert.equal(living.stats().freeBytes, capacity(living))
  })
}

test('an adopted run whose adopter died while it gave it back is given back whole, whoever made it', () => {
  const buffer = new ArrayBuffer(MIB)
  const living = member(buffer, 1)
  const words = new Int32Array(buffer)
  const head = Directory.WORD + (living.geometry.firstSpan + 3) * 2
  words[head] = makeEntry(3, Kind.LARGE)
  for (let i = 1; i <= 3; i++) words[head + i * 2] = makeEntry(2, Kind.CONTINUED)
  living.memberDied(3)
  assertEmpty(living)
  assert.equal(living.stats().freeBytes, capacity(living))
})

test('onlyLiving adopts from every owner that is not listed', () => {
  const buffer = new ArrayBuffer(2 * MIB)
  const heaps = [1, 2, 3, 4].map((number) => member(buffer, number))
  for (const heap of heaps) heap.allocate(40)
  heaps[0]!.onlyLiving(new Set([1, 3]))
  heaps[0]!.collect()
  assert.equal(heaps[0]!.stats().liveBlocks, 3)
  assert.equal(heaps[2]!.stats().liveBlocks, 1)
})

test('a member never adopts from itself, and hearing of many deaths costs no memory', () => {
  const heap = member(new ArrayBuffer(256 * KIB), 7)
  const word = heap.allocate(16)
  for (let number = 1; number <= 1023; number++) heap.memberDied(number)
  heap.collect()
  assert.equal(heap.stats().liveBlocks, 1)
  heap.free(heap.region, word)
  assertEmpty(heap)
})
