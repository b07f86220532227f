// Lists and fixed arrays have the methods of Array, sets those of Set, maps those of Map, and their iterators what the engine's own have.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { array, build, bytes, f64, list, map, plain, ref, release, set, sortedMap, struct, text, u32, u8, type SequenceView, type SetLike } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Item = struct('ProtocolItem', { id: u32, name: text })
const Box = struct('ProtocolBox', { numbers: list(f64), texts: list(text), items: list(Item), nested: list(list(list(u8))), fixed: array(text, 5), refs: list(ref(Item)) })

test('a list has every method of Array, a fixed array those that keep the length', () => {
  const { texts, fixed } = build(Box, new Arena(), { fixed: ['', '', '', '', ''] })
  const methods = Object.getOwnPropertyNames(Array.prototype).filter((name) => name !== 'constructor')
  assert.deepEqual(methods.filter((name) => !(name in texts)), [])
  assert.deepEqual(methods.filter((name) => Reflect.get(fixed, name) === undefined), ['pop', 'push', 'shift', 'unshift', 'splice'].toSorted((a, b) => methods.indexOf(a) - methods.indexOf(b)))
})

test('what fills its memory is printed, though that is longer than the memory', () => {
  const Blocks = struct('ProtocolBlocks', { blocks: list(bytes), rows: list(list(u8)) })
  const bytesOf = (seed: number): Uint8Array => new Uint8Array(3000).fill(seed)
  const { blocks, rows } = build(Blocks, new Arena(13_000), { blocks: [bytesOf(255), bytesOf(254)], rows: [[...bytesOf(253)], [...bytesOf(252)]] })
  assert.equal(blocks.join(';'), [bytesOf(255), bytesOf(254)].join(';'))
  assert.equal((rows as unknown as string[]).join(), [...bytesOf(253), ...bytesOf(252)].join())
})

type Values = readonly unknown[]
const index = fc.integer({ min: -7, max: 7 })

/** What an array and a sequence of the same elements must agree on: each is called with the values, and one that may be among them. */
const questions: ReadonlyArray<(values: Values, one: unknown, a: number, b: number) => unknown> = [
  (values, one, a, b) => values.concat(one, [one, [one]], values.slice(a, b)),
  (values) => values.concat(values),
  (values) => values.flat(), (values, _one, a) => values.flat(a), (values) => values.flat(Infinity),
  (values, one) => values.flatMap((value, i) => i % 3 === 0 ? value : [value, [one]]),
  (values) => values.toReversed(), (values) => values.toSorted((x, y) => order(x, y)),
  (values, one, a, b) => values.toSpliced(a, b, one, one), (values, _one, a) => (values as unknown[]).toSpliced(a, 1),
  (values, one, a) => a >= -values.length && a < values.length ? values.with(a, one) : 'none',
  (values) => values.reduce((sum, value) => [sum, value], 'start'), (values) => values.reduceRight((sum, value, i) => [sum, value, i], undefined),
  (values) => values.length === 0 ? 'none' : [values.reduce((sum, value) => [sum, value]), values.reduceRight((sum, value, i) => [sum, value, i])],
  (values, _one, a) => values.slice(a), (values, _one, a, b) => values.slice(a, b), (values, _one, a) => values.at(a),
  (values) => values.map((value, i, all) => [value, i, all === values, all.length]), (values) => values.filter((_value, i, all) => all === values && i % 2 === 1),
  (values) => [values.some((_v, i, all) => all === values && i === 2), values.every((_v, i, all) => all === values && i < 3)],
  (values) => [values.find((_v, i, all) => all === values && i === 2), values.findIndex((_v, i, all) => all === values && i === 3), values.findLast((_v, i, all) => all === values && i < 2), values.findLastIndex((_v, i, all) => all === values && i < 3)],
  (values) => { const met: unknown[] = []; values.forEach((value, i, all) => met.push(value, i, all === values)); return met },
  (values) => [[...values.keys()], [...values.entries()], [...values.values()]],
  (values) => values.every((value) => Array.isArray(plain(value)) || typeof value !== 'object') ? [values.join(), values.join('; '), String(values)] : 'objects',
]

/** What is compared by identity makes sense of scalars and texts only. */
const searches: ReadonlyArray<(values: Values, one: unknown, a: number) => unknown> = [
  (values, one) => [values.indexOf(one), values.lastIndexOf(one), values.includes(one)],
  (values, one, a) => [values.indexOf(one, a), values.lastIndexOf(one, a), values.includes(one, a)],
  (values) => [...new Set(values)].map((value) => values.filter((one, i, all) => all.indexOf(one) === i).includes(value)),
  (values) => inDefaultOrder(values), (values) => values.toLocaleString(),
]

