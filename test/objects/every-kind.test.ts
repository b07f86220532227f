// Lists, maps and sorted maps take values of every kind, maps and sets keys of every kind: each changed at random beside JavaScript's own.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  array, bool, build, bytes, copyGraph, f32, f64, i16, i32, i64, i8, json, list, map, nothing, numbers, optional, plain, release, safeI64, safeU64, set, sortedMap, struct, text, u16, u32, u64, u8, union, type AnyType,
} from '../../src/objects/index.js'
import { internOf } from '../../src/objects/json/intern.js'
import { Arena } from '../support/arena.js'

const Part = struct('KindPart', { id: u32, name: text, tags: list(text) })
const word = fc.oneof(fc.constantFrom('', 'short', 'a text that takes memory', 'κλειδί', '\ud800'), fc.string({ maxLength: 20 }))
const number = fc.oneof(fc.constantFrom(NaN, 0, -0, 1), fc.double())
const part = fc.record({ id: fc.nat(), name: word, tags: fc.array(word, { maxLength: 3 }) }, { noNullPrototype: true })
const mapOf = <K, V>(entries: fc.Arbitrary<[K, V]>): fc.Arbitrary<Map<K, V>> => fc.array(entries, { maxLength: 4 }).map((all) => new Map(all))
const document = fc.json({ maxDepth: 2 }).map((one) => JSON.parse(one) as unknown)

const values: ReadonlyArray<readonly [AnyType, fc.Arbitrary<unknown>]> = [
  [u8, fc.nat(255)], [i32, fc.integer()], [u64, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })], [safeI64, fc.maxSafeInteger()], [f32, number.map(Math.fround)], [f64, number], [bool, fc.boolean()],
  [text, word], [bytes, fc.uint8Array({ maxLength: 20 })], [numbers(f64), fc.float64Array({ maxLength: 5 })], [Part, part], [optional(text), fc.option(word, { nil: undefined })], [optional(Part), fc.option(part, { nil: undefined })],
  [union({ text, part: Part, empty: nothing }), fc.oneof(
    word.map((value) => ({ kind: 'text', value })), part.map((value) => ({ kind: 'part', value })), fc.constant({ kind: 'empty', value: undefined }))],
  [array(text, 2), fc.tuple(word, word)], [array(Part, 2), fc.tuple(part, part)], [list(text), fc.array(word, { maxLength: 4 })], [list(list(u8)), fc.array(fc.array(fc.nat(255), { maxLength: 3 }), { maxLength: 3 })],
  [map(text, text), mapOf(fc.tuple(word, word))], [set(text), fc.array(word, { maxLength: 4 }).map((all) => new Set(all))], [sortedMap(text, Part), mapOf(fc.tuple(word, part))],
  [json, document], [json.fast, document],
]

type Step = { readonly do: 'set' | 'put' | 'add' | 'take' | 'splice' | 'turn' | 'clear', readonly at: number, readonly value: unknown }
const stepsOf = (value: fc.Arbitrary<unknown>): fc.Arbitrary<readonly Step[]> => fc.array(fc.record({
  do: fc.oneof({ weight: 30, arbitrary: fc.constantFrom('set' as const, 'put' as const, 'add' as const, 'take' as const, 'splice' as const, 'turn' as const) }, { weight: 1, arbitrary: fc.constant('clear' as const) }),
  at: fc.nat(60), value,
}), { maxLength: 120, size: 'max' })

interface AnyList extends Iterable<unknown> {
  readonly length: number
  set(index: number, value: unknown): void
  push(value: unknown): number
  pop(): unknown
  splice(start: number, count: number, ...values: readonly unknown[]): unknown[]
  reverse(): unknown
  clear(): void
}

function changeList(view: AnyList, model: unknown[], step: Step): void {
  const at = model.length === 0 ? 0 : step.at % model.length
  if (step.do === 'add' || step.do === 'put') assert.equal(view.push(step.value), model.push(step.value))
  else if (step.do === 'take') {
    view.pop()
    model.pop()
  } else if (step.do === 'splice') {
    view.splice(at, step.at % 3, step.value, step.value)
    model.splice(at, step.at % 3, step.value, step.value)
  } else if (step.do === 'turn') {
    view.reverse()
    model.reverse()
  } else if (step.do === 'clear') {
    view.clear()
    model.length = 0
  } else if (model.length > 0) {
    view.set(at, step.value)
    model[at] = step.value
  }
}

type AnyMap = Pick<Map<unknown, unknown>, 'get' | 'set' | 'has' | 'delete' | 'clear' | 'size'> & Iterable<[unknown, unknown]>

function changeMap(view: AnyMap, model: Map<unknown, unknown>, step: Step, key: unknown): void {
  if (step.do === 'take' || step.do === 'turn') assert.equal(view.delete(key), model.delete(key))
  else if (step.do === 'clear') {
    view.clear()
    model.clear()
  } else {
    view.set(key, step.value)
    model.set(key, step.value)
  }
  assert.deepEqual([view.has(key), view.size], [model.has(key), model.size])
}

