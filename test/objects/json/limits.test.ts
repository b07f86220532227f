// Sizes that are stated are kept, cheaply: what is too long is refused before anything is made of it, and a peer's claim of more is an error.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, buildJson, copyGraph, fast, json, jsonEqual, list, locationOf, plain, release, struct, text, u8 } from '../../../src/objects/index.js'
import { internOf } from '../../../src/objects/json/intern.js'
import { Arena } from '../../support/arena.js'

const MOST = 2 ** 26

test('an array of more than 2^26 elements is refused, and so is an index or length beyond', () => {
  const arena = new Arena(1 << 16)
  const sparse = (length: number): unknown[] => Object.assign([], { length })
  assert.throws(() => buildJson(arena, sparse(MOST + 1)), { code: 'INVALID_ARGUMENT', message: /at most 67108864 elements/ })
  assert.throws(() => buildJson(arena, { inside: [sparse(2 ** 32 - 1)] }), { code: 'INVALID_ARGUMENT', message: /at most 67108864 elements/ })
  const document = buildJson(arena, { list: [1, 'a text with memory'] }) as { list: unknown[] }
  assert.throws(() => { document.list[MOST] = 1 }, { code: 'OUT_OF_RANGE', message: /from 0 to 67108863/ })
  assert.throws(() => { document.list.length = MOST + 1 }, { code: 'INVALID_ARGUMENT', message: /at most 67108864 elements/ })
  // The greatest that may be, for which there is no room here.
  assert.throws(() => { document.list[MOST - 1] = 1 }, { code: 'RESOURCE_EXHAUSTED' })
  assert.throws(() => { document.list.length = MOST }, { code: 'RESOURCE_EXHAUSTED' })
  assert.deepStrictEqual(plain(document), { list: [1, 'a text with memory'] })
  release(arena, document)
  assert.equal(arena.live, internOf(arena)?.shapes ?? 0)
})

test('a claim of more elements, entries or units than are allowed, or than there is memory, is an error to whoever looks', () => {
  const wide = 'κλειδί, a text that takes a record'
  const value = { list: [1, 2, 3], many: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`key ${i}`, i])), wide }
  const claims: ReadonlyArray<readonly [string, (region: { readonly i32: Int32Array }, document: { list: object, many: object }, count: number) => void, read: (document: typeof value) => unknown]> = [
    ['elements', ({ i32 }, { list }, count) => { i32.fill(count, locationOf(list).word, locationOf(list).word + 2) }, ({ list }) => list.at(1)],
    ['entries', ({ i32 }, { many }, count) => { i32[locationOf(many).word + 2] = count }, ({ many }) => many['key 7']],
    ['entries used', ({ i32 }, { many }, count) => { i32[locationOf(many).word] = count }, ({ many }) => many['key 7']],
  ]
  for (const [what, claim, read] of claims) {
    for (const count of [MOST, MOST + 1, 2 ** 31 - 1, -1]) {
      const arena = new Arena(1 << 16)
      const document = buildJson(arena, value) as typeof value
      assert.notEqual(read(document), undefined)
      claim(arena.region, document, count)
      for (const look of [() => read(document), () => fast(document).list.at(1) === 2 && fast(document).many['key 7'] === 7 ? assert.fail('it reads on') : read(document), () => plain(document), () => jsonEqual(document, value), () => copyGraph(document, arena), () => JSON.stringify(document)]) {
        assert.throws(look, { code: 'INVALID_ARGUMENT' }, `${count} ${what}`)
      }
    }
  }
})

test('a text that claims more than 2^29 - 24 units, or more than there are, is an error', () => {
  const Holder = struct('LimitHolder', { name: text, body: json, bytes: list(u8) })
  for (const units of [2 ** 29 - 23, 2 ** 29 - 24, 2 ** 30, -1]) {
    const arena = new Arena(1 << 14)
    const holder = build(Holder, arena, { name: 'a text that takes a record', body: { name: 'another that takes a record' }, bytes: [1, 2, 3] })
    const { region } = arena
    const { word } = locationOf(holder)
    for (const at of region.i32.keys()) if (region.i32[at] === 26 || region.i32[at] === 27) region.i32[at] = units
    assert.throws(() => holder.name, { code: 'INVALID_ARGUMENT' })
    assert.throws(() => (holder.body as { name: string }).name, { code: 'INVALID_ARGUMENT' })
    assert.throws(() => copyGraph(holder, arena), { code: 'INVALID_ARGUMENT' })
    // A list of four billion bytes, which end with the heap.
    region.i32[word + 6 + 2] = -1
    assert.equal(holder.bytes.length, 2 ** 32 - 1, 'the list lies where this test looks for it')
    assert.throws(() => holder.bytes.at(2 ** 31), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => holder.bytes.push(1), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => plain(holder.bytes), { code: 'INVALID_ARGUMENT' })
  }
})
