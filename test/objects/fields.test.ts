// Fields of every kind that is not a container of its own, changed at random beside a plain object; and Array's methods on sequences.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  array, bool, build, bytes, copyGraph, f64, i16, list, numbers, optional, plain, ref, release, struct, text, u32, u8, union, nothing, type AnyType, type View,
} from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Part = struct('FieldPart', { id: u32, name: text, raw: bytes, inner: optional(union({ text, number: f64 })) })
const Fields = struct('Fields', {
  any: union({ number: f64, text, part: Part, list: list(Part), empty: nothing, grid: array(text, 2), raw: bytes, maybe: optional(text), flag: bool, values: numbers(i16) }),
  word: optional(text), count: optional(f64), part: optional(Part), many: optional(list(text)), grid: array(array(u8, 3), 2), names: array(text, 3), parts: array(Part, 2),
  raw: bytes, values: numbers(f64), one: Part, link: ref(Part),
})

const word = fc.oneof(fc.constantFrom('', 'short', 'a text that takes memory', 'κλειδί', '\ud800'), fc.string({ maxLength: 30 }))
const raw = fc.uint8Array({ maxLength: 40 })
const small = fc.nat(255)
const part = fc.record({ id: fc.nat(), name: word, raw, inner: fc.oneof(
  fc.constant(undefined), fc.record({ kind: fc.constant('text' as const), value: word }), fc.record({ kind: fc.constant('number' as const), value: fc.double() })) })
const kind = <K extends string, V>(name: K, value: fc.Arbitrary<V>): fc.Arbitrary<{ kind: K, value: V }> => fc.record({ kind: fc.constant(name), value })
const values: Readonly<Record<keyof (typeof Fields)['fields'], fc.Arbitrary<unknown>>> = {
  any: fc.oneof(
    kind('number', fc.double()), kind('text', word), kind('part', part), kind('list', fc.array(part, { maxLength: 3 })), kind('empty', fc.constant(undefined)), kind('flag', fc.boolean()),
    kind('grid', fc.tuple(word, word)), kind('raw', raw), kind('maybe', fc.option(word, { nil: undefined })), kind('values', fc.int16Array({ maxLength: 5 }))),
  word: fc.option(word, { nil: undefined }), count: fc.option(fc.double(), { nil: undefined }), part: fc.option(part, { nil: undefined }),
  many: fc.option(fc.array(word, { maxLength: 4 }), { nil: undefined }), grid: fc.tuple(fc.tuple(small, small, small), fc.tuple(small, small, small)),
  names: fc.tuple(word, word, word), parts: fc.tuple(part, part), raw, values: fc.float64Array({ maxLength: 6 }), one: part, link: fc.constant(null),
}
const change = fc.oneof(
  ...Object.entries(values).map(([field, value]) => fc.record({ do: fc.constant('assign' as const), field: fc.constant(field), value })),
  fc.record({ do: fc.constant('name' as const), index: fc.nat(2), value: word }),
  fc.record({ do: fc.constant('cell' as const), index: fc.nat(5), value: small }),
  fc.record({ do: fc.constant('element' as const), index: fc.nat(1), value: part }),
  fc.record({ do: fc.constant('inside' as const), value: word }),
  fc.record({ do: fc.constant('variant' as const), value: word }),
  fc.constant({ do: 'own' as const }))
type Change = typeof change extends fc.Arbitrary<infer C> ? C : never

interface Model {
  any: { kind: string, value: unknown }
  part: { name: string } | undefined
  grid: number[][]
  names: string[]
  parts: unknown[]
  one: { name: string, raw: Uint8Array }
  [field: string]: unknown
}

function follow(view: View<typeof Fields>, model: Model, step: Change): void {
  if (step.do === 'assign') {
    Reflect.set(view, step.field, step.value)
    model[step.field] = structuredClone(step.value)
  } else if (step.do === 'name') {
    view.names.set(step.index, step.value)
    model.names[step.index] = step.value
  } else if (step.do === 'cell') {
    view.grid.at(step.index % 2)![step.index % 3] = step.value
    model.grid[step.index % 2]![step.index % 3] = step.value
  } else if (step.do === 'element') {
    view.parts.set(step.index, step.value)
    model.parts[step.index] = structuredClone(step.value)
  } else if (step.do === 'inside') {
    // What an optional or a struct held by value has is changed through its view.
    view.one.name = step.value
    model.one.name = step.value
    if (model.part !== undefined) {
      view.part!.name = step.value
      model.part.name = step.value
    }
  } else if (step.do === 'variant') {
    if (view.any.kind !== 'part') return
    view.any.value.name = step.value
    ;(model.any.value as { name: string }).name = step.value
  } else {
    // A field's own value, as it was read, is a value like others.
    for (const field of ['any', 'word', 'part', 'many', 'grid', 'names', 'parts', 'raw', 'values', 'one']) Reflect.set(view, field, Reflect.get(view, field))
  }
}

