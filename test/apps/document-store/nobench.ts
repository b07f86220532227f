// NoBench's queries Q1 to Q11 as published ("Enabling JSON Document Stores in Relational Systems", WebDB 2013, table 2), over any
// store, compared with a look at every document.
import assert from 'node:assert/strict'
import { NoBench, type NoBenchDocument, sparseName } from '../../../bench/nobench/generate.js'
import type { Json } from '../../../apps/document-store/store/values.js'
import type { Tested } from './tested.js'

const COUNT = 3000
/** Ranges take a thousandth of the documents, as published, or a little more of so few. */
const RANGE = 30

interface Loaded {
  readonly documents: ReadonlyMap<string, NoBenchDocument>
  readonly all: readonly NoBenchDocument[]
}

export function load(store: Tested): Loaded {
  const documents = new Map<string, NoBenchDocument>()
  for (const [i, document] of [...new NoBench(COUNT)].entries()) {
    documents.set(`nobench/${i}`, document)
    store.put(`nobench/${i}`, document as unknown as Json)
  }
  return { documents, all: [...documents.values()] }
}

export type Query = (store: Tested, loaded: Loaded) => Promise<void> | void

/** A projection is the same as the model's, in any order. */
function sameRows(rows: readonly Record<string, Json>[], expected: readonly Record<string, unknown>[]): void {
  const texts = (list: readonly object[]): string[] => list.map((row) => JSON.stringify(row)).sort()
  assert.deepEqual(texts(rows), texts(expected))
}

/** The same documents, whole, by key. */
function sameDocuments(found: readonly (readonly [string, Json])[], { documents }: Loaded, test: (document: NoBenchDocument) => boolean): void {
  const expected = [...documents].filter(([, document]) => test(document))
  assert.ok(expected.length > 0, 'the query finds something')
  assert.deepStrictEqual(Object.fromEntries(found), Object.fromEntries(expected))
}

const between = (value: unknown, low: number): boolean => typeof value === 'number' && value >= low && value <= low + RANGE

export const QUERIES: Readonly<Record<string, Query>> = {
  'Q1: str1 and num of all': async (store, { all }) => {
    sameRows(await store.project({}, ['str1', 'num']), all.map(({ str1, num }) => ({ str1, num })))
  },
  'Q2: nested_obj.str and nested_obj.num of all': async (store, { all }) => {
    sameRows(await store.project({}, ['nested_obj.str', 'nested_obj.num']),
      all.map(({ nested_obj: { str, num } }) => ({ 'nested_obj.str': str, 'nested_obj.num': num })))
  },
  'Q3: two sparse attributes of one cluster': async (store, { all }) => {
    await projectsSparse(store, all, 110, 119)
  },
  'Q4: two sparse attributes of different clusters': async (store, { all }) => {
    await projectsSparse(store, all, 110, 220)
  },
  'Q5: str1 = …': (store, loaded) => {
    for (let i = 0; i < COUNT; i += 501) {
      const { str1 } = loaded.all[i]!
      const found = store.find({ str1 })
      assert.equal(found.length, 1)
      sameDocuments(found, loaded, (document) => document.str1 === str1)
    }
  },
  'Q6: num between … and …': (store, loaded) => {
    for (const low of [0, 1234, COUNT - 10]) {
      const found = store.find({ num: { gte: low, lte: low + RANGE } })
      assert.equal(found.length, Math.min(RANGE + 1, COUNT - low), 'each number is there once')
      sameDocuments(found, loaded, ({ num }) => between(num, low))
    }
  },
  'Q7: dyn1 between … and …, which is a number in half of the documents': (store, loaded) => {
    for (const low of [0, 1234]) sameDocuments(store.find({ dyn1: { gte: low, lte: low + RANGE } }), loaded, ({ dyn1 }) => between(dyn1, low))
  },
  'Q8: … = any of nested_arr': (store, loaded) => {
    const words = loaded.all.flatMap(({ nested_arr }) => nested_arr).slice(0, 3)
    for (const word of words) sameDocuments(store.find({ nested_arr: { contains: word } }), loaded, ({ nested_arr }) => nested_arr.includes(word))
  },
  'Q9: a sparse attribute = …': (store, loaded) => {
    for (const name of [sparseName(550), sparseName(7)]) {
      const value = loaded.all.flatMap((document) => document[name] ?? [])[0]!
      const found = store.find({ [name]: value })
      assert.ok(found.length >= 3 && found.length <= 25, `some ten, not ${found.length}`)
      sameDocuments(found, loaded, (document) => document[name] === value)
    }
  },
  'Q10: how many of each thousandth, num between … and …': async (store, { all }) => {
    const [low, high] = [100, 2100]
    const groups = await store.group({ num: { gte: low, lte: high } }, 'thousandth')
    const expected = new Map<number, number>()
    for (const { num, thousandth } of all) if (num >= low && num <= high) expected.set(thousandth, (expected.get(thousandth) ?? 0) + 1)
    assert.deepStrictEqual(Object.fromEntries(groups), Object.fromEntries(expected))
    assert.deepEqual([groups.size, [...groups.values()].reduce((sum, count) => sum + count)], [1000, high - low + 1])
  },
  'Q11: joined with the document whose str1 is this one\'s nested_obj.str, num between … and …': async (store, { documents }) => {
    const byStr1 = new Map([...documents].map(([key, { str1 }]) => [str1, key]))
    const low = 500
    const expected = [...documents].filter(([, { num }]) => between(num, low)).map(([key, { nested_obj }]) => `${key} ${byStr1.get(nested_obj.str)!}`)
    const pairs = await store.join({ num: { gte: low, lte: low + RANGE } }, 'nested_obj.str', 'str1')
    assert.equal(pairs.length, RANGE + 1, 'each has one partner')
    assert.deepEqual(pairs.map((pair) => pair.join(' ')).sort(), expected.sort())
  },
}

async function projectsSparse(store: Tested, all: readonly NoBenchDocument[], one: number, other: number): Promise<void> {
  const names = [sparseName(one), sparseName(other)]
  const rows = await store.project({}, names)
  assert.equal(rows.length, COUNT, 'also those that have neither, as in the published query')
  sameRows(rows, all.map((document) => Object.fromEntries(names.flatMap((name) => (document[name] === undefined ? [] : [[name, document[name]]])))))
}

/** Runs every query without an index, and with the indexes that its conditions can use, made when the documents are there. */
export async function runQueries(store: Tested, check: (name: string, run: () => Promise<void>) => Promise<void>): Promise<void> {
  const loaded = load(store)
  const all = async (how: string): Promise<void> => {
    for (const [name, query] of Object.entries(QUERIES)) await check(`${name} (${how})`, async () => query(store, loaded))
  }
  await all('no index')
  for (const [path, kind] of [
    ['str1', 'hash'], ['num', 'ordered'], ['dyn1', 'ordered'], ['nested_arr', 'hash'], [sparseName(550), 'hash'], [sparseName(7), 'ordered'],
  ] as const) await store.createIndex(path, kind)
  await all('indexed')
}