const inOrder = (entries: Iterable<[unknown, unknown]>): unknown[] => [...entries].sort(([a], [b]) => Number(a) - Number(b))
const settled = (entries: Iterable<[unknown, unknown]>): unknown[] => Array.from(entries, ([key, value]) => [key, plain(value)])

for (const [type, value] of values) {
  test(`a list, a map and a sorted map of ${type.label} hold what Array and Map hold, and free what they drop`, () => {
    const Holder = struct('KindHolder', { list: list(type), map: map(text, type), sorted: sortedMap(u32, type) })
    interface Views { readonly list: AnyList, readonly map: AnyMap, readonly sorted: AnyMap }
    fc.assert(fc.property(stepsOf(value), (steps) => {
      const arena = new Arena(1 << 20)
      const holder = build(Holder, arena, {})
      const views = holder as unknown as Views
      const model = { list: [] as unknown[], map: new Map<unknown, unknown>(), sorted: new Map<unknown, unknown>() }
      const assertSame = ({ list: elements, map: entries, sorted }: Views): void => {
        assert.deepStrictEqual(Array.from(elements, (one) => plain(one)), model.list)
        assert.deepStrictEqual(settled(entries), [...model.map])
        assert.deepStrictEqual(settled(sorted), inOrder(model.sorted))
      }
      for (const [i, step] of steps.entries()) {
        const key = `key number ${step.at}`
        changeList(views.list, model.list, step)
        changeMap(views.map, model.map, step, key)
        changeMap(views.sorted, model.sorted, step, step.at)
        assert.deepStrictEqual([plain(views.map.get(key)), plain(views.sorted.get(step.at))], [model.map.get(key), model.sorted.get(step.at)])
        if (i % 20 === 19) assertSame(views)
      }
      assertSame(views)
      const copy = copyGraph(holder, arena)
      release(arena, holder)
      assertSame(copy as unknown as Views)
      release(arena, copy)
      // Shapes of json stay.
      assert.equal(arena.live, internOf(arena)?.shapes ?? 0)
    }), { numRuns: 25 })
  })
}

const small = (least: number, greatest: number): fc.Arbitrary<number> => fc.oneof(fc.integer({ min: least, max: greatest }), fc.constantFrom(least, greatest, 0, 1))
const keys: ReadonlyArray<readonly [AnyType, fc.Arbitrary<unknown>]> = [
  [u8, small(0, 255)], [i8, small(-128, 127)], [u16, small(0, 65_535)], [i16, small(-32_768, 32_767)], [u32, small(0, 2 ** 32 - 1)], [i32, small(-(2 ** 31), 2 ** 31 - 1)],
  [u64, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })], [i64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })], [safeU64, fc.maxSafeNat()], [safeI64, fc.maxSafeInteger()],
  [f32, number.map(Math.fround)], [f64, number], [bool, fc.boolean()], [text, word],
]
for (const [type, key] of keys) {
  test(`a map and a set with keys of ${type.label} are those of JavaScript, and free what they drop`, () => {
    const Holder = struct('KeyHolder', { map: map(type as never, text), set: set(type as never) })
    interface AnySet extends Iterable<unknown> { has(key: unknown): boolean, add(key: unknown): unknown, delete(key: unknown): boolean, clear(): void, readonly size: number }
    // Few keys, or none would come twice.
    const run = fc.uniqueArray(key, { minLength: 1, maxLength: 30 }).chain((some) => fc.tuple(fc.constant(some), stepsOf(word)))
    fc.assert(fc.property(run, ([some, steps]) => {
      const arena = new Arena(1 << 18)
      const holder = build(Holder, arena, {})
      const views = holder as unknown as { readonly map: AnyMap, readonly set: AnySet }
      const model = { map: new Map<unknown, unknown>(), set: new Set<unknown>() }
      for (const step of steps) {
        const one = some[step.at % some.length]
        changeMap(views.map, model.map, step, one)
        assert.equal(views.map.get(one), model.map.get(one))
        if (step.do === 'take' || step.do === 'splice') assert.equal(views.set.delete(one), model.set.delete(one))
        else if (step.do === 'clear') {
          views.set.clear()
          model.set.clear()
        } else {
          views.set.add(one)
          model.set.add(one)
        }
        assert.deepEqual([views.set.has(one), views.set.size], [model.set.has(one), model.set.size])
      }
      assert.deepStrictEqual([...views.map], [...model.map])
      assert.deepStrictEqual([...views.set], [...model.set])
      for (const one of some) assert.deepEqual([views.map.get(one), views.set.has(one)], [model.map.get(one), model.set.has(one)])
      release(arena, holder)
      arena.assertEmpty()
    }), { numRuns: 40 })
  })
}
