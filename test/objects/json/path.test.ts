// A compiled path and its predicates say of a document what plain JavaScript says of its plain value.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { buildJson, fast, jsonPath, locationOf, plain } from '../../../src/objects/index.js'
import { Arena } from '../../support/arena.js'

const texts = ['', 'a', 'abcde', 'abcdef', 'a text with memory', 'a text with memory!', 'κλειδί', 'κλειδ', 'é', 'ééééééé', 'a text wit']
const scalar = fc.constantFrom<string | number | boolean | null>(...texts, 0, 1, -1, 1.5, 2 ** 31, -(2 ** 40), true, false, null)
const element = fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.record({ x: scalar, 1: scalar }, { requiredKeys: [], noNullPrototype: true }))
const inner = fc.dictionary(fc.constantFrom('x', 'y', 'name', 'a long key'), scalar, { maxKeys: 4, noNullPrototype: true })
const document = fc.dictionary(fc.constantFrom('a', 'b', 'nested', 'other', '1', '7'), fc.oneof(scalar, inner, fc.array(element, { maxLength: 4 })), { maxKeys: 5, noNullPrototype: true })

function at(value: unknown, keys: ReadonlyArray<string | number>): unknown {
  return keys.reduce<unknown>((object, key) => (typeof object === 'object' && object !== null && key !== 'length' && Object.hasOwn(object, key)
    ? Reflect.get(object, key) : undefined), value)
}

test('paths select, compare, range, prefix and membership as the plain value', () => {
  const arena = new Arena(1 << 27)
  const paths = [
    ['a'], ['b'], ['nested', 'x'], ['nested', 'a long key'], ['a', 'name'], ['7'], ['a', 'b', 'x'], ['absent'],
    [1], ['1'], ['a', 0], ['b', '1'], ['nested', 2, 'x'], ['a', 1, 1], ['1', 'x'], [0, 'name'], ['a', 'length'], ['b', '01'], ['a', 4_294_967_295],
  ].map((keys) => ({ keys, path: jsonPath(...keys) }))
  fc.assert(fc.property(fc.oneof({ weight: 5, arbitrary: document }, { weight: 1, arbitrary: fc.array(fc.oneof(element, inner), { maxLength: 4 }) }), scalar, fc.constantFrom(...texts), fc.integer({ min: 1, max: 4 }), fc.shuffledSubarray(paths, { minLength: 7, maxLength: 7 }), (value, sought, prefix, times, asked) => {
    let view = {}
    for (let i = 0; i < times; i++) view = buildJson(arena, value) as object
    for (const { keys, path } of asked) {
      const expected = at(value, keys)
      for (const form of [view, fast(view)]) {
        assert.deepStrictEqual(plain(path(form)), expected)
        assert.equal(path.exists(form), expected !== undefined)
        assert.equal(path.equals(sought)(form), expected === sought)
        assert.equal(path.startsWith(prefix)(form), typeof expected === 'string' && expected.startsWith(prefix))
        assert.equal(path.includes(sought)(form), Array.isArray(expected) && expected.includes(sought))
        assert.equal(path.between(0, 1.5)(form), typeof expected === 'number' && expected >= 0 && expected <= 1.5)
        assert.equal(path.between('a text', 'abcdef')(form), typeof expected === 'string' && expected >= 'a text' && expected <= 'abcdef')
      }
    }
  }), { numRuns: 500 })
})

test('a predicate sees what was changed since', () => {
  const arena = new Arena()
  const view = buildJson(arena, { a: 1, name: 'before' }) as Record<string, unknown>
  const isAfter = jsonPath('name').equals('after the change')
  assert.ok(!isAfter(view))
  view['name'] = 'after the change'
  assert.ok(isAfter(view) && isAfter(fast(view)))
  view['another key'] = true
  assert.ok(isAfter(view) && isAfter(fast(view)))
  assert.ok(jsonPath('another key').equals(true)(fast(view)))
  delete view['name']
  assert.ok(!isAfter(view) && !jsonPath('name').exists(fast(view)))
})

test('an element of an array that grew, was sorted and emptied is found where it is', () => {
  const arena = new Arena()
  const view = buildJson(arena, { list: [{ n: 1 }] }) as { list: { n: number }[] }
  const second = jsonPath('list', 1, 'n')
  assert.ok(!second.exists(view))
  for (let n = 2; n < 40; n++) view.list.push({ n })
  assert.deepEqual([second(view), second(fast(view)), jsonPath('list', '38', 'n')(view), jsonPath('list', 39).exists(view)], [2, 2, 39, false])
  view.list.reverse()
  assert.ok(second.equals(38)(view) && jsonPath(1, 'n').equals(38)(view.list) && jsonPath('1', 'n').equals(38)(fast(view.list)))
  view.list.length = 1
  assert.ok(!second.exists(view) && jsonPath('list', 0, 'n').equals(39)(view))
})

test('an element that an array claims behind the end of its region is an error', () => {
  const arena = new Arena(1 << 16)
  // Keys that recur have a shape, whose slots are known when they were met.
  const [, , view] = Array.from({ length: 3 }, () => buildJson(arena, { list: [1, 2, 3] }) as { list: object })
  assert.equal(jsonPath('list', 2)(fast(view!)), 3)
  const { region, word } = locationOf(view!.list)
  region.i32[word] = 1 << 20
  region.i32[word + 1] = 1 << 20
  for (const index of [region.words, 200_000]) assert.throws(() => jsonPath('list', index)(fast(view!)), { code: 'INVALID_ARGUMENT' }, String(index))
})

test('what is no path, no document and no comparison is refused', () => {
  assert.throws(() => jsonPath(), { code: 'INVALID_ARGUMENT' })
  for (const key of [-1, 1.5, NaN, null, {}]) assert.throws(() => jsonPath('a', key as number), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => jsonPath('a')({}), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => jsonPath('a').equals({} as unknown as string), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => jsonPath('a').between(1, 'x' as unknown as number), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => jsonPath('a').startsWith(1 as unknown as string), { code: 'INVALID_ARGUMENT' })
})
