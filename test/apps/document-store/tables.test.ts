// The tables under the store's keys and indexes, beside plain arrays and maps.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { hashScalar } from '../../../apps/document-store/store/hash.js'
import { HashPostings } from '../../../apps/document-store/store/hash-postings.js'
import { KeyTable } from '../../../apps/document-store/store/key-table.js'
import { SortedNumbers } from '../../../apps/document-store/store/sorted-numbers.js'

/** Many steps over few values: tables grow, fill with neighbours, and empty again. */
const steps = (values: number) => fc.array(fc.record({ adds: fc.boolean(), value: fc.nat(values) }), { maxLength: 1500, size: 'max' })

test('a table of keys does what a Map does', () => {
  fc.assert(fc.property(steps(300), (list) => {
    const table = new KeyTable()
    const model = new Map<string, number>()
    let next = 0
    for (const { adds, value } of list) {
      const key = `key ${value}`
      if (adds) {
        const id = next++
        assert.equal(table.enter(key, id), model.get(key) ?? id)
        if (!model.has(key)) model.set(key, id)
      } else {
        assert.equal(table.delete(key), model.get(key) ?? -1)
        model.delete(key)
      }
      assert.equal(table.size, model.size)
    }
    for (let value = 0; value <= 300; value++) assert.equal(table.find(`key ${value}`), model.get(`key ${value}`) ?? -1)
    table.clear()
    assert.equal(table.size, 0)
    assert.equal(table.find('key 0'), -1)
  }), { numRuns: 60 })
})

test('postings give the ids of a hash in their order, also where hashes are neighbours at the end of the table', () => {
  fc.assert(fc.property(steps(200), fc.constantFrom(0x0100_0001, 1, -1, 0), (list, factor) => {
    const postings = new HashPostings()
    const model = new Map<number, { readonly entry: number, readonly id: number }[]>()
    list.forEach(({ adds, value }, id) => {
      // With the factor 1 and -1 all hashes share their upper bits, by which slots are found; with 0 there is one.
      const hash = Math.imul(value, factor)
      const known = model.get(hash) ?? []
      if (adds) model.set(hash, [...known, { entry: postings.add(hash, id), id }])
      else if (known.length > 0) {
        const [gone] = known.splice(value % known.length, 1)
        postings.remove(gone!.entry)
      }
      assert.equal(postings.count(hash), model.get(hash)?.length ?? 0)
    })
    for (const [hash, known] of model) assert.deepEqual(postings.idsOf(hash), known.map(({ id }) => id))
  }), { numRuns: 60 })
})

test('sorted numbers give ranges as a sorted array does, and count them', () => {
  const end = fc.record({ value: fc.oneof(fc.nat(50), fc.constantFrom(-Infinity, Infinity, 0.5, -0)), included: fc.boolean() })
  fc.assert(fc.property(steps(40), fc.array(fc.tuple(end, end), { minLength: 5, maxLength: 20 }), (list, ranges) => {
    const sorted = new SortedNumbers()
    const model: { readonly number: number, readonly id: number }[] = []
    list.forEach(({ adds, value }, id) => {
      const number = value / 2
      if (adds || model.length === 0) {
        sorted.add(number, id)
        model.push({ number, id })
      } else {
        const [gone] = model.splice(value % model.length, 1)
        sorted.delete(gone!.number, gone!.id)
        sorted.delete(gone!.number, gone!.id)
      }
    })
    model.sort((a, b) => a.number - b.number || a.id - b.id)
    assert.equal(sorted.size, model.length)
    for (const [low, high] of ranges) {
      const expected = model.filter(({ number }) =>
        (low.included ? number >= low.value : number > low.value) && (high.included ? number <= high.value : number < high.value))
      const ids: number[] = []
      sorted.collect(low.value, low.included, high.value, high.included, ids)
      assert.deepEqual(ids, expected.map(({ id }) => id))
      assert.equal(sorted.count(low.value, low.included, high.value, high.included), expected.length)
    }
  }), { numRuns: 100 })
})

test('ten thousand numbers come and go, and what is between them stays in order', () => {
  const sorted = new SortedNumbers()
  for (let i = 0; i < 10_000; i++) sorted.add(i * 7919 % 10_007, i)
  for (let i = 0; i < 10_000; i++) if (i % 100 !== 0) sorted.delete(i * 7919 % 10_007, i)
  const ids: number[] = []
  sorted.collect(-Infinity, true, Infinity, true, ids)
  assert.deepEqual(ids, Array.from({ length: 100 }, (_, i) => i * 100).sort((a, b) => a * 7919 % 10_007 - b * 7919 % 10_007))
})

test('equal scalars have equal hashes, and scalars of other types others', () => {
  assert.equal(hashScalar(0), hashScalar(-0))
  fc.assert(fc.property(fc.string({ maxLength: 400, unit: 'binary' }), (text) => assert.equal(hashScalar(text), hashScalar(`${text} `.slice(0, -1)))))
  const hashes = [null, true, false, 0, 1, -1, 0.5, '', '0', '1', 'null', 'true', 'x'.repeat(200), `${'x'.repeat(199)}y`].map(hashScalar)
  assert.equal(new Set(hashes).size, hashes.length)
})

test('nobody can choose texts or numbers that share a hash, however much they have in common', () => {
  const COUNT = 1 << 12
  // What the upper bit of a word changes, the next word took back under every seed.
  const crafted = Array.from({ length: COUNT }, (_, i) => Array.from({ length: 12 }, (_, bit) => (i >> bit & 1) === 0 ? 'aaaa' : 'a\u8061a\u8060').join(''))
  const alike = Array.from({ length: COUNT }, (_, i) => `${'a'.repeat(500)}${i}${'a'.repeat(500)}`)
  const numbers = Array.from({ length: COUNT }, (_, i) => i / 4096)
  for (const values of [crafted, alike, numbers]) {
    const distinct = new Set(values.map(hashScalar)).size
    assert.ok(distinct > COUNT - 16, `${distinct} hashes of ${COUNT} values`)
  }
})
