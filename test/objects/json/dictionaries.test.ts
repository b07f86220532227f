// Which objects have a shape, and which bring their keys along: seen in the words of their records.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DICTIONARY, DICTIONARY_WORDS, ENTRY_WORDS } from '../../../src/layout/json-layout.js'
import { Region } from '../../../src/memory/region.js'
import { buildJson, copyGraph, fast, locationOf, parseJson, plain, release } from '../../../src/objects/index.js'
import { JsonBuilder } from '../../../src/objects/json/builder.js'
import { RUN_MAX } from '../../../src/objects/json/index-table.js'
import { internOf } from '../../../src/objects/json/intern.js'
import { INDEXED_FROM, MAX_SHAPE_KEYS } from '../../../src/objects/json/limits.js'
import { hashStep } from '../../../src/objects/json/needle.js'
import { proxies } from '../../../src/objects/json/proxies.js'
import { openObject } from '../../../src/objects/json/record.js'
import { knownShapes } from '../../../src/objects/json/shapes.js'
import { Arena } from '../../support/arena.js'

type Tree = Record<string, unknown>

/** How an object lies in memory: with a shape, or with its keys, and whether these have an index. */
function representation(view: object): 'shape' | 'dictionary' | 'indexed dictionary' {
  const { region, word } = locationOf(view)
  const { region: home, word: record, shape, bits } = openObject(region, word)
  const isDictionary = (home.i32[record + 1]! & DICTIONARY) === DICTIONARY
  assert.equal(isDictionary, shape === null)
  return !isDictionary ? 'shape' : bits > 0 ? 'indexed dictionary' : 'dictionary'
}

const many = (count: number, from = 0): Tree => Object.fromEntries(Array.from({ length: count }, (_, i) => [`key ${from + i}`, i]))

test('keys that are seen once or twice stay with their object; at the third time they are a shape', () => {
  for (const make of [buildJson, (arena: Arena, value: unknown) => parseJson(arena, JSON.stringify(value))]) {
    const arena = new Arena(1 << 20)
    const views = Array.from({ length: 4 }, () => make(arena, { name: 'n', inner: { of: 1 } }) as Tree)
    assert.deepEqual(views.map(representation), ['dictionary', 'dictionary', 'shape', 'shape'])
    assert.deepEqual(views.map((view) => representation(view['inner'] as object)), ['dictionary', 'dictionary', 'shape', 'shape'])
    assert.equal(internOf(arena)!.shapes, 2)
  }
})

test('an object with more keys than a record has is a dictionary, however often, with an index', () => {
  const arena = new Arena(1 << 22)
  for (let times = 0; times < 5; times++) {
    assert.equal(representation(buildJson(arena, many(MAX_SHAPE_KEYS + 1)) as object), 'indexed dictionary')
    assert.equal(representation(buildJson(arena, many(MAX_SHAPE_KEYS)) as object), times < 2 ? 'indexed dictionary' : 'shape')
  }
  for (const [count, expected] of [[INDEXED_FROM - 1, 'dictionary'], [INDEXED_FROM, 'indexed dictionary']] as const) {
    assert.equal(representation(buildJson(arena, many(count, 5000)) as object), expected)
  }
})

test('a thousand objects as dictionaries, each with keys of its own, leave no shape and no block', () => {
  const arena = new Arena(1 << 22)
  for (let i = 0; i < 1000; i++) {
    const value = many(20, i * 20)
    const view = buildJson(arena, value) as Tree
    assert.equal(representation(view), 'indexed dictionary')
    assert.deepStrictEqual(plain(view), value)
    assert.equal(fast(view)[`key ${i * 20 + 7}`], 7)
    release(arena, view)
  }
  assert.equal(internOf(arena)!.shapes, 0)
  arena.assertEmpty()
})

test('an object to which keys are added and taken away, as to a Map, becomes a dictionary and makes a bounded number of shapes', () => {
  const arena = new Arena(1 << 22)
  const model: Tree = {}
  const view = buildJson(arena, {}) as Tree
  for (let i = 0; i < 3000; i++) {
    const key = `key ${i * 7919 % 400}`
    if (key in model && i % 3 === 0) {
      delete model[key]
      delete view[key]
    } else {
      model[key] = i
      view[key] = i
    }
  }
  assert.equal(representation(view), 'indexed dictionary')
  assert.deepStrictEqual(plain(view), model)
  const { shapes } = internOf(arena)!
  assert.ok(shapes <= MAX_SHAPE_KEYS, `${shapes} shapes`)
  release(arena, view)
  assert.equal(arena.live, shapes)
})

test('in memory that goes soon there are dictionaries only, and a copy from there to stay gets the shape of its kind', () => {
  const arena = new Arena(1 << 20)
  const passing = new class extends Arena { readonly transient = true }(1 << 20, arena.space)
  for (let times = 0; times < 5; times++) {
    const view = buildJson(passing, { name: 'n', of: 1 }) as Tree
    assert.equal(representation(view), 'dictionary')
    assert.equal(representation(copyGraph(view, arena)), times < 2 ? 'dictionary' : 'shape')
  }
  const shaped = buildJson(arena, { name: 'n', of: 1 }) as Tree
  assert.deepEqual([representation(shaped), representation(copyGraph(shaped, passing))], ['shape', 'dictionary'])
})

test('regions that are gone are not remembered', async () => {
  const arena = new Arena(1 << 20)
  for (let times = 0; times < 3; times++) buildJson(arena, { of: 'many regions' })
  const view = buildJson(arena, { of: 'many regions' }) as Tree
  const { region, word } = locationOf(view)
  let most = 0
  for (let i = 0; i < 2500; i++) {
    assert.equal((proxies.object(new Region(region, region.addressOf(region.shift)), word) as Tree)['of'], 'many regions')
    if (i % 100 === 99) {
      await new Promise((resolve) => setImmediate(resolve))
      globalThis.gc?.()
    }
    most = Math.max(most, knownShapes().regions)
  }
  assert.ok(most < 1200, `${most} regions are remembered`)
})

