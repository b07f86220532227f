// Texts are compared, hashed and searched without making strings of them: counted.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Arena } from '../support/arena.js'

let decoded = 0

/** Puts a count before the engine's ways to make strings of bytes. The library keeps some of them when it is loaded: that comes after. */
function count(object: object, name: string): void {
  const real = Reflect.get(object, name) as ((...values: readonly unknown[]) => unknown) | undefined
  if (real === undefined) return
  Reflect.set(object, name, function counted(this: unknown, ...values: readonly unknown[]) {
    decoded++
    return Reflect.apply<unknown, readonly unknown[], unknown>(real, this, values)
  })
}

count(String, 'fromCharCode')
count(TextDecoder.prototype, 'decode')
for (const name of ['toString', 'latin1Slice', 'ucs2Slice', 'utf8Slice', 'asciiSlice']) count(Buffer.prototype as object, name)
const {
  build, json, jsonPath, map, set, sortedMap, struct, text, textField, u32,
} = await import('../../src/objects/index.js')

// Inline, of one and of two bytes a unit, short and long.
const texts = ['', 'a', 'ab', 'seven77', 'eight888', 'a text with memory', 'ü', 'Ā', 'κλειδί', `long ${'x'.repeat(500)}`, `long ${'κ'.repeat(500)}`, `long ${'x'.repeat(70_000)}`]
const Row = struct('UndecodedRow', {
  name: text, byText: map(text, u32), seen: set(text), order: sortedMap(text, u32), pairs: sortedMap([text, u32], u32), document: json.fast,
})
const name = textField(Row, 'name')
const arena = new Arena(1 << 26)
const rows = texts.map((one) => build(Row, arena, {
  name: one, byText: texts.map((key, i) => [key, i] as const), seen: texts, order: texts.map((key, i) => [key, i] as const), pairs: texts.map((key, i) => [[key, i], i] as const),
  document: { name: one, tags: texts, num: 1 },
}))

/** Work, and what it makes strings for. */
function stringsOf(work: () => unknown): number {
  const before = decoded
  work()
  return decoded - before
}

test('reading makes strings, so that what is counted counts', () => {
  for (const [i, row] of rows.entries()) assert.equal(stringsOf(() => row.name) > 0, texts[i] !== '', texts[i]!.slice(0, 20))
  assert.ok(stringsOf(() => [...rows[0]!.byText.keys()]) >= texts.length - 1)
  assert.ok(stringsOf(() => [...rows[0]!.order.keys()]) >= texts.length - 1)
  assert.ok(stringsOf(() => (rows.at(-1)!.document as { name: string }).name) > 0)
})

for (const one of texts) {
  const shown = one.slice(0, 10)
  const documentName = jsonPath('name')
  const works: Readonly<Record<string, (row: (typeof rows)[number]) => unknown>> = {
    is: name.is(one), startsWith: name.startsWith(one), comparedTo: name.comparedTo(one), compare: (row) => name.compare(row, rows[3]!), hash: name.hash,
    'map get': ({ byText }) => byText.get(one), 'map has': ({ byText }) => byText.has(`${one}?`), 'map set': ({ byText }) => byText.set(one, 7), 'set has': ({ seen }) => seen.has(one),
    'map delete': ({ byText }) => byText.delete(one) && byText.set(one, 8), 'sorted get': ({ order }) => order.get(one), 'sorted set': ({ order }) => order.set(one, 7), 'tuple get': ({ pairs }) => pairs.get([one, 3]),
    'range count': ({ order }) => order.count({ from: one, before: 'x' }), 'prefix values': ({ order }) => [...order.values({ prefix: one })],
    'path equals': (row) => documentName.equals(one)(row.document as object), 'path prefix': (row) => documentName.startsWith(one)(row.document as object),
    'path range': (row) => documentName.between(one, 'z')(row.document as object), 'path includes': (row) => jsonPath('tags').includes(one)(row.document as object),
  }
  test(`no string is made to compare, hash, or look for "${shown}"`, () => {
    for (const [what, work] of Object.entries(works)) {
      for (const [i, row] of rows.entries()) {
        work(row)
        assert.equal(stringsOf(() => work(row)), 0, `${what} of ${texts[i]!.slice(0, 10)}`)
      }
    }
  })
}
