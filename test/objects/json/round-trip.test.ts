// What is built from a value reads as JSON.parse(JSON.stringify(value)) does, however it is looked at.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { makeAddress } from '../../../src/base/numbers.js'
import { Heap, HeapSet } from '../../../src/memory/index.js'
import { buildJson, fast, jsonEqual, parseJson, plain, release } from '../../../src/objects/index.js'
import { HEAPS_BASE } from '../../../src/sys/index.js'
import { NoBench } from '../../../bench/nobench/generate.js'
import { Arena } from '../../support/arena.js'

const require = createRequire(import.meta.url)
const big = 1 << 26

function throughText(value: unknown): unknown {
  const text = JSON.stringify(value) as string | undefined
  return text === undefined ? undefined : JSON.parse(text)
}

function assertReadsAs(view: unknown, expected: unknown): void {
  assert.deepStrictEqual(view, expected)
  assert.equal(JSON.stringify(view), JSON.stringify(expected))
  if (typeof view !== 'object' || view === null) return
  assert.deepStrictEqual(plain(view), expected)
  assert.ok(jsonEqual(view, expected))
  assert.deepStrictEqual(Object.keys(view), Object.keys(expected as object))
  assert.deepStrictEqual({ ...view }, { ...expected as object })
  assert.deepStrictEqual(Array.isArray(view), Array.isArray(expected))
  assertReadsFastAs(fast(view), expected)
}

function assertReadsFastAs(view: unknown, expected: unknown): void {
  if (typeof expected !== 'object' || expected === null) {
    assert.deepStrictEqual(view, expected)
  } else if (Array.isArray(expected)) {
    const array = view as readonly unknown[]
    assert.equal(array.length, expected.length)
    for (const [i, element] of expected.entries()) assertReadsFastAs(array.at(i), element)
  } else {
    for (const [key, value] of Object.entries(expected)) {
      if (key !== 'toJSON') assertReadsFastAs(Reflect.get(view as object, key), value)
    }
    assert.equal(Reflect.get(view as object, 'no such key'), undefined)
  }
}

test('generated values read as JSON.parse(JSON.stringify(…)) gives them', () => {
  const arena = new Arena(big)
  fc.assert(fc.property(fc.json({ maxDepth: 5, stringUnit: 'binary' }), fc.integer({ min: 1, max: 4 }), (text, times) => {
    const value: unknown = JSON.parse(text)
    for (let i = 0; i < times; i++) {
      const view = buildJson(arena, value)
      assertReadsAs(view, throughText(value))
      if (typeof view === 'object' && view !== null) release(arena, view)
    }
  }), { numRuns: 300 })
})

test('texts of every length, with a unit of two bytes anywhere, and keys that are left out', () => {
  const arena = new Arena(big)
  for (let length = 0; length <= 60; length++) {
    const text = String.fromCharCode(...Array.from({ length }, (_, i) => 0x21 + i * 3 % 0xdf))
    const texts = [text, ...Array.from({ length }, (_, i) => `${text.slice(0, i)}\u0141${text.slice(i + 1)}`)]
    const view = buildJson(arena, texts)
    assert.deepStrictEqual(plain(view as object), texts)
    release(arena, view as object)
  }
  // As a dictionary, as a shape, and where the tree of shapes is left and met again.
  const nothing = (): void => undefined
  const objects = [{ a: 1, b: 2, c: 3 }, { a: 1, b: nothing, c: 3 }, { a: nothing, b: 2, c: { a: 1, b: nothing } }, { a: 1, b: 2, d: nothing }, { a: 1, d: 4, b: nothing, e: 5 }]
  for (let times = 0; times < 4; times++) {
    for (const object of objects) {
      const view = buildJson(arena, object)
      assertReadsAs(view, throughText(object))
      release(arena, view as object)
    }
  }
})

test('objects whose keys part from the way that was expected, at any depth, with keys that are left out', () => {
  const arena = new Arena(big)
  const { tree } = fc.letrec((tie) => ({
    leaf: fc.oneof(fc.integer(), fc.constant('a text'), fc.constant(undefined), fc.constant(() => undefined)),
    tree: fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.oneof({ depthSize: 'medium' }, tie('leaf'), tie('tree'))), { maxLength: 6 })
      .map((entries) => Object.fromEntries(entries as [string, unknown][])),
  }))
  fc.assert(fc.property(fc.array(tree, { minLength: 1, maxLength: 12 }), (values) => {
    for (let times = 0; times < 4; times++) {
      for (const value of values) {
        const view = buildJson(arena, value) as object
        assert.deepStrictEqual(plain(view), throughText(value))
        release(arena, view)
      }
    }
  }), { numRuns: 60 })
})

test('a document of any length lies in blocks that the allocator need not round up', () => {
  const arena = new Arena(big)
  const allocate = arena.allocate.bind(arena)
  let largest = 0
  arena.allocate = (byteLength) => {
    largest = Math.max(largest, byteLength)
    return allocate(byteLength)
  }
  const wide = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`key ${i}`, i]))
  for (let count = 150; count < 400; count++) {
    const value = { texts: Array.from({ length: count }, (_, i) => `text ${i}`), ...wide }
    const view = buildJson(arena, value) as object
    if (count % 10 === 0) assert.deepStrictEqual(plain(view), value)
    release(arena, view)
  }
  // Its header and the table of its blocks come on top.
  assert.ok(largest > 8000 && largest <= 8192 + 64, `a block of ${largest} bytes`)
})