function inDefaultOrder(values: { toSorted(): readonly unknown[] }): readonly unknown[] {
  return values.toSorted()
}

function order(x: unknown, y: unknown): number {
  const [a, b] = [JSON.stringify(plain(x)), JSON.stringify(plain(y))]
  return a < b ? -1 : a > b ? 1 : 0
}

/** Plain values of an answer, all the way down: views stand for what is in them. */
function settled(answer: unknown): unknown {
  return Array.isArray(answer) ? answer.map(settled) : plain(answer)
}

function assertAgree(view: SequenceView<unknown>, model: Values, pick: number, a: number, b: number, isScalar: boolean): void {
  const one = model.length === 0 ? 1 : model[pick % model.length]
  for (const question of isScalar ? [...questions, ...searches] : questions) {
    assert.deepStrictEqual(settled(question(view as unknown as Values, one, a, b)), settled(question(model, one, a, b)), String(question))
  }
}

test('what a list or fixed array answers is what an array of the same elements answers', () => {
  const words = fc.constantFrom('', 'a', 'b', 'a text with memory', 'κλειδί')
  fc.assert(fc.property(fc.array(fc.oneof(fc.constantFrom(NaN, 0, -0, 1, 2), fc.double()), { maxLength: 7 }), fc.array(words, { maxLength: 7 }), fc.array(fc.array(fc.array(fc.nat(255), { maxLength: 3 }), { maxLength: 3 }), { maxLength: 3 }),
    fc.array(words, { minLength: 5, maxLength: 5 }), fc.nat(6), index, index, (numbers, texts, nested, fixed, pick, a, b) => {
      const arena = new Arena(1 << 16)
      const items = texts.map((name, id) => ({ id, name }))
      const box = build(Box, arena, { numbers, texts, items, nested, fixed })
      assertAgree(box.numbers, numbers, pick, a, b, true)
      assertAgree(box.texts, texts, pick, a, b, true)
      assertAgree(box.items, items, pick, a, b, false)
      assertAgree(box.nested, nested, pick, a, b, false)
      assertAgree(box.fixed, fixed, pick, a, b, true)
      assert.deepStrictEqual(plain(box), { numbers, texts, items, nested, fixed, refs: [] })
      release(arena, box)
      arena.assertEmpty()
    }), { numRuns: 100 })
})

test('a fixed array is sorted, turned round and filled in place, and frees what it drops', () => {
  fc.assert(fc.property(fc.array(fc.constantFrom('', 'a', 'a text with memory', 'another text with memory'), { minLength: 5, maxLength: 5 }), index, index, index, (texts, target, start, end) => {
    const arena = new Arena(1 << 14)
    const fixed = build(array(text, 5), arena, texts)
    const model = [...texts]
    const changes: ReadonlyArray<(values: Pick<typeof fixed, 'sort' | 'copyWithin' | 'reverse' | 'fill'>) => unknown> = [
      (values) => values.sort(), (values) => values.copyWithin(target, start, end), (values) => {
        values.reverse()
        return values
      },
      (values) => values.fill('what it is filled with', start, end), (values) => values.sort((x, y) => y.length - x.length),
    ]
    for (const change of changes) {
      assert.equal(change(fixed), fixed)
      change(model as unknown as typeof fixed)
      assert.deepEqual([...fixed], model)
    }
    release(arena, fixed)
    arena.assertEmpty()
  }), { numRuns: 50 })
})

test('a comparison that contradicts itself gets the order that Array makes of it, and is asked as often', () => {
  const { numbers } = build(Box, new Arena(), { numbers: [9, NaN, 2, 3, 3, 9], fixed: ['', '', '', '', ''] })
  const asked: unknown[][] = [[], []]
  const sorted = [numbers, [...numbers]].map((values, i) => [...values.sort((x, y) => { asked[i]!.push(x, y); return x - y })])
  assert.deepEqual(sorted[0], sorted[1])
  assert.deepEqual(asked[0], asked[1])
})

