// Scopes: contiguous pages with an allocator of their own; pools of them, whose seals are released in batches.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { Heap, HeapScopes, HeapSet, type Scope, ScopePool, type ScopePoolOptions } from '../../src/memory/index.js'
import { build, copyGraph, list, locationOf, plain, ref, release, struct, text, u32 } from '../../src/objects/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'
import { assertEmpty, Draw, hasCode, KIB, MIB } from './model.js'

const Node = struct('ScopeNode', { id: u32, name: text, tags: list(text), get next() { return ref(Node) } })

function heapsOf(byteLength = 32 * MIB): HeapSet {
  return new HeapSet((space) => new Heap(new ArrayBuffer(byteLength), HEAPS_BASE, 1, space))
}

function assertAllEmpty(set: HeapSet): void {
  for (const heap of set.heaps) assertEmpty(heap)
}

/** A seal authority that notes what it is told. */
class Releaser {
  readonly released: number[][] = []

  releaseSeals(scopes: readonly Scope[]): void {
    this.released.push(scopes.map(({ seal }) => seal))
  }
}

function poolOf(set: HeapSet, options: Partial<ScopePoolOptions> = {}): { readonly pool: ScopePool, readonly releaser: Releaser } {
  const releaser = new Releaser()
  return { pool: new ScopePool(set, { scopeBytes: PAGE_BYTES, count: 8, ...options }, releaser), releaser }
}

for (const heapBytes of [256 * KIB, 4 * MIB, 32 * MIB]) {
  test(`scopes of a heap of ${heapBytes / KIB} KiB are whole pages that nothing else lies in`, () => {
    const set = heapsOf(heapBytes)
    const scopes = new HeapScopes(set)
    const made = [1, 4096, 4097, 8192, 12_000, 20_000].map((bytes) => scopes.create(bytes))
    const beside = [set.allocate(4096), set.allocate(16), set.allocateChunk(4096), set.allocate(5000)].map((word) => set.region.addressOf(word))
    for (const scope of made) {
      assert.equal(scope.address % PAGE_BYTES, 0)
      assert.equal(scope.byteLength % PAGE_BYTES, 0)
      for (const address of [...beside, ...made.filter((other) => other !== scope).map((other) => other.address)]) {
        assert.ok(address < scope.address || address >= scope.address + scope.byteLength)
      }
    }
    assert.deepEqual(made.map((scope) => scope.byteLength), [4096, 4096, 8192, 8192, 12_288, 20_480])
    for (const scope of made) scope.destroy()
  })
}

test('objects built in a scope lie in it, stay in it when they are changed, and go with it', () => {
  const set = heapsOf()
  const scope = new HeapScopes(set).create(PAGE_BYTES)
  const node = build(Node, scope, { id: 1, name: 'a name with memory', tags: ['one tag of several'], next: { id: 2, name: 'the second node', tags: [], next: null } })
  node.name = 'another name, longer than the first one was'
  node.tags.push('a tag that was added')
  node.next!.next = build(Node, scope, { id: 3, name: '', tags: [], next: null })
  assert.deepEqual(plain(node).tags, ['one tag of several', 'a tag that was added'])
  for (const view of [node, node.next, node.next!.next]) {
    const { region, word } = locationOf(view!)
    assert.equal(region, scope.region)
    assert.ok(region.addressOf(word) >= scope.address && region.addressOf(word) < scope.address + scope.usedBytes)
  }
  release(scope, node, { deep: true })
  assert.equal(scope.liveBlocks, 0)
  assert.equal(scope.usedBytes, 0, 'an empty scope starts anew')
  scope.destroy()
  assertAllEmpty(set)
})