test('any value is converted as JSON.stringify converts it', () => {
  const arena = new Arena(big)
  fc.assert(fc.property(fc.anything({ withDate: true, withBoxedValues: true, withNullPrototype: true, withSparseArray: true, withTypedArray: true }), (value) => {
    const expected = throughText(value)
    if (expected === undefined) assert.throws(() => buildJson(arena, value), { code: 'INVALID_ARGUMENT' })
    else assertReadsAs(buildJson(arena, value), expected)
  }), { numRuns: 300 })
})

test('toJSON is asked as JSON.stringify asks it: of functions and bigints too, once, and with the key', () => {
  const arena = new Arena(big)
  const says = (answer: (key: string) => unknown): object => Object.assign(() => undefined, { toJSON: answer })
  const once = { toJSON: () => ({ a: 1, toJSON: () => 'asked twice' }) }
  const values = [
    [says((key) => `as ${key}`), 1, says((key) => [key])], { f: says((key) => ({ key })), g: says(() => says(() => 'asked twice')), h: () => 1 },
    { once, list: [once], of: says(() => once) }, [1n, { big: 2n, list: [3n] }],
  ]
  const prototype: object = BigInt.prototype
  Object.defineProperty(prototype, 'toJSON', { configurable: true, value(this: bigint, key: string) { return this === 3n ? once : `${key}: ${String(this)}` } })
  try {
    for (const value of values) assertReadsAs(buildJson(arena, value), throughText(value))
  } finally {
    Reflect.deleteProperty(prototype, 'toJSON')
  }
})

test('a view of json is copied wherever it is put, whatever its keys are named', () => {
  const arena = new Arena(big)
  const value = { toJSON: 'a key like any other', list: [1, { deep: 'a text with memory' }], none: {} }
  const view = buildJson(arena, { inner: value, other: null }) as Record<string, object>
  for (const one of [view['inner']!, fast(view['inner']!)]) {
    assertReadsAs(buildJson(arena, one), value)
    assertReadsAs(buildJson(arena, { list: [one, { one }] }), { list: [value, { one: value }] })
    view['other'] = one
    assert.deepStrictEqual(plain(view), { inner: value, other: value })
  }
})

test('a document that goes on in other heaps of its connection, with texts that lie in the heap before', () => {
  const heaps = new HeapSet((space) => new Heap(new ArrayBuffer(1 << 18), HEAPS_BASE, 1, space))
  for (let i = 1; i < 40; i++) heaps.add(new Heap(new ArrayBuffer(1 << 18), makeAddress(0x4001 + i, 0), 1, heaps))
  const made = (i: number): object => ({ [`key ${i % 50}`]: `a text with memory, the ${i}th`, inner: { list: [i, 'short', `another text ${i}`] }, [`a key of its own: ${i}`]: null })
  // Objects and arrays that are open while a heap fills have texts in it, and end in the next.
  const value = { first: 'a text of the outermost', nested: Array.from({ length: 60 }, (_, k) => ({ name: `the name of part ${k}`, parts: Array.from({ length: 100 }, (_, i) => made(k * 100 + i)), last: k })) }
  for (const make of [(): unknown => buildJson(heaps, value), (): unknown => parseJson(heaps, JSON.stringify(value))]) {
    const view = make() as object
    assert.deepStrictEqual(plain(view), value)
    assert.ok(jsonEqual(view, value))
    const { liveBytes } = heaps.stats()
    release(heaps, view)
    assert.ok(heaps.stats().liveBytes < liveBytes / 4, `${heaps.stats().liveBytes} of ${liveBytes} bytes stay, of shapes alone`)
  }
})

test('real files: compatibility data, the lock file of this project, and emoji', () => {
  const arena = new Arena(1 << 28)
  for (const name of ['@mdn/browser-compat-data', '../../../../package-lock.json', 'unicode-emoji-json']) {
    const value = require(name) as object
    const view = buildJson(arena, value) as object
    assert.deepStrictEqual(plain(view), value)
    assert.equal(JSON.stringify(view), JSON.stringify(value))
    release(arena, view)
  }
})

test('documents of a kind share their shapes', () => {
  const arena = new Arena(big)
  const documents = [...new NoBench(1000)]
  const views = documents.map((document) => buildJson(arena, document) as object)
  for (const [i, view] of views.entries()) assertReadsAs(view, documents[i])
  for (const view of views) release(arena, view)
  const shapes = arena.live
  assert.ok(shapes <= 100 * 3, `${shapes} blocks stay`)
  for (const document of documents) release(arena, buildJson(arena, document) as object)
  assert.ok(arena.live - shapes < 20, `${arena.live} blocks stay at the second time, ${shapes} at the first`)
})