test('elements that are objects are found by address, copied where they are held by value, and shared where they are pointed at', () => {
  const arena = new Arena()
  const item = build(Item, arena, { id: 7, name: 'an item with a name' })
  const box = build(Box, arena, { items: [{ id: 1, name: 'the first, with memory' }, { id: 2, name: 'the second, with memory' }], refs: [null, item, item, null], fixed: ['', '', '', '', ''] })
  assert.deepEqual([box.refs.indexOf(item), box.refs.lastIndexOf(item), box.refs.indexOf(item, 2), box.refs.lastIndexOf(null, 2), box.refs.includes(item, 3)], [1, 2, 2, 0, false])
  assert.equal(box.items.lastIndexOf(box.items.at(1)!), 1)
  box.items.fill(box.items.at(1)!)
  box.items.at(0)!.name = 'the first, with a name of its own'
  assert.deepEqual(plain(box.items), [{ id: 2, name: 'the first, with a name of its own' }, { id: 2, name: 'the second, with memory' }])
  box.refs.fill(item, -1)
  box.refs.at(3)!.id = 8
  assert.equal(item.id, 8)
  box.items.length = 0
  assert.deepEqual(plain(box.items), [])
  release(arena, box)
  release(arena, item)
  arena.assertEmpty()
})

test('a length that is none, and a place or sum that there is none of, are errors and change nothing', () => {
  const arena = new Arena()
  const { numbers, fixed } = build(Box, arena, { numbers: [1, 2, 3], fixed: ['a', '', '', '', ''] })
  for (const length of [4, -1, 1.5, NaN, 'x']) assert.throws(() => { numbers.length = length as number }, { code: 'OUT_OF_RANGE' })
  assert.throws(() => { (fixed as unknown as string[]).length = 1 }, TypeError)
  for (const at of [3, -4]) assert.throws(() => numbers.with(at, 1), { code: 'OUT_OF_RANGE' })
  assert.throws(() => numbers.fill('x' as never), { code: 'INVALID_ARGUMENT' })
  assert.deepEqual([...numbers], [1, 2, 3])
  numbers.clear()
  assert.throws(() => numbers.reduce((x, y) => x + y), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => numbers.reduceRight((x, y) => x + y), { code: 'INVALID_ARGUMENT' })
})

const Keyed = struct('ProtocolKeyed', { set: set(u32), texts: set(text), map: map(text, Item), sorted: sortedMap(u32, text) })

test('sets and maps have every method of Set and Map', () => {
  const keyed = build(Keyed, new Arena(), {})
  const es2025 = ['union', 'intersection', 'difference', 'symmetricDifference', 'isSubsetOf', 'isSupersetOf', 'isDisjointFrom']
  assert.deepEqual([...Object.getOwnPropertyNames(Set.prototype), ...es2025].filter((name) => !(name in keyed.texts)), [])
  const names = [...Object.getOwnPropertyNames(Map.prototype), 'getOrInsert', 'getOrInsertComputed']
  assert.deepEqual(names.filter((name) => !(name in keyed.map && name in keyed.sorted)), [])
})

/** What the language says about two sets, in arrays. */
function compared(ours: readonly number[], theirs: readonly number[]): unknown[] {
  const [small, large] = ours.length <= theirs.length ? [ours, theirs] : [theirs, ours]
  const common = small.filter((key) => large.includes(key))
  return [
    [...new Set([...ours, ...theirs])], common, ours.filter((key) => !theirs.includes(key)),
    [...ours.filter((key) => !theirs.includes(key)), ...theirs.filter((key) => !ours.includes(key))],
    ours.every((key) => theirs.includes(key)), theirs.every((key) => ours.includes(key)), common.length === 0,
  ]
}

test('sets are compared with sets, maps and views as Set compares them', () => {
  const keys = fc.uniqueArray(fc.nat(12), { maxLength: 8 })
  fc.assert(fc.property(keys, keys, (ours, theirs) => {
    const arena = new Arena(1 << 16)
    const mine = build(set(u32), arena, ours)
    const other = build(set(u32), arena, theirs)
    const others: ReadonlyArray<SetLike<number>> = [new Set(theirs), new Map(theirs.map((key) => [key, ''])), other, mine.size === 0 ? new Set(theirs) : build(sortedMap(u32, text), arena, theirs.toSorted((a, b) => a - b).map((key) => [key, ''] as const))]
    for (const [i, right] of others.entries()) {
      const answers = [mine.union(right), mine.intersection(right), mine.difference(right), mine.symmetricDifference(right)]
      assert.ok(answers.every((answer) => answer.constructor === Set))
      const given = [...answers.map((answer) => [...answer]), mine.isSubsetOf(right), mine.isSupersetOf(right), mine.isDisjointFrom(right)]
      assert.deepEqual(given, compared(ours, i === 3 && ours.length > 0 ? theirs.toSorted((a, b) => a - b) : theirs))
    }
    // Where the engine has them, its own take views, too.
    const native = new Set(ours) as Set<number> & { union?(other: SetLike<number>): Set<number> }
    if (native.union !== undefined) assert.deepEqual([...native.union(other)], [...mine.union(other)])
  }), { numRuns: 100 })
  const mine = build(set(u32), new Arena(), [1])
  const ended: string[] = []
  const slow = (...given: readonly number[]): SetLike<number> => ({
    size: given.length, has: (key) => given.includes(key),
    keys: () => ({ next: (): IteratorResult<number> => ({ done: false, value: given[0]! }), return: () => { ended.push('return'); return { done: true, value: undefined } } }),
  })
  assert.deepEqual([mine.isSupersetOf(slow(2)), mine.isDisjointFrom(slow(2)), mine.isDisjointFrom(slow(1)), ended], [false, true, false, ['return']])
  for (const wrong of [[1], null, undefined, 'x', { size: 1 }]) assert.throws(() => mine.union(wrong as never), { code: 'INVALID_ARGUMENT' })
})