/** Texts of eight characters that the cheap hash cannot tell apart: the second word is made to lead back to where the first one led away. */
function colliding(count: number): string[] {
  const alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_'
  const keys: string[] = []
  for (let i = 0; keys.length < count; i++) {
    const key = Buffer.from(`${alphabet[i & 63]!}${alphabet[i >> 6 & 63]!}${alphabet[i >> 12 & 63]!}${alphabet[i >> 18 & 63]!}xxxx`)
    const step = hashStep(0, key.readInt32LE(0))
    key.writeInt32LE(0x2468_1357 ^ (step << 5 | step >>> 27), 4)
    if (key.every((byte) => byte > 0x22 && byte < 0x7f && byte !== 0x5c)) keys.push(key.toString())
  }
  return keys
}

/** Entries that lie beside each other in the index of a dictionary, and the seed of the index. */
function indexOf(view: object): { readonly run: number, readonly seed: number } {
  const { region, word } = locationOf(view)
  const { region: home, word: record, capacity, bits, seed } = openObject(region, word)
  const index = record + DICTIONARY_WORDS + capacity * ENTRY_WORDS
  let [run, longest] = [0, 0]
  for (let i = index; i < index + (1 << bits); i++) {
    run = home.i32[i] === 0 ? 0 : run + 1
    longest = Math.max(longest, run)
  }
  return { run: longest, seed }
}

test('keys of one hash, by chance or by intent, serve like all others: built, parsed, copied, added, read and taken out', () => {
  const prefix = `https://example.org/${'a'.repeat(260)}/`
  const innocent = Array.from({ length: 300 }, (_, i) => prefix + String(i).padStart(6, '0'))
  const hostile = colliding(4200)
  for (const keys of [innocent, innocent.map((key) => key.replace('a', 'ä ω')), hostile]) {
    const arena = new Arena(1 << 24)
    const value = Object.fromEntries(keys.map((key, i) => [key, i]))
    const text = JSON.stringify(value)
    const added = buildJson(arena, {}) as Tree
    for (const [i, key] of keys.entries()) added[key] = i
    const views = [buildJson(arena, value), parseJson(arena, text), copyGraph(added, arena), added] as Tree[]
    for (const view of views) {
      assert.deepStrictEqual(plain(view), value)
      const missing = keys.filter((key, i) => view[key] !== i)
      assert.deepEqual([missing, view[`${keys[0]!}x`], view[keys[0]!.replace(/.$/, '!')]], [[], undefined, undefined])
      const { run, seed } = indexOf(view)
      assert.ok(run <= RUN_MAX && seed !== 0, `${run} entries beside each other, seed ${seed}`)
    }
    // Those of one seed stay under one, and make room for more.
    for (const [i, key] of keys.entries()) if (i % 2 === 0) delete added[key]
    for (let i = 0; i < 200; i++) added[`${prefix}more ${i}`] = i
    assert.deepEqual(Object.keys(added), [...keys.filter((_, i) => i % 2 === 1), ...Array.from({ length: 200 }, (_, i) => `${prefix}more ${i}`)])
    assert.equal(added[`${prefix}more 199`], 199)
    for (const view of views) release(arena, view)
    assert.equal(arena.live, internOf(arena)!.shapes)
  }
  // What no key has in common with another needs no seed.
  assert.equal(indexOf(buildJson(new Arena(), many(2000)) as object).seed, 0)
})

test('of equal keys the last counts, without comparing all keys of one hash with all', (t) => {
  const compared = t.mock.method(JsonBuilder.prototype, 'sameKeys')
  const keys = colliding(1000)
  for (const [which, most] of [[keys, 600], [keys.slice(0, 12), 200], [many(1000), 600]] as const) {
    const names = Array.isArray(which) ? which as readonly string[] : Object.keys(which)
    const twice = [...names.map((key, i) => [key, i]), ...names.filter((_, i) => i % 2 === 0).map((key) => [key, 'the last'])]
    const text = `{${twice.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`
    for (const said of [text, `{${names.map((key) => `${JSON.stringify(key)}:1`).join()}}`]) {
      compared.mock.resetCalls()
      const view = parseJson(new Arena(1 << 22), said) as Tree
      assert.deepEqual(Object.entries(plain(view)), Object.entries(JSON.parse(said) as Tree))
      assert.ok(compared.mock.callCount() <= most, `${compared.mock.callCount()} comparisons of ${twice.length} keys`)
    }
  }
})

test('many keys without an index, or with one that has no free place, are no dictionary', () => {
  const arena = new Arena(1 << 20)
  const view = buildJson(arena, many(MAX_SHAPE_KEYS + 1)) as Tree
  const { region, word } = locationOf(view)
  const { region: home, word: record, bits, capacity } = openObject(region, word)
  assert.equal(representation(view), 'indexed dictionary')
  for (const other of [0, 31 - Math.clz32(capacity)]) {
    home.i32[record + 1] = home.i32[record + 1]! - bits + other
    assert.throws(() => Object.keys(view), { code: 'INVALID_ARGUMENT', message: /dictionary/ })
    assert.throws(() => view['key 1'], { code: 'INVALID_ARGUMENT' })
    home.i32[record + 1] = home.i32[record + 1]! - other + bits
  }
  assert.equal(Object.keys(view).length, MAX_SHAPE_KEYS + 1)
})
