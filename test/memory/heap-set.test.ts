// Several heaps of one connection as one allocator, and the chunks that arguments are built in.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { makeAddress } from '../../src/base/numbers.js'
import { CallScope, Heap, HEAPS_MAX, HeapSet, type Region } from '../../src/memory/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'
import { assertEmpty, Draw, hasCode, KIB, MIB } from './model.js'

function heapAt(index: number, byteLength: number, set: HeapSet | null): Heap {
  return new Heap(new ArrayBuffer(byteLength), makeAddress(0x4001 + (index >>> 4), (index & 15) * 64 * MIB), 1, set)
}

function setOf(...lengths: readonly number[]): HeapSet {
  const [first = 256 * KIB, ...more] = lengths
  const set = new HeapSet((space) => new Heap(new ArrayBuffer(first), HEAPS_BASE, 1, space))
  for (const [index, byteLength] of more.entries()) set.add(heapAt(index + 1, byteLength, set))
  return set
}

function assertAllEmpty(set: HeapSet): void {
  for (const heap of set.heaps) assertEmpty(heap)
  assert.equal(set.stats().ownedBytes, 0)
}

test('allocation goes on in a heap added later when the first is full, and frees find their heap', () => {
  const set = setOf(256 * KIB)
  const held: { readonly region: Region; readonly word: number }[] = []
  const fill = (): void => {
    for (;;) {
      const word = set.allocate(300)
      held.push({ region: set.region, word })
    }
  }
  assert.throws(fill, hasCode('RESOURCE_EXHAUSTED'))
  const first = held.length
  set.add(heapAt(1, 512 * KIB, set))
  assert.throws(fill, hasCode('RESOURCE_EXHAUSTED'))
  assert.ok(held.length > first * 2, 'the second heap was filled too')
  const keys = held.map(({ region, word }) => region.addressOf(word))
  assert.equal(new Set(keys).size, keys.length)
  const draw = new Draw(1)
  while (held.length > 0) {
    const { region, word } = held.splice(draw.below(held.length), 1)[0]!
    set.free(region, word)
  }
  assertAllEmpty(set)
})

test('a block too long for the first heap is taken from one that has room', () => {
  const set = setOf(256 * KIB, 4 * MIB)
  const word = set.allocate(2 * MIB)
  assert.equal(set.region, set.heaps[1]!.region)
  set.free(set.region, word)
  const chunk = set.allocateChunk(2 * MIB)
  set.freeChunk(set.region, chunk)
  assertAllEmpty(set)
})

test('what is retired is live until the turn ends, and is refused at once when it is no block', async () => {
  const set = setOf(256 * KIB)
  const [first, second] = [set.allocate(40), set.allocate(40)]
  const { region } = set
  assert.throws(() => { set.retire(region, first + 4) }, hasCode('INVALID_ARGUMENT'))
  set.retire(region, first)
  set.retire(region, second)
  set.retire(region, first)
  assert.throws(() => { set.free(region, first) }, hasCode('INVALID_ARGUMENT'))
  assert.notEqual(set.allocate(40), second, 'its memory is used again while views of it may be held')
  // As a peer may at any moment: nobody is there to be told of it.
  set.heaps[0]!.free(region, second)
  const other = set.allocate(40)
  assert.equal(other, second)
  await nextTurn()
  assert.equal(set.heaps[0]!.isLive(first), false)
})

test('the latest 1024 of what is retired wait, and one is found among them as fast as where it is alone', () => {
  const set = setOf(256 * KIB, 256 * KIB)
  const blocks = Array.from({ length: 5000 }, () => ({ word: set.allocate(56), region: set.region }))
  assert.equal(new Set(blocks.map(({ region }) => region)).size, 2)
  const millisecondsOf = ({ region, word }: { readonly region: Region, readonly word: number }): number => Math.min(...Array.from({ length: 5 }, () => {
    const start = performance.now()
    for (let i = 0; i < 20_000; i++) set.retire(region, word)
    return performance.now() - start
  }))
  const [first, last] = [blocks[0]!, blocks.at(-1)!]
  millisecondsOf(first)
  const alone = millisecondsOf(first)
  for (const { region, word } of blocks) set.retire(region, word)
  for (const [i, { region, word }] of blocks.entries()) {
    assert.equal(set.isLive(region, word), i >= blocks.length - 1024, `block ${i}`)
    assert.throws(() => { set.free(region, word) }, hasCode('INVALID_ARGUMENT'))
  }
  // A peer's value may lead to one block millions of times.
  const among = millisecondsOf(last)
  assert.ok(among < alone * 15, `${among} ms instead of ${alone}`)
  set.settle()
  assertAllEmpty(set)
})

test('pointers resolve in every heap of the set and nowhere else', () => {
  const set = setOf(256 * KIB, 256 * KIB)
  for (const { region } of set.heaps) {
    assert.equal(set.locate(region.high, region.low, 8), region)
    assert.equal(set.locate(region.high, region.lowOf(region.words - 2), 8), region)
    assert.equal(set.locate(region.high, region.lowOf(region.words - 1), 8), undefined)
    assert.ok(set.owns(region))
  }
  const other = setOf(256 * KIB)
  assert.ok(!set.owns(other.region))
  assert.throws(() => set.free(other.region, 5000), hasCode('INVALID_ARGUMENT'))
})

