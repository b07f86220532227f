// The store itself, over plain objects: what its servers and clients add is tested beside.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { conditionsOf } from '../../../apps/document-store/store/filter.js'
import { plainDocuments } from '../../../apps/document-store/store/plain-documents.js'
import { DocumentStore } from '../../../apps/document-store/store/store.js'
import { follow, history } from './histories.js'
import { plainTested } from './tested.js'

test('a store of plain objects does what a Map and a look at every document do', async () => {
  await fc.assert(fc.asyncProperty(history, (operations) => follow(plainTested(), operations)), { numRuns: 400 })
})

test('filters that mean nothing are refused with what is wrong', () => {
  for (const [filter, why] of [
    ['x', /a filter is an object/], [[1], /a filter is an object/], [null, /a filter is an object/],
    [{ x: { $gt: 1 } }, /has "\$gt"; it may have gte/], [{ x: {} }, /must be one of/], [{ x: { gte: 1, prefix: 'a' } }, /must be one of/],
    [{ x: { gte: 1, gt: 1 } }, /two lower/], [{ x: { gte: 1, lt: 'a' } }, /two numbers or two texts/], [{ x: { gte: true } }, /from number to number/],
    [{ x: { prefix: 1 } }, /wrong type/], [{ x: { contains: [] } }, /wrong type/], [{ x: [1] }, /"0"/], [{ x: undefined }, /is undefined/],
    [{ x: { gte: Number.NaN } }, /from number to number/],
  ] as const) {
    assert.throws(() => conditionsOf(filter), (error) => error instanceof RangeError && why.test(error.message), JSON.stringify(filter))
  }
})

test('limits are kept: paths, indexes', () => {
  const store = new DocumentStore(plainDocuments)
  for (const path of ['', 'x'.repeat(2000)]) assert.throws(() => store.createIndex(path, 'hash'), RangeError)
  for (let i = 0; i < 64; i++) store.createIndex(`x${i}`, 'hash')
  assert.throws(() => store.createIndex('one more', 'hash'), /at most 64/)
  store.createIndex('x0', 'ordered')
  assert.deepEqual(store.indexes[0], { path: 'x0', kind: 'ordered' })
})

test('a value that ten thousand documents share leaves an index as fast as it came', () => {
  const store = new DocumentStore(plainDocuments)
  store.createIndex('flag', 'hash')
  store.createIndex('flag2', 'ordered')
  for (let i = 0; i < 10_000; i++) store.put(`k${i}`, { key: `k${i}`, body: { flag: true, flag2: 7 } })
  assert.equal(store.count(conditionsOf({ flag: true })), 10_000)
  for (let i = 0; i < 10_000; i++) store.delete(`k${i}`)
  assert.equal(store.count(conditionsOf({ flag: true })), 0)
  assert.equal(store.count(conditionsOf({ flag2: { gte: 0 } })), 0)
})

test('what somebody changed behind the store\'s back is found where it was entered, and leaves from there', () => {
  const store = new DocumentStore(plainDocuments)
  store.createIndex('x', 'ordered')
  const body: Record<string, number> = { x: 1 }
  store.put('a', { key: 'a', body })
  body['x'] = 2
  assert.equal(store.delete('a')?.key, 'a')
  store.put('b', { key: 'b', body: { x: 1 } })
  assert.deepEqual(store.find({ where: conditionsOf({ x: 1 }) }).map(({ key }) => key), ['b'])
})
