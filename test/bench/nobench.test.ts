import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NoBench, sparseName } from '../../bench/nobench/generate.js'
import { dataSet, INDEXES, KINDS, SPARSE } from '../../bench/documents/mix.js'
import { conditionsOf } from '../../apps/document-store/store/filter.js'
import { plainDocuments } from '../../apps/document-store/store/plain-documents.js'
import { DocumentStore } from '../../apps/document-store/store/store.js'
import type { Json } from '../../apps/document-store/store/values.js'
import { encodeNumber } from '../../bench/nobench/encode.js'

const COUNT = 10_000
const SEARCHES = 300
const documents = [...new NoBench(COUNT)]

test('NoBench documents are the same whenever they are made', () => {
  const again = new NoBench(COUNT)
  for (const index of [COUNT - 1, 0, 17]) assert.deepEqual(again.document(index), documents[index])
  assert.notDeepEqual(new NoBench(COUNT, 1).document(0), documents[0])
})

test('NoBench spells numbers in base32 of their binary digits', () => {
  assert.equal(encodeNumber(5), 'GBRDCMBR')
  assert.equal(encodeNumber(0), 'GBRDA===')
  assert.equal(encodeNumber(1023), 'GBRDCMJRGEYTCMJRGEYQ====')
})

test('NoBench values are as unique and as rare as published', () => {
  const distinct = (values: readonly unknown[]): number => new Set(values).size
  assert.equal(distinct(documents.map(({ str1 }) => str1)), COUNT)
  assert.equal(distinct(documents.map(({ num }) => num)), COUNT)
  assert.equal(distinct(documents.map(({ str2 }) => str2)), COUNT / 10)
  assert.equal(distinct(documents.map(({ thousandth }) => thousandth)), 1000)
  const names = documents.map((document) => Object.keys(document).filter((name) => name.startsWith('sparse_')))
  assert.ok(names.every((ten) => ten.length === 10 && ten.every((name, i) => name === sparseName(Number(ten[0]!.slice(7)) + i))))
  assert.equal(distinct(names.map((ten) => ten[0])), 100)
  assert.deepEqual(new Set(documents.map(({ nested_arr }) => nested_arr.length)), new Set([0, 1, 2, 3, 4, 5, 6, 7]))
  assert.deepEqual(new Set(documents.map(({ dyn1 }) => typeof dyn1)), new Set(['number', 'string']))
  assert.deepEqual(new Set(documents.map(({ dyn2 }) => typeof dyn2)), new Set(['number', 'string', 'boolean']))
  const partners = new Set(documents.map(({ str1 }) => str1))
  assert.ok(documents.every(({ nested_obj }) => partners.has(nested_obj.str)))
})

test('the searches of the trial find what the issue says of each kind: 1, some 10, 100', () => {
  const { documents: all, searches } = dataSet(COUNT, SEARCHES)
  const store = new DocumentStore(plainDocuments)
  for (const [path, kind] of INDEXES) store.createIndex(path, kind)
  for (const [i, body] of all.entries()) store.put(String(i), { key: String(i), body: body as unknown as Json })
  const found = new Map(KINDS.map((kind) => [kind, searches.filter((search) => search.kind === kind).map(({ filter }) => store.count(conditionsOf(filter)))]))
  assert.deepEqual([...found].map(([, counts]) => counts.length), [SEARCHES / 3, SEARCHES / 3, SEARCHES / 3])
  assert.deepEqual(new Set(found.get('str1')), new Set([1]))
  assert.deepEqual(new Set(found.get('range')), new Set([100]))
  const sparse = found.get('sparse')!
  assert.ok(sparse.every((count) => count >= 1 && count <= 25), `${SPARSE}: ${sparse.join(', ')}`)
  const mean = sparse.reduce((sum, count) => sum + count) / sparse.length
  assert.ok(mean > 8 && mean < 13, `${mean} results on average`)
})
