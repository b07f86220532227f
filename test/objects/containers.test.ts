import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { RpcError } from '../../src/base/errors.js'
import { array, build, f64, list, map, nothing, optional, plain, ref, release, same, struct, text, u16, u32, u8, union, type AnyType, type Plain } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Item = struct('Item', { id: u32, name: text })
const Lists = struct('Lists', { bytes: list(u8), shorts: list(u16), doubles: list(f64), texts: list(text), items: list(Item), nested: list(list(text)), refs: list(ref(Item)) })

type Step =
  | { readonly do: 'push', readonly values: readonly number[] }
  | { readonly do: 'pop' }
  | { readonly do: 'set', readonly at: number, readonly value: number }
  | { readonly do: 'splice', readonly start: number, readonly count: number | undefined, readonly values: readonly number[] }
  | { readonly do: 'clear' }
  | { readonly do: 'shift' }
  | { readonly do: 'reverse' }
  | { readonly do: 'sort' }
  | { readonly do: 'unshift', readonly values: readonly number[] }
  | { readonly do: 'fill', readonly value: number, readonly start: number, readonly end: number | undefined }
  | { readonly do: 'copyWithin', readonly target: number, readonly start: number, readonly end: number | undefined }
  | { readonly do: 'length', readonly length: number }

const small = fc.integer({ min: 0, max: 255 })
const index = fc.integer({ min: -12, max: 14 })
const end = fc.option(index, { nil: undefined, freq: 4 })
const steps: fc.Arbitrary<readonly Step[]> = fc.array(fc.oneof(
  fc.record({ do: fc.constant('push' as const), values: fc.array(small, { maxLength: 4 }) }),
  fc.record({ do: fc.constant('pop' as const) }),
  fc.record({ do: fc.constant('set' as const), at: fc.nat(30), value: small }),
  fc.record({ do: fc.constant('splice' as const), start: fc.integer({ min: -10, max: 30 }), count: fc.option(fc.integer({ min: -1, max: 10 }), { nil: undefined, freq: 8 }), values: fc.array(small, { maxLength: 4 }) }),
  fc.record({ do: fc.constant('clear' as const) }), fc.record({ do: fc.constant('shift' as const) }),
  fc.record({ do: fc.constant('reverse' as const) }), fc.record({ do: fc.constant('sort' as const) }),
  fc.record({ do: fc.constant('unshift' as const), values: fc.array(small, { maxLength: 4 }) }),
  fc.record({ do: fc.constant('fill' as const), value: small, start: index, end }), fc.record({ do: fc.constant('copyWithin' as const), target: index, start: index, end }),
  fc.record({ do: fc.constant('length' as const), length: fc.nat(12) }),
), { maxLength: 40 })

const conversions: ReadonlyArray<readonly [name: Extract<keyof typeof Lists.fields, string>, convert: (n: number) => unknown]> = [
  ['bytes', (n) => n],
  ['shorts', (n) => n * 250],
  ['doubles', (n) => n / 3],
  ['texts', (n) => 'x'.repeat(n % 20)],
  ['items', (n) => ({ id: n, name: `the name of item ${n}` })],
  ['nested', (n) => Array.from({ length: n % 4 }, (_, i) => `text number ${i}`)],
]

function order(a: unknown, b: unknown): number {
  const [x, y] = [JSON.stringify(a), JSON.stringify(b)]
  return x < y ? -1 : x > y ? 1 : 0
}

interface AnyList extends Iterable<unknown> {
  length: number
  [index: number]: unknown
  at(index: number): unknown
  set(index: number, value: unknown): void
  push(...values: readonly unknown[]): number
  pop(): unknown
  shift(): unknown
  unshift(...values: readonly unknown[]): number
  reverse(): unknown
  sort(compare: (a: unknown, b: unknown) => number): unknown
  splice(start: number, count?: number, ...values: readonly unknown[]): unknown[]
  fill(value: unknown, start?: number, end?: number): unknown
  copyWithin(target: number, start?: number, end?: number): unknown
  clear(): void
  map<R>(convert: (value: unknown) => R): R[]
  slice(start?: number, end?: number): unknown[]
}

