import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { RpcError } from '../../src/base/errors.js'
import { bool, build, copyGraph, f32, f64, i16, i64, list, locationOf, nothing, plain, ref, release, safeI64, same, sortedMap, struct, text, u32, u64, u8, type Range, type SortedMapView } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

type Key = string | number | bigint | boolean | readonly Key[]
type Model = Array<[Key, unknown]>

function before(a: Key, b: Key): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    for (const [i, part] of (a as readonly Key[]).entries()) {
      const other = (b as readonly Key[])[i]
      if (other === undefined) return false
      if (before(part, other) || before(other, part)) return before(part, other)
    }
    return false
  }
  return a < b
}

const compare = (a: Key, b: Key): number => before(a, b) ? -1 : before(b, a) ? 1 : 0

function startsWith(key: Key, prefix: Key): boolean {
  if (typeof prefix === 'string') return (key as string).startsWith(prefix)
  const parts = prefix as readonly Key[]
  return parts.every((part, i) => i === parts.length - 1 && typeof part === 'string' ? startsWith((key as readonly Key[])[i]!, part) : (key as readonly Key[])[i] === part)
}

// A shorter tuple stands for all that begin with it.
const cut = (key: Key, bound: Key): Key => Array.isArray(key) && Array.isArray(bound) ? key.slice(0, bound.length) as Key : key

function inRange(model: Model, range: Range<Key>): Model {
  const { from, after, to, before: end, prefix, reverse } = range as { readonly [K in keyof Range<Key>]: Key } & { readonly reverse?: boolean }
  const found = model.filter(([key]) =>
    (from === undefined || compare(cut(key, from), from) >= 0) && (after === undefined || compare(cut(key, after), after) > 0) &&
    (to === undefined || compare(cut(key, to), to) <= 0) && (end === undefined || compare(cut(key, end), end) < 0) &&
    (prefix === undefined || startsWith(key, prefix)))
  return reverse === true ? found.toReversed() : found
}

const word = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'abc', 'abcd', 'abcde', 'abcdefgh', 'abcdefghi', 'ein Schlüssel', 'ÿ', 'ÿa', 'ā', 'āb', 'κλειδί', '\0', 'a\0', '\uD800', '__proto__'),
  fc.string({ maxLength: 12 }), fc.string({ unit: 'binary', maxLength: 6 }))
const keyKinds: ReadonlyArray<readonly [name: string, type: unknown, keys: fc.Arbitrary<Key>]> = [
  ['text', text, word],
  ['f64', f64, fc.double({ noNaN: true }).map((x) => x === 0 ? 0 : x)],
  ['f32', f32, fc.float({ noNaN: true }).map((x) => x === 0 ? 0 : x)],
  ['u8', u8, fc.nat(255)],
  ['i16', i16, fc.integer({ min: -32768, max: 32767 })],
  ['i64', i64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  ['u64', u64, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })],
  ['safeI64', safeI64, fc.maxSafeInteger()],
  ['bool', bool, fc.boolean()],
  ['a tuple', [text, u32], fc.tuple(fc.constantFrom('', 'one', 'a longer text', 'a longer one', 'κ'), fc.nat(20))],
  ['a tuple with text behind', [bool, text], fc.tuple(fc.boolean(), word)],
]

type Step = { readonly do: 'set' | 'delete' | 'clear', readonly key: Key, readonly value: string }