test('an object elsewhere cannot be pointed to from a scope, and can be copied into it', () => {
  const set = heapsOf()
  const scopes = new HeapScopes(set)
  const scope = scopes.create(PAGE_BYTES)
  const other = scopes.create(PAGE_BYTES)
  for (const allocator of [set, other]) {
    const outside = build(Node, allocator, { id: 9, name: 'outside of the scope', tags: [], next: null })
    const pointing = build(Node, scope, { id: 1, name: '', tags: [], next: null })
    for (const point of [() => build(Node, scope, { id: 1, name: '', tags: [], next: outside }), () => { pointing.next = outside }]) {
      assert.throws(point, (error) => hasCode('INVALID_ARGUMENT')(error) && /next: .*outside of the scope.*scope\.copyFrom\(view\)/.test(String(error)))
    }
    const inside = copyGraph(outside, scope)
    pointing.next = inside
    assert.equal(build(Node, scope, { id: 1, name: '', tags: [], next: inside }).next!.name, 'outside of the scope')
  }
})

test('blocks never overlap, freed ones are used again, and bad frees are refused', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const draw = new Draw(seed)
    const scope = new HeapScopes(heapsOf()).create(16 * PAGE_BYTES)
    const live = new Map<number, number>()
    const owner = new Int32Array(scope.byteLength / 4).fill(-1)
    for (let step = 0; step < 2000; step++) {
      if (live.size > 0 && draw.below(3) === 0) {
        const word = [...live.keys()][draw.below(live.size)]!
        assert.throws(() => scope.free(scope.region, word + 2), hasCode('INVALID_ARGUMENT'), 'interior')
        scope.free(scope.region, word)
        owner.fill(-1, word - scope.region.shift, word - scope.region.shift + live.get(word)! / 4)
        live.delete(word)
        if (live.size > 0) assert.throws(() => scope.free(scope.region, word), hasCode('INVALID_ARGUMENT'), 'double')
        continue
      }
      const bytes = 16 + 8 * draw.below(12)
      let word: number
      try {
        word = scope.allocate(bytes - draw.below(8))
      } catch (error) {
        assert.ok(hasCode('RESOURCE_EXHAUSTED')(error))
        scope.reset()
        live.clear()
        owner.fill(-1)
        continue
      }
      const at = word - scope.region.shift
      assert.equal(at % 2, 0)
      assert.ok(at >= 0 && at * 4 + bytes <= scope.usedBytes && scope.usedBytes <= scope.byteLength)
      for (let i = at; i < at + bytes / 4; i++) assert.equal(owner[i], -1, `seed ${seed}: word ${i} is used twice`)
      owner.fill(word, at, at + bytes / 4)
      live.set(word, bytes)
      assert.equal(scope.liveBlocks, live.size)
    }
  }
})

test('a destroyed scope and a sealed one refuse everything', () => {
  const set = heapsOf()
  const scope = new HeapScopes(set).create(PAGE_BYTES)
  const word = scope.allocate(16)
  scope.seal = 1
  const precondition = hasCode('FAILED_PRECONDITION')
  const uses: readonly (() => void)[] = [() => scope.allocate(16), () => scope.free(scope.region, word), () => scope.reset()]
  for (const use of [...uses, (): void => scope.destroy()]) assert.throws(use, precondition)
  scope.seal = 0
  scope.destroy()
  for (const use of uses) assert.throws(use, precondition)
  scope.destroy()
  assertAllEmpty(set)
})

test('sizes that are none are refused', () => {
  const set = heapsOf()
  for (const bytes of [0, -1, 1.5, NaN, Infinity, 2 ** 31]) assert.throws(() => new HeapScopes(set).create(bytes), hasCode('INVALID_ARGUMENT'))
  for (const options of [{ count: 0 }, { count: 1.5 }, { scopeBytes: 0 }, { releaseBatch: 0 }, { count: 1 << 20, scopeBytes: 1 << 20 }]) {
    assert.throws(() => poolOf(set, options), hasCode('INVALID_ARGUMENT'))
  }
  assert.throws(() => new HeapScopes(set).create(64 * MIB), hasCode('RESOURCE_EXHAUSTED'))
  assert.throws(() => poolOf(set, { count: 64 * 1024 }), hasCode('RESOURCE_EXHAUSTED'))
  assertAllEmpty(set)
})