test('what others lend is read-only to whoever follows a pointer there, and stays theirs to write, point to and free', () => {
  const set = setOf(256 * KIB)
  // In the window, and the later half of a heap: a region's words need not begin with its buffer.
  const lender = heapAt(3, 256 * KIB, null)
  const { region } = lender
  region.aim(1 << 15, 1 << 15, region.high, region.lowOf(1 << 15))
  const own = set.byteLength
  const found = set.lend(region)
  assert.equal(set.byteLength, own + (1 << 17), 'a walk may read of it, too')
  assert.equal(set.locate(region.high, region.low, 8), found)
  assert.equal(found.resolve(region.high, region.low, 8), region.resolve(region.high, region.low, 8))
  assert.equal(set.locate(region.high, region.lowOf(1 << 15) - 8, 8), undefined)
  assert.equal(found.i32, region.i32)
  assert.deepEqual([found.readOnly, region.readOnly, found.allocator, found.membership], [true, false, null, null])
  assert.ok(set.owns(region) && set.owns(found))
  for (const one of [region, found]) assert.throws(() => set.free(one, 1 << 15), hasCode('FAILED_PRECONDITION'))
  found.budget = 1
  set.refill()
  assert.equal(found.budget, found.allowance)
})

test('what its owner meets by a pointer in memory of others it frees by a view of its own, and is told so', () => {
  const [owner, borrower] = [setOf(256 * KIB), setOf(128 * KIB)]
  const word = owner.allocate(100)
  const found = borrower.lend(owner.region)
  assert.throws(() => owner.free(found, word), (error) => hasCode('FAILED_PRECONDITION')(error) && /only for reading: free heap\.at\(Type, addressOf\(view\)\)/.test(String(error)))
  owner.free(owner.region, word)
  assertAllEmpty(owner)
})

test('a connection has a bounded number of heaps', () => {
  const set = setOf(128 * KIB)
  while (set.heaps.length < HEAPS_MAX) set.add(heapAt(set.heaps.length, 128 * KIB, set))
  assert.throws(() => set.add(heapAt(HEAPS_MAX, 128 * KIB, set)), hasCode('RESOURCE_EXHAUSTED'))
})

test('a scope lays objects one after the other, keeps a chunk between uses, and ends with nothing', () => {
  const set = setOf(MIB)
  const scope = new CallScope(set)
  assert.ok(scope.isEmpty)
  const first = scope.allocate(20)
  assert.equal(scope.allocate(8), first + 6, 'the next multiple of 8 bytes')
  assert.equal(scope.usedBytes, 32)
  assert.equal(scope.firstWord, first)
  scope.reset()
  assert.ok(scope.isEmpty)
  const before = set.stats()
  for (let call = 0; call < 100; call++) {
    assert.equal(scope.allocate(16), first, 'the same chunk again')
    scope.reset()
  }
  assert.deepEqual(set.stats(), before)
  scope.close()
  assertAllEmpty(set)
})

test('a value that outgrows its chunk goes on in further ones, which reset frees', () => {
  const set = setOf(4 * MIB)
  const scope = new CallScope(set)
  const words = Array.from({ length: 1000 }, () => scope.allocate(24))
  assert.equal(new Set(words).size, 1000)
  assert.ok(!scope.isOneChunk)
  assert.equal(scope.totalBytes, 24_000)
  assert.equal(scope.firstWord, words[0])
  scope.reset()
  assert.ok(scope.isOneChunk)
  assert.equal(set.stats().liveBlocks, 1)
  scope.reserve(24_000)
  const start = scope.allocate(8)
  for (let i = 1; i < 3000; i++) assert.equal(scope.allocate(8), start + i * 2)
  assert.ok(scope.isOneChunk)
  scope.close()
  assertAllEmpty(set)
})

test('a long chunk is not kept, and a chunk given to the peer is the peer\'s to free', () => {
  const set = setOf(8 * MIB)
  const scope = new CallScope(set)
  scope.allocate(3 * MIB)
  scope.reset()
  assertAllEmpty(set)
  scope.allocate(100)
  const { firstRegion, firstWord } = scope
  scope.detach()
  scope.close()
  assert.equal(set.stats().liveBlocks, 1)
  set.freeChunk(firstRegion, firstWord)
  assertAllEmpty(set)
})

test('free of an object in a scope does nothing, also through the heap', () => {
  const set = setOf(MIB)
  const scope = new CallScope(set)
  const word = scope.allocate(16)
  scope.free()
  set.free(scope.region, word)
  assert.equal(set.stats().liveBlocks, 1)
  scope.close()
  assertAllEmpty(set)
})

test('a scope whose chunks a peer has freed throws once and loses none of the others', () => {
  const set = setOf(4 * MIB)
  const scope = new CallScope(set)
  const word = scope.allocate(16)
  for (let i = 0; i < 500; i++) scope.allocate(24)
  set.freeChunk(set.region, word)
  assert.throws(() => scope.close(), hasCode('INVALID_ARGUMENT'))
  scope.close()
  assertAllEmpty(set)
})

test('a scope in full heaps throws and stays usable', () => {
  const set = setOf(128 * KIB)
  const scope = new CallScope(set)
  assert.throws(() => { for (;;) scope.allocate(1000) }, hasCode('RESOURCE_EXHAUSTED'))
  scope.reset()
  scope.allocate(64)
  scope.close()
  assertAllEmpty(set)
})