for (const [name, keyType, keys] of keyKinds) {
  test(`a sorted map with ${name} as keys is a sorted Map, and frees what it drops`, () => {
    const type = sortedMap(keyType as typeof text, text)
    const Holder = struct('Holder', { map: type })
    const step: fc.Arbitrary<Step> = fc.record({
      do: fc.oneof({ weight: 30, arbitrary: fc.constant('set' as const) }, { weight: 15, arbitrary: fc.constant('delete' as const) }, { weight: 1, arbitrary: fc.constant('clear' as const) }),
      key: keys, value: fc.string({ maxLength: 20 }),
    })
    fc.assert(fc.property(fc.array(step, { maxLength: 150, size: 'max' }), fc.array(keys, { maxLength: 6 }), (steps, probes) => {
      const arena = new Arena(1 << 18)
      const holder = build(Holder, arena, {})
      const shared = holder.map as unknown as SortedMapView<Key, string>
      let model: Model = []
      for (const { do: what, key, value } of steps) {
        const at = model.findIndex(([known]) => compare(known, key) === 0)
        if (what === 'set') {
          shared.set(key, value)
          if (at >= 0) model[at] = [key, value]
          else model.push([key, value])
        } else if (what === 'delete') {
          assert.equal(shared.delete(key), at >= 0)
          if (at >= 0) model.splice(at, 1)
        } else {
          shared.clear()
          model = []
        }
        assert.equal(shared.size, model.length)
        assert.equal(shared.get(key), what === 'set' ? value : undefined)
      }
      model.sort(([a], [b]) => compare(a, b))
      assert.deepEqual([...shared], model)
      for (const probe of probes) {
        assert.deepEqual(shared.get(probe), model.find(([key]) => compare(key, probe) === 0)?.[1])
        const other = probes[0]!
        const part = Array.isArray(probe) ? [(probe as readonly Key[])[0]!] : probe
        const ranges: Range<Key>[] = [
          { from: probe }, { after: probe }, { to: probe }, { before: probe }, { from: other, to: probe }, { after: other, before: probe, reverse: true },
          { from: part, to: part }, { after: part, reverse: true }, { before: part },
        ] as Range<Key>[]
        const last = Array.isArray(probe) ? (probe as readonly Key[]).at(-1) : probe
        if (typeof last === 'string' || Array.isArray(probe)) ranges.push(...[{ prefix: probe, reverse: true }, { prefix: probe }, { prefix: part }] as Range<Key>[])
        for (const range of ranges) {
          const expected = inRange(model, range)
          assert.deepEqual([...shared.entries(range)], expected, JSON.stringify(range, (_, value: unknown) => typeof value === 'bigint' ? String(value) : value))
          assert.equal(shared.count(range), expected.length)
          assert.deepEqual(shared.first(range), expected[0])
          assert.deepEqual(shared.last(range), expected.at(-1))
        }
      }
      const copy = copyGraph(holder, arena)
      assert.deepEqual([...copy.map], model)
      const rebuilt = build(Holder, arena, { map: shared as never })
      assert.deepEqual(plain(rebuilt.map), plain(holder.map))
      for (const one of [holder, copy, rebuilt]) release(arena, one)
      arena.assertEmpty()
    }), { numRuns: 60 })
  })
}

test('keys that are one when they are stored are one from the start, and the last one counts', () => {
  const Singles = struct('Singles', { one: sortedMap(f32, text), pairs: sortedMap([f32, u32], text) })
  const arena = new Arena()
  const near = 0.1 + 1e-10
  const singles = build(Singles, arena, {
    one: [[near, 'the first, with memory'], [0.1, 'the second, with memory']], pairs: [[[near, 1], 'the first, with memory'], [[0.1, 1], 'the second, with memory'], [[0.1, 2], 'another']],
  })
  assert.deepEqual([...singles.one.values()], ['the second, with memory'])
  assert.deepEqual([...singles.pairs.values()], ['the second, with memory', 'another'])
  release(arena, singles)
  arena.assertEmpty()
})

test('many entries, in order, backwards and at random: nodes split, merge and go', () => {
  const Index = struct('Index', { byKey: sortedMap(u32, u32), byText: sortedMap(text, u32) })
  for (const order of ['up', 'down', 'random'] as const) {
    const arena = new Arena(1 << 24)
    const holder = build(Index, arena, {})
    const count = 20_000
    const keys = Array.from({ length: count }, (_, i) => order === 'up' ? i : order === 'down' ? count - i : Math.imul(i, 0x9e3779b1) >>> 0)
    for (const key of keys) {
      holder.byKey.set(key, (key ^ 5) >>> 0)
      holder.byText.set(`key ${key}`, key)
    }
    const sorted = [...keys].sort((a, b) => a - b)
    assert.deepEqual([...holder.byKey.keys()], sorted)
    assert.deepEqual([...holder.byKey.keys({ reverse: true })], sorted.toReversed())
    assert.deepEqual([...holder.byText.keys()], keys.map((key) => `key ${key}`).sort())
    for (const key of keys) assert.equal(holder.byKey.get(key), (key ^ 5) >>> 0)
    if (order === 'up') assert.ok(arena.live - count < count / 25, `${arena.live} blocks for ascending keys: nodes are left half empty`)
    for (const [i, key] of keys.entries()) {
      if (i % 3 === 0) continue
      assert.ok(holder.byKey.delete(key))
      assert.ok(holder.byText.delete(`key ${key}`))
    }
    assert.deepEqual([...holder.byKey.keys()], keys.filter((_, i) => i % 3 === 0).sort((a, b) => a - b))
    for (const [i, key] of keys.entries()) {
      if (i % 3 !== 0) continue
      assert.ok(holder.byKey.delete(key))
      assert.ok(holder.byText.delete(`key ${key}`))
    }
    assert.deepEqual([holder.byKey.size, holder.byText.first(), arena.live], [0, undefined, 1])
    release(arena, holder)
    arena.assertEmpty()
  }
})