for (const [name, convert] of conversions) {
  test(`a list of ${name} does what an array does, and frees what it drops`, () => {
    fc.assert(fc.property(steps, (run) => {
      const arena = new Arena(1 << 16)
      const holder = build(Lists, arena, {})
      const shared = holder[name] as unknown as AnyList
      const model: unknown[] = []
      for (const step of run) {
        if (step.do === 'push') assert.equal(shared.push(...step.values.map(convert)), model.push(...step.values.map(convert)))
        else if (step.do === 'pop') assert.deepEqual(shared.pop(), model.pop())
        else if (step.do === 'splice') {
          const { start, count, values } = step
          if (count === undefined) assert.deepEqual(shared.splice(start), model.splice(start))
          else assert.deepEqual(shared.splice(start, count, ...values.map(convert)), model.splice(start, count, ...values.map(convert)))
        } else if (step.do === 'shift') assert.deepEqual(shared.shift(), model.shift())
        else if (step.do === 'unshift') assert.equal(shared.unshift(...step.values.map(convert)), model.unshift(...step.values.map(convert)))
        else if (step.do === 'reverse') {
          shared.reverse()
          model.reverse()
        } else if (step.do === 'sort') {
          shared.sort((a, b) => order(plain(a), plain(b)))
          model.sort(order)
        } else if (step.do === 'clear') {
          shared.clear()
          model.length = 0
        } else if (step.do === 'fill') {
          assert.equal(shared.fill(convert(step.value), step.start, step.end), shared)
          model.fill(convert(step.value), step.start, step.end)
        } else if (step.do === 'copyWithin') {
          assert.equal(shared.copyWithin(step.target, step.start, step.end), shared)
          model.copyWithin(step.target, step.start, step.end)
        } else if (step.do === 'length') {
          if (step.length > model.length) assert.throws(() => { shared.length = step.length }, { code: 'OUT_OF_RANGE' })
          else shared.length = model.length = step.length
        } else if (step.at < model.length) {
          shared.set(step.at, convert(step.value))
          model[step.at] = convert(step.value)
        } else assert.throws(() => shared.set(step.at, convert(step.value)), { code: 'OUT_OF_RANGE' })
        assert.deepEqual(plain(shared), model)
        assert.equal(shared.length, model.length)
      }
      assert.deepEqual(plain(shared.at(-1)), model.at(-1))
      assert.deepEqual(shared.slice(-3, 2).map((value) => plain(value)), model.slice(-3, 2))
      release(arena, holder)
      arena.assertEmpty()
    }), { numRuns: 100 })
  })
}

test('lists follow the protocols of Array', () => {
  const arena = new Arena()
  const { doubles, refs } = build(Lists, arena, { doubles: new Float64Array([3, 1, 2, NaN]), refs: [{ id: 1, name: 'one' }, null] })
  assert.deepEqual([...doubles], [3, 1, 2, NaN])
  assert.deepEqual([...doubles.entries()].slice(0, 2), [[0, 3], [1, 1]])
  assert.deepEqual([...doubles.keys()], [0, 1, 2, 3])
  assert.equal(doubles[1], 1)
  assert.equal(doubles[9], undefined)
  doubles[1] = 7
  assert.equal(doubles.at(1), 7)
  assert.throws(() => { (doubles as unknown as Record<string, number>)['extra'] = 1 }, { code: 'INVALID_ARGUMENT', sentence: /no property "extra"/ })
  assert.throws(() => { doubles[4] = 1 }, { code: 'OUT_OF_RANGE', sentence: /push adds/ })
  assert.deepEqual([doubles.indexOf(2), doubles.includes(NaN), doubles.indexOf(NaN), doubles.find((x) => x < 3), doubles.findIndex((x) => x === 7)], [2, true, -1, 2, 1])
  assert.deepEqual([doubles.some((x) => x > 6), doubles.every((x) => x > 2), doubles.filter((x) => x > 2), doubles.map((x) => x * 2).slice(0, 3)], [true, false, [3, 7], [6, 14, 4]])
  assert.equal(doubles.slice(0, 3).reduce((sum, x) => sum + x, 0), doubles.reduce((sum, x) => Number.isNaN(x) ? sum : sum + x, 0))
  assert.equal(doubles.join('-'), '3-7-2-NaN')
  assert.equal(refs.indexOf(refs.at(0)!), 0)
  assert.ok(refs.includes(refs.at(0)!) && refs.includes(null))
  const seen: number[] = []
  for (const value of doubles) {
    seen.push(value)
    if (seen.length === 2) doubles.push(9)
  }
  assert.deepEqual(seen, [3, 7, 2, NaN, 9])
  assert.throws(() => doubles.push('x' as never), { code: 'INVALID_ARGUMENT' })
})