test('unions, optionals, fixed arrays, bytes and numbers hold what a plain object holds, and free what they drop', () => {
  const initial = fc.record(values) as unknown as fc.Arbitrary<Model>
  fc.assert(fc.property(initial, fc.array(change, { maxLength: 25 }), (first, steps) => {
    const arena = new Arena(1 << 17)
    const view = build(Fields, arena, structuredClone(first) as never)
    const model = structuredClone(first)
    assert.deepStrictEqual(plain(view) as unknown, model)
    for (const step of steps) {
      follow(view, model, step)
      assert.deepStrictEqual(plain(view) as unknown, model)
    }
    const copy = copyGraph(view, arena)
    release(arena, view)
    assert.deepStrictEqual(plain(copy) as unknown, model)
    release(arena, copy)
    arena.assertEmpty()
  }), { numRuns: 150 })
})

type Looked = Iterable<unknown> & Pick<readonly unknown[], 'at' | 'entries' | 'every' | 'filter' | 'find' | 'findIndex' | 'flatMap' | 'forEach' | 'includes' | 'indexOf' | 'join' | 'keys' | 'length' | 'map' | 'slice' | 'some' | 'values'> & {
  findLast(accept: (value: unknown, index: number) => boolean): unknown
  findLastIndex(accept: (value: unknown, index: number) => boolean): number
  reduce<R>(combine: (sum: R, value: unknown, index: number) => R, initial: R): R
}

/** What all methods that look say of a sequence; `chosen` says something of some elements only. */
function looksOf(sequence: Looked, chosen: (value: unknown, index: number) => boolean, [from, to]: readonly [number, number]): Readonly<Record<string, unknown>> {
  const visited: unknown[] = []
  sequence.forEach((value, index) => visited.push([index, value]))
  const seen: unknown[] = []
  const noting = (value: unknown, index: number): boolean => {
    seen.push(index)
    return chosen(value, index)
  }
  return {
    length: sequence.length, visited, spread: [...sequence], values: [...sequence.values()], keys: [...sequence.keys()], entries: [...sequence.entries()],
    at: [from, to, -1, 0, 1e10, 1.7, -0.5, NaN].map((index) => sequence.at(index)), slice: [sequence.slice(from, to), sequence.slice(from), sequence.slice()],
    map: sequence.map((value, index) => [value, index]), filter: sequence.filter(noting), find: sequence.find(noting), findIndex: sequence.findIndex(noting),
    findLast: sequence.findLast(noting), findLastIndex: sequence.findLastIndex(noting), some: sequence.some(noting), every: sequence.every(noting),
    flatMap: sequence.flatMap((value, index) => (index % 3 === 0 ? value : [value, [index]])), reduce: sequence.reduce((sum, value, index) => `${sum}|${String(value)}${index}`, 'of'),
    join: [sequence.join(), sequence.join('')], includes: [...sequence, 'none', NaN, undefined].map((value) => sequence.includes(value)),
    indexOf: [...sequence, 'none', NaN, undefined].map((value) => sequence.indexOf(value)), seen,
  }
}

/** Sorted as without a function to compare. */
function inOrder(values: { sort(): Iterable<unknown> }): Iterable<unknown> {
  return values.sort()
}

const elements: ReadonlyArray<readonly [AnyType, fc.Arbitrary<unknown>]> = [
  [f64, fc.oneof(fc.double(), fc.constantFrom(NaN, -0, 0, 1, 2))], [text, word], [u8, small], [bool, fc.boolean()], [optional(text), fc.option(word, { nil: undefined })],
]
for (const [type, value] of elements) {
  test(`a list and a fixed array of ${type.label} answer as Array does, and are sorted alike`, () => {
    fc.assert(fc.property(fc.array(value, { minLength: 1, maxLength: 12 }), fc.tuple(fc.integer({ min: -14, max: 14 }), fc.integer({ min: -14, max: 14 })), fc.nat(7), (model, range, salt) => {
      const arena = new Arena(1 << 16)
      const chosen = (one: unknown, index: number): boolean => (String(one).length + index) % 3 === salt % 3
      const expected = looksOf(model as never, chosen, range)
      for (const view of [build(list(type), arena, model as never), build(array(type, model.length), arena, model as never)]) {
        assert.deepStrictEqual(looksOf(view as never, chosen, range), expected)
      }
      const sorted = build(list(type), arena, model as never) as unknown as unknown[] & { reverse(): unknown }
      const by = (a: unknown, b: unknown): number => String(a).length - String(b).length
      assert.equal(sorted.sort(by), sorted)
      assert.deepStrictEqual([...sorted], [...model].sort(by))
      assert.deepStrictEqual([...inOrder(sorted)], [...inOrder([...model])])
    }), { numRuns: 60 })
  })
}
