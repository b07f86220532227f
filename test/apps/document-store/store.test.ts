// The store itself, over plain objects: what its servers and clients add is tested beside.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { conditionsOf, type Filter } from '../../../apps/document-store/store/filter.js'
import { plainDocuments } from '../../../apps/document-store/store/plain-documents.js'
import { DocumentStore } from '../../../apps/document-store/store/store.js'
import { parsePath, spellKey } from '../../../apps/document-store/store/values.js'
import { follow, history } from './histories.js'
import { plainTested } from './tested.js'

test('a store of plain objects does what a Map and a look at every document do', async () => {
  await fc.assert(fc.asyncProperty(history, (operations) => follow(plainTested(), operations)), { numRuns: 400 })
})

test('filters that mean nothing are refused with what is wrong', () => {
  for (const [filter, why] of [
    ['x', /a filter is an object/], [[1], /a filter is an object/], [null, /a filter is an object/],
    [{ x: { $gt: 1 } }, /has "\$gt": a test is .*"gte"/], [{ x: {} }, /says nothing: a test is/], [{ x: { gte: 1, prefix: 'a' } }, /says several things: a test is/],
    [{ x: { gte: 1, gt: 1 } }, /two lower/], [{ x: { gte: 1, lt: 'a' } }, /two numbers or two texts/], [{ x: { gte: true } }, /from number to number/],
    [{ x: { prefix: 1 } }, /wrong type/], [{ x: { contains: [] } }, /wrong type/], [{ x: [1] }, /is an array: a test is/], [{ x: undefined }, /is undefined: a test is/],
    [{ x: { gte: Number.NaN } }, /from number to number/],
  ] as const) {
    assert.throws(() => conditionsOf(filter), (error) => error instanceof RangeError && why.test(error.message), JSON.stringify(filter))
  }
})

test('every list of keys has one path, dots and backslashes in them or not', () => {
  const key = fc.string({ unit: fc.constantFrom('a', '.', '\\', '0'), maxLength: 4 })
  fc.assert(fc.property(fc.array(key, { minLength: 1, maxLength: 4 }), (keys) => {
    const path = keys.map(spellKey).join('.')
    if (path !== '') assert.deepEqual(parsePath(path), keys)
  }))
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom('a', '.', '\\', '0'), minLength: 1, maxLength: 8 }), (path) => {
    let keys: readonly string[]
    try {
      keys = parsePath(path)
    } catch (error) {
      assert.match(String(error), /RangeError: in a path, a backslash stands before/)
      return
    }
    assert.equal(keys.map(spellKey).join('.'), path)
  }))
})

test('a search looks at the documents that its best index gives, and at no others', () => {
  let looks = 0
  const counted: typeof plainDocuments = { ...plainDocuments, body: (document) => {
    looks++
    return plainDocuments.body(document)
  } }
  const store = new DocumentStore(counted)
  const COUNT = 2000
  for (let i = 0; i < COUNT; i++) store.put(`k${i}`, { key: `k${i}`, body: { str: `text ${i}`, num: i, ten: i % 200, tags: [`t${i % 100}`], other: i % 2 } })
  const looksFor = (filter: Filter): readonly [found: number, looks: number] => {
    looks = 0
    return [store.find({ where: conditionsOf(filter) }).length, looks]
  }
  const searches: ReadonlyArray<readonly [filter: Filter, found: number, indexed: number]> = [
    [{ str: 'text 7' }, 1, 0], [{ str: { prefix: 'text 199' } }, 11, 0], [{ num: { gte: 100, lt: 150 } }, 50, 0], [{ ten: 5 }, 10, 0], [{ tags: { contains: 't5' } }, 20, 20],
    // The condition that leaves fewer documents leads, and the other one is looked up in these.
    [{ ten: 5, num: { gte: 0 } }, 10, 10], [{ num: { gte: 100, lt: 104 }, other: 0 }, 2, 4], [{ str: 'text 7', other: 0 }, 0, 1], [{ str: 'nobody' }, 0, 0],
  ]
  for (const [filter, found] of searches) assert.deepEqual(looksFor(filter), [found, COUNT], JSON.stringify(filter))
  for (const [path, kind] of [['str', 'ordered'], ['num', 'ordered'], ['ten', 'hash'], ['tags', 'hash']] as const) store.createIndex(path, kind)
  for (const [filter, found, indexed] of searches) assert.deepEqual(looksFor(filter), [found, indexed], JSON.stringify(filter))
  assert.deepEqual(looksFor({ other: 1 }), [COUNT / 2, COUNT], 'no index serves this')
  looks = 0
  assert.equal(store.count(conditionsOf({ ten: 7 })), 10)
  assert.equal(store.join({ where: conditionsOf({ num: { lt: 3 } }) }, 'str', 'str').length, 3)
  assert.equal(looks, 3, 'those of the left side alone')
  store.dropIndex('num')
  assert.deepEqual(looksFor({ num: { gte: 100, lt: 150 } }), [50, COUNT])
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