test('a walk goes on behind its latest key, whatever is changed meanwhile', () => {
  const touch = fc.record({ do: fc.constantFrom('set' as const, 'delete' as const, 'clear' as const, 'assign' as const), key: fc.nat(300) })
  fc.assert(fc.property(fc.array(fc.nat(300), { maxLength: 200, size: 'max' }), fc.array(touch, { maxLength: 60 }), fc.boolean(), fc.boolean(), (start, touches, reverse, values) => {
    const arena = new Arena(1 << 18)
    const Holder = struct('Holder', { map: sortedMap(text, text) })
    const name = (key: number): string => `key number ${String(key).padStart(3, '0')}`
    const holder = build(Holder, arena, { map: start.map((key) => [name(key), name(key)] as const) })
    const model = new Set(start.map(name))
    const queue = [...touches]
    let latest: string | undefined
    for (const key of values ? holder.map.values({ reverse }) : holder.map.keys({ reverse })) {
      const ahead = [...model].filter((other) => latest === undefined || (reverse ? other < latest : other > latest)).sort()
      assert.equal(key, reverse ? ahead.at(-1) : ahead[0])
      latest = key
      const step = queue.shift()
      if (step?.do === 'set') {
        holder.map.set(name(step.key), name(step.key))
        model.add(name(step.key))
      } else if (step?.do === 'delete') {
        assert.equal(holder.map.delete(step.key % 2 === 0 ? latest : name(step.key)), model.delete(step.key % 2 === 0 ? latest : name(step.key)))
      } else if (step?.do === 'clear') {
        holder.map.clear()
        model.clear()
      } else if (step?.do === 'assign') holder.map = [...model].map((one) => [one, one]) as never
    }
    assert.ok(![...model].some((other) => latest === undefined || (reverse ? other < latest : other > latest)))
    release(arena, holder)
    arena.assertEmpty()
  }), { numRuns: 150 })
})

test('a walk ends with the entries that its map says it has, and with the budget, but not with the memory where entries are added ahead of it', () => {
  const Long = struct('SortedLong', { map: sortedMap(u32, u32) })
  const arena = new Arena(1 << 15)
  const { map } = build(Long, arena, { map: Array.from({ length: 300 }, (_, i) => [i, i] as const) })
  let next = 0
  for (const key of map.keys()) {
    assert.equal(key, next++)
    if (key % 100 === 99 && key < 10_000) {
      for (let i = key - 99; i <= key; i++) {
        map.delete(i)
        map.set(i + 300, 0)
      }
    }
  }
  assert.equal(next, 10_300)
  for (let i = 0; i < 300; i++) map.set(i, i)
  const { region, word } = locationOf(map)
  region.endless = false
  region.allowance = 200
  region.refill()
  assert.throws(() => [...map.keys()], /more than 200 pointers/)
  region.endless = true
  region.i32[word + 2] = 100
  assert.throws(() => [...map.keys()], /more entries than it says/)
  assert.throws(() => copyGraph(map, new Arena()), /more entries than it says/)
})

test('walks that nobody ends are bounded, and still right', () => {
  const arena = new Arena(1 << 20)
  const holder = build(sortedMap(text, u32), arena, Array.from({ length: 500 }, (_, i) => [`key number ${i}`, i] as const))
  const sorted = [...holder.keys()]
  const walks = Array.from({ length: 200 }, () => holder.keys())
  for (const walk of walks) walk.next()
  holder.delete(sorted[0]!)
  holder.delete(sorted[1]!)
  for (const walk of walks) assert.equal(walk.next().value, sorted[2])
  release(arena, holder)
  arena.assertEmpty()
})