test('unions, optionals and fixed arrays', () => {
  const Box = struct('Box', {
    any: union({ number: f64, text, item: Item, items: list(Item), link: ref(Item), empty: nothing, grid: array(u8, 3) }),
    maybe: optional(u8), word: optional(text), item: optional(Item), grid: array(array(u8, 3), 2), names: array(text, 2),
  })
  const arena = new Arena()
  const box = build(Box, arena, { grid: [[1, 2, 3], [4, 5, 6]], names: ['a', 'a text with memory'], item: { id: 1, name: 'an item with a name' } })
  assert.deepEqual(plain(box.any), { kind: 'none', value: undefined })
  const link = build(Item, arena, { id: 9, name: 'linked' })
  box.any = { kind: 'link', value: link }
  assert.ok(box.any.kind === 'link' && same(box.any.value, link))
  const values: ReadonlyArray<Parameters<typeof setAny>[0]> = [
    { kind: 'number', value: 0.5 }, { kind: 'text', value: 'a text that is long' }, { kind: 'item', value: { id: 1, name: 'also long enough' } },
    { kind: 'items', value: [{ id: 1, name: 'a name in a list' }] }, { kind: 'empty', value: undefined }, { kind: 'grid', value: [7, 8, 9] }, { kind: 'link', value: null },
  ]
  function setAny(value: { readonly kind: string, readonly value: unknown }): void {
    box.any = value as never
  }
  for (const value of values) {
    setAny(value)
    assert.deepEqual(plain(box.any), value)
  }
  const empty: Plain<typeof Box>['any'] = { kind: 'empty' }
  setAny(empty as never)
  assert.deepEqual(plain(box.any), { kind: 'empty', value: undefined })
  assert.throws(() => setAny({ kind: 'number', value: 'x' }), /Box\.any \(number\): expected a number/)
  assert.equal(box.maybe, undefined)
  box.maybe = 5
  assert.equal(box.maybe, 5)
  box.maybe = undefined
  box.word = 'a word with memory'
  box.word = 'another word with memory'
  assert.equal(box.word, 'another word with memory')
  box.item!.id = 4
  assert.deepEqual(plain(box.item), { id: 4, name: 'an item with a name' })
  assert.deepEqual(plain(box.grid), [[1, 2, 3], [4, 5, 6]])
  box.grid.at(1)!.set(2, 60)
  box.grid[0] = [9, 9, 9] as never
  assert.deepEqual(plain(box.grid), [[9, 9, 9], [4, 5, 60]])
  box.names.set(0, 'now with memory too')
  assert.deepEqual([...box.names], ['now with memory too', 'a text with memory'])
  assert.throws(() => { box.names = ['one'] as never }, /Box\.names: expected 2 elements/)
  release(arena, box)
  release(arena, link)
  arena.assertEmpty()
})

test('containers stand by themselves, too', () => {
  const arena = new Arena()
  const made = [
    build(list(text), arena, ['a', 'a text with memory']),
    build(map(text, Item as AnyType), arena, [['k', { id: 1, name: 'a name with memory' }]] as never),
    build(array(u32, 3), arena, [1, 2, 3]),
  ] as const
  assert.deepEqual(made.map((view) => plain(view)), [['a', 'a text with memory'], new Map([['k', { id: 1, name: 'a name with memory' }]]), [1, 2, 3]])
  for (const view of made) release(arena, view)
  arena.assertEmpty()
  assert.throws(() => build(u32, arena, 1), { code: 'INVALID_ARGUMENT' })
})

test('a wrong value in a list or array is named with its index, however deep, counted in the list it would stand in', () => {
  const arena = new Arena()
  const Inner = struct('IndexInner', { name: text })
  const Holder = struct('IndexHolder', { matrix: list(list(u32)), inner: list(Inner), fixed: array(u32, 3), numbers: list(u32) })
  const refused = (value: object, message: RegExp): void => assert.throws(() => build(Holder, arena, { fixed: [1, 2, 3], ...value }), (error) => {
    return error instanceof RpcError && error.code === 'INVALID_ARGUMENT' && message.test(error.sentence)
  })
  refused({ matrix: [[1], [1, 2, -3]] }, /^IndexHolder\.matrix\[1\]\[2\]: expected .*, got -3$/)
  refused({ inner: [{ name: 'a' }, { name: 5 }] }, /^IndexHolder\.inner\[1\]: IndexInner\.name: expected a string, got 5$/)
  refused({ fixed: [1, 'x', 3] }, /^IndexHolder\.fixed\[1\]: expected .*, got "x"$/)
  const holder = build(Holder, arena, { numbers: [1, 2, 3], fixed: [1, 2, 3] })
  assert.throws(() => holder.numbers.push(4, 'five' as never), /list\(u32\)\[4\]: expected/)
  assert.deepEqual(plain(holder.numbers), [1, 2, 3])
  let deep: unknown = ['x']
  let Deep: AnyType = list(u32)
  for (let i = 0; i < 150; i++) {
    deep = [deep]
    Deep = list(Deep)
  }
  assert.throws(() => build(struct('DeepHolder', { x: Deep }), arena, { x: deep } as never), (error) => {
    return error instanceof RpcError && /^DeepHolder\.x(\[0\])+: expected/.test(error.sentence) && error.sentence.length < 400
  })
  release(arena, holder)
  arena.assertEmpty()
})