test('a pool hands out contiguous scopes until it is exhausted, and takes them back', () => {
  const set = heapsOf()
  const { pool } = poolOf(set, { scopeBytes: 5000 })
  const scopes = Array.from({ length: 8 }, () => pool.take())
  assert.deepEqual(scopes.map((scope) => scope.address - scopes[0]!.address), [0, 1, 2, 3, 4, 5, 6, 7].map((i) => i * 8192))
  assert.throws(() => pool.take(), hasCode('RESOURCE_EXHAUSTED'))
  scopes[3]!.allocate(100)
  scopes[3]!.destroy()
  scopes[3]!.destroy()
  assert.equal(pool.available, 1)
  assert.equal(pool.take().usedBytes, 0)
  assert.throws(() => pool.take(), hasCode('RESOURCE_EXHAUSTED'))
  pool.close()
  pool.close()
  assert.throws(() => pool.take(), hasCode('FAILED_PRECONDITION'))
  assert.throws(() => scopes[0]!.allocate(8), hasCode('FAILED_PRECONDITION'))
  assertAllEmpty(set)
})

test('a batch is 1024 scopes where nobody says otherwise', () => {
  const { pool, releaser } = poolOf(heapsOf(), { count: 1100 })
  const taken = Array.from({ length: 1024 }, () => pool.take())
  for (const [i, scope] of taken.entries()) {
    assert.equal(releaser.released.length, 0, `${i} wait`)
    scope.seal = i + 1
    scope.destroy()
  }
  assert.deepEqual(releaser.released.map(({ length }) => length), [1024])
})

test('seals are released when a batch is full, on demand, and when no other scope is left, sorted by address', () => {
  const { pool, releaser } = poolOf(heapsOf(), { releaseBatch: 4 })
  const taken = Array.from({ length: 8 }, () => pool.take())
  const giveBack = (...numbers: readonly number[]): void => {
    for (const number of numbers) {
      taken[number]!.seal = number + 1
      taken[number]!.destroy()
    }
  }
  giveBack(5, 1, 2)
  assert.equal(releaser.released.length, 0)
  assert.equal(pool.awaitingRelease, 3)
  assert.equal(pool.available, 0)
  giveBack(4)
  assert.deepEqual(releaser.released, [[2, 3, 5, 6]])
  assert.equal(pool.available, 4)

  giveBack(0)
  pool.release()
  pool.release()
  assert.deepEqual(releaser.released[1], [1])

  for (let i = 0; i < 5; i++) assert.equal(pool.take().sealed, false)
  giveBack(7, 6)
  pool.take()
  assert.deepEqual(releaser.released[2], [7, 8])
  assert.equal(releaser.released.length, 3)
})

test('a pool is not closed while a call with one of its scopes is in flight; a failed release loses no scope', () => {
  const set = heapsOf()
  const { pool, releaser } = poolOf(set, { count: 2 })
  const scope = pool.take()
  scope.seal = 1
  assert.throws(() => pool.close(), hasCode('FAILED_PRECONDITION'))
  scope.destroy()
  releaser.releaseSeals = (): void => {
    throw new Error('the kernel refuses')
  }
  assert.throws(() => pool.release(), /kernel refuses/)
  assert.equal(pool.awaitingRelease, 1)
  releaser.releaseSeals = (): void => {}
  pool.close()
  assertAllEmpty(set)
})

test('a pool that lacks a size or a count says which', () => {
  const set = heapsOf()
  for (const [options, missing] of [[{ count: 4 }, /needs scopeBytes/], [{ scopeBytes: 4096 }, /needs count/], [undefined, /needs scopeBytes/], [4096, /needs scopeBytes/]] as const) {
    assert.throws(() => new ScopePool(set, options as never), missing)
  }
})