test('a walk that was left half-way is nobody else\'s business, whatever has become of its memory', () => {
  const arena = new Arena(1 << 20)
  const entries = [['first key with memory', 1], ['second key with memory', 2]] as const
  const Holder = struct('Holder', { map: sortedMap(text, u32) })
  const [one, other] = [build(Holder, arena, { map: entries }), build(Holder, arena, { map: entries })]
  const { region, word } = locationOf(one.map)
  const a = region.i32
  const wild = (): (() => void) => {
    const root = region.resolve(a[word + 1]!, a[word]!, 2)
    const key = root + 2 + a[root + 1]!
    const lo = a[key]!
    a[key] = -8
    return () => {
      a[key] = lo
    }
  }
  const changeOther = (): void => {
    other.map.set('a third key', 3)
    assert.ok(other.map.delete('a third key'))
    other.map = entries as never
    other.map.clear()
  }
  const walk = one.map.keys()
  assert.equal(walk.next().value, entries[0][0])
  const mend = wild()
  changeOther()
  mend()
  assert.equal(walk.next().value, entries[1][0], 'a change of another map does not ask it')

  const left = one.map.keys()
  left.next()
  const mendAgain = wild()
  one.map.set('zzz', 3)
  mendAgain()
  assert.throws(() => left.next(), RpcError)
  assert.ok(left.next().done)

  const oldest = one.map.keys()
  oldest.next()
  const mendOldest = wild()
  other.map = entries as never
  for (let i = 0; i < 130; i++) assert.equal(other.map.keys().next().value, entries[0][0])
  mendOldest()
  assert.throws(() => oldest.next(), RpcError)

  arena.region.isPrivate = true
  const inCopy = one.map.keys()
  inCopy.next()
  const mendCopy = wild()
  one.map.set('zzzz', 4)
  mendCopy()
  assert.equal(inCopy.next().value, entries[1][0], 'nobody keeps walks through private memory')
  arena.region.isPrivate = false
  release(arena, one)
  release(arena, other)
  arena.assertEmpty()
})

test('an index of many documents of one value, values by ref and by value, and nothing', () => {
  const Document = struct('Document', { id: u32, title: text })
  const Store = struct('Store', { byTitle: sortedMap([text, u32], ref(Document)), seen: sortedMap(f64, nothing), groups: sortedMap(text, list(Document)) })
  const arena = new Arena(1 << 20)
  const store = build(Store, arena, {})
  const documents = Array.from({ length: 300 }, (_, id) => build(Document, arena, { id, title: `title ${id % 7}` }))
  for (const document of documents) store.byTitle.set([document.title, document.id], document)
  const found = [...store.byTitle.values({ from: ['title 3'], to: ['title 3'] })]
  assert.deepEqual(found.map((document) => document!.id), documents.filter(({ id }) => id % 7 === 3).map(({ id }) => id))
  assert.ok(same(found[0], documents[3]))
  store.seen.set(0.5, undefined)
  store.seen.set(-0, undefined)
  assert.ok(store.seen.has(0) && store.seen.has(0.5) && !store.seen.has(1))
  assert.throws(() => store.seen.set(NaN, undefined), /NaN cannot be a key/)
  store.groups.set('a', [{ id: 1, title: 'one document' }])
  const group = store.groups.get('a')!
  for (let i = 0; i < 500; i++) store.groups.set(`group number ${i}`, [])
  group.push({ id: 2, title: 'another document' })
  assert.equal(plain(store.groups).get('a')![1]!.title, 'another document')
  assert.throws(() => store.groups.set('b', [{ id: -1, title: '' }]), RpcError)
  assert.throws(() => store.byTitle.set(['x'] as never, null), RpcError)
  assert.throws(() => store.byTitle.keys({ from: [1] as never }), RpcError)
  assert.throws(() => store.byTitle.keys({ from: ['a'], after: ['a'] }), RpcError)
  assert.throws(() => store.byTitle.keys({ prefix: ['a', 'b'] as never }), RpcError)
  // Numbers start with nothing, and their type says so.
  const ofNumbers: Range<number> = {}
  const none: undefined = ofNumbers.prefix
  assert.equal(none, undefined)
  assert.throws(() => store.seen.keys({ prefix: 5 as never }), /expected a prefix of a text/)
  assert.throws(() => sortedMap(list(u32) as never, u32), RpcError)
  release(arena, store)
  for (const document of documents) release(arena, document)
  arena.assertEmpty()
})

test('whatever allocation fails, a sorted map is as before', () => {
  const arena = new Arena(1 << 20)
  const holder = build(sortedMap(text, text), arena, [])
  for (let i = 0; i < 400; i++) {
    const key = `key number ${Math.imul(i, 0x9e3779b1) >>> 0}`
    const before = plain(holder)
    const { live } = arena
    for (const failing of [0, 1, 2, 3, 4]) {
      arena.failAfter(failing)
      try {
        holder.set(key, `value number ${i}`)
        break
      } catch (error) {
        assert.ok(RpcError.is(error))
        assert.equal(arena.live, live)
        if (i % 40 === 0) assert.deepEqual(plain(holder), before)
      }
    }
    arena.failAfter(Infinity)
    holder.set(key, `value number ${i}`)
    assert.equal(holder.size, i + 1)
  }
  release(arena, holder)
  arena.assertEmpty()
})