test('a map makes what is missing, once', () => {
  const arena = new Arena()
  const { map: items, sorted } = build(Keyed, arena, { map: [['there', { id: 1, name: 'n' }]], sorted: [[1, 'one']] })
  assert.equal(items.getOrInsert('there', { id: 2, name: 'not taken' }).id, 1)
  items.getOrInsert('new', { id: 3, name: 'taken, with memory' }).id++
  assert.deepEqual(plain(items.get('new')), { id: 4, name: 'taken, with memory' })
  const asked: unknown[] = []
  const make = (key: unknown): string => { asked.push(key); return `made for ${String(key)}` }
  assert.deepEqual([sorted.getOrInsertComputed(1, make), sorted.getOrInsertComputed(2, make), sorted.getOrInsertComputed(2, make), asked], ['one', 'made for 2', 'made for 2', [2]])
})

test('iterators of views are iterators of the language, with whatever those can do', () => {
  const prototype = Object.getPrototypeOf(Object.getPrototypeOf([].values()) as object) as object
  const keyed = build(Keyed, new Arena(), { set: [1, 2], texts: ['a'], map: [['k', { id: 1, name: '' }]], sorted: [[1, 'one']] })
  const { texts } = build(Box, new Arena(), { texts: ['a'], fixed: ['', '', '', '', ''] })
  const iterators = [texts, keyed.set, keyed.map, keyed.sorted].flatMap((view) => [view.keys(), view.values(), view.entries(), view[Symbol.iterator]()] as Array<Iterator<unknown>>)
  for (const iterator of iterators) {
    assert.ok(prototype.isPrototypeOf(iterator))
    assert.equal((iterator as unknown as Iterable<unknown>)[Symbol.iterator](), iterator)
  }
  const helped = keyed.set.keys() as unknown as { map?(convert: (key: number) => number): Iterable<number> }
  if (helped.map !== undefined) assert.deepEqual(Array.from(helped.map((key) => key * 2)), [2, 4])
})

test('forEach gives the map or set, too, and what is done to them meanwhile follows the rules of Map and Set', () => {
  const touch = fc.record({ do: fc.constantFrom('add' as const, 'delete' as const, 'clear' as const, 'nothing' as const), key: fc.nat(20) })
  fc.assert(fc.property(fc.uniqueArray(fc.nat(20), { maxLength: 10 }), fc.array(touch, { maxLength: 40 }), (start, touches) => {
    const walks: ReadonlyArray<(keys: Set<number>, visit: (key: number) => boolean) => void> = [
      (keys, visit) => { keys.forEach((key, again, all) => { assert.ok(again === key && all === keys); visit(key) }) },
      (keys, visit) => { for (const key of keys) if (!visit(key)) break },
      (keys, visit) => { for (const [key, again] of keys.entries()) if (!visit(key) || again !== key) break },
    ]
    for (const walk of walks) {
      const arena = new Arena(1 << 16)
      const shared = build(set(u32), arena, start)
      const mine = new Set(start)
      const traces = [shared as unknown as Set<number>, mine].map((keys) => {
        const met: number[] = []
        const queue = [...touches]
        walk(keys, (key) => {
          met.push(key)
          const step = queue.shift()
          if (step?.do === 'add') keys.add(step.key)
          else if (step?.do === 'delete') keys.delete(step.key)
          else if (step?.do === 'clear') keys.clear()
          return met.length < 200
        })
        return met
      })
      assert.deepEqual(traces[0], traces[1])
      assert.deepEqual([...shared], [...mine])
      release(arena, shared)
      arena.assertEmpty()
    }
  }), { numRuns: 100 })
  const { map: items, sorted } = build(Keyed, new Arena(), { map: [['k', { id: 1, name: '' }]], sorted: [[1, 'one']] })
  items.forEach((value, key, all) => assert.ok(value.id === 1 && key === 'k' && all === items))
  sorted.forEach((value, key, all) => assert.ok(value === 'one' && key === 1 && all === sorted))
})
