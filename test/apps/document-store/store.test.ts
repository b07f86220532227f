// The store itself, over plain objects: what its servers and clients add is tested beside.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { conditionsOf, type Filter } from '../../../apps/document-store/store/filter.js'
import { plainDocuments } from '../../../apps/document-store/store/plain-documents.js'
import { Kept } from '../../../apps/document-store/store/tally.js'
import { DocumentStore, StoreFull } from '../../../apps/document-store/store/store.js'
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
  looks = 0
  for (let i = 0; i < COUNT; i++) store.put(`k${i}`, { key: `k${i}`, body: { left: 'same', tags: ['same'] } }, { left: 'same', tags: ['same'] })
  assert.equal(store.join({ where: [] }, 'left', 'tags').length, 0)
  assert.equal(looks, COUNT * 2, 'many documents that ask for one value ask once')
  store.dropIndex('num')
  assert.deepEqual(looksFor({ num: { gte: 100, lt: 150 } }), [0, COUNT])
})

test('what one search keeps in memory has its bounds', () => {
  const long = 'x'.repeat(2 ** 26)
  const texts = new Kept()
  texts.add(long)
  texts.add(long)
  assert.throws(() => texts.add('x'), /more than 134217728 code units of text/)
  const values = new Kept()
  for (let i = 0; i < 1_000_000; i++) values.add(i)
  assert.throws(() => values.add(null), /more than 1000000 different values/)
  const store = new DocumentStore({ ...plainDocuments, reader: () => (body) => `${long}${String(body)}` })
  for (let i = 0; i < 3; i++) store.put(`k${i}`, { key: `k${i}`, body: i })
  for (const search of [() => store.group([], 'text'), () => store.join({ where: [] }, 'text', 'text')]) assert.throws(search, /code units of text: narrow the search/)
  const tests = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`path${i}`, i]))
  assert.throws(() => conditionsOf(tests), /a filter has at most 64 conditions/)
  assert.throws(() => conditionsOf({ a: { gte: long.slice(0, 2 ** 23), lt: long.slice(0, 2 ** 23) } }), /the texts of a filter have at most 16777216 code units/)
})

test('keys and indexes take as much memory as they may, and what goes makes room', () => {
  const store = new DocumentStore(plainDocuments, 100_000)
  const put = (i: number): unknown => store.put(`key ${i}`, { key: `key ${i}`, body: { text: `a text of some length ${i}`, list: [i, 'x'] } })
  const fill = (): number => {
    for (let i = 0; ; i++) {
      try {
        put(i)
      } catch (error) {
        assert.ok(error instanceof StoreFull, String(error))
        return i
      }
    }
  }
  const unindexed = fill()
  assert.throws(() => store.createIndex('text', 'hash'), StoreFull)
  assert.deepEqual(store.indexes, [])
  store.clear()
  store.createIndex('text', 'hash')
  store.createIndex('list', 'ordered')
  const indexed = fill()
  assert.ok(unindexed > 1000 && indexed > 300 && indexed < unindexed / 2, `${unindexed} documents, indexed ${indexed}`)
  assert.throws(() => store.update('key 0', 'text', 'changed'), StoreFull)
  assert.equal(store.update('key 0', 'other', 1), true)
  for (let i = 0; i < 2000; i++) {
    store.delete(`key ${i % indexed}`)
    if (i % 7 === 0) store.update(`key ${(i + 1) % indexed}`, 'list.1', `${i}`)
    store.delete(`key ${(i + 2) % indexed}`)
    put(i % indexed)
  }
  store.dropIndex('text')
  const more = fill()
  assert.ok(more > indexed && more < unindexed, `${more} documents with one index`)
  for (let i = 0; i < more; i++) store.delete(`key ${i}`)
  assert.equal(fill(), more, 'all of it comes back')
  assert.throws(() => store.put('k'.repeat(8193), { key: '', body: 0 }), /a key has at most 8192 characters, not 8193/)
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
