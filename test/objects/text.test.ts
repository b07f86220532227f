import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { WildPointerError } from '../../src/base/errors.js'
import { build, bytes, cellOf, locationOf, release, struct, text, unsafeBytes } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Note = struct('Note', { body: text, other: text })

const strings = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ maxLength: 20 }),
  fc.string({ minLength: 60, maxLength: 300 }),
  // Any code units at all: lone surrogates too.
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 80 }).map((units) => String.fromCharCode(...units)),
  fc.array(fc.integer({ min: 0, max: 0xff }), { maxLength: 80 }).map((units) => String.fromCharCode(...units)),
)

test('any string is read as it was stored, and its memory comes back', () => {
  fc.assert(fc.property(strings, strings, (a, b) => {
    const arena = new Arena(1 << 14)
    const note = build(Note, arena, { body: a, other: b })
    assert.equal(note.body, a)
    assert.equal(note.other, b)
    note.body = b
    note.other = a
    assert.equal(note.body, b)
    assert.equal(note.other, a)
    release(arena, note)
    arena.assertEmpty()
  }), { numRuns: 500 })
})

test('texts of every length around the limits of the fast paths', () => {
  const arena = new Arena(8 << 20)
  for (const unit of ['a', 'é', '€', '\ud800']) {
    for (const length of [...Array(70).keys(), 255, 256, 257, 4000, 16383, 32767, 32768, 65535, 65536, 65537, 200_001]) {
      const value = unit.repeat(length)
      const note = build(Note, arena, { body: value, other: `${value}!` })
      assert.ok(note.body === value && note.other === `${value}!`, `${length} of ${unit}`)
      release(arena, note)
    }
  }
  arena.assertEmpty()
})

test('seven Latin-1 characters need no memory of their own', () => {
  const arena = new Arena()
  build(Note, arena, { body: '1234567', other: 'ÿÿÿÿÿÿÿ' })
  assert.equal(arena.live, 1)
  build(Note, arena, { body: '12345678', other: '€' })
  assert.equal(arena.live, 4)
})

test('zeroed memory reads as empty texts', () => {
  const arena = new Arena()
  const note = build(Note, arena, { body: 'something longer', other: 'x' })
  const { region, word } = locationOf(note)
  region.i32.fill(0, word + 1, word + 6)
  assert.equal(note.body, '')
  assert.equal(note.other, '')
})

test('a text whose length does not fit its region is an error', () => {
  const arena = new Arena()
  const cell = cellOf(text)
  const out = new Int32Array(2)
  cell.write(arena, 'something longer', out, 0)
  const record = arena.region.resolve(out[1]!, out[0]!, 2)
  for (const head of [0x7fff_ffff, -1, 1 << 20, -0x8000_0000 + (1 << 20)]) {
    arena.region.i32[record] = head
    assert.throws(() => cell.read(arena.region, out[0]!, out[1]!), WildPointerError)
  }
})

test('bytes: reading gives a copy, unsafeBytes the memory itself', () => {
  const Blob = struct('Blob', { id: text, data: bytes })
  const arena = new Arena()
  for (const length of [0, 1, 7, 8, 9, 1000]) {
    const data = Uint8Array.from({ length }, (_, i) => i)
    const blob = build(Blob, arena, { id: 'b', data })
    assert.deepEqual(blob.data, data)
    blob.data.fill(9)
    assert.deepEqual(blob.data, data)
    unsafeBytes(blob, 'data').fill(9)
    assert.deepEqual(blob.data, new Uint8Array(length).fill(9))
    blob.data = new Uint8Array([1, 2])
    assert.deepEqual(blob.data, new Uint8Array([1, 2]))
    release(arena, blob)
  }
  arena.assertEmpty()
  assert.throws(() => build(Blob, arena, { id: 'b', data: [1] as unknown as Uint8Array }), /Blob\.data: expected a Uint8Array/)
  assert.throws(() => unsafeBytes(build(Blob, arena, { id: '', data: new Uint8Array() }), 'id'), { code: 'INVALID_ARGUMENT' })
})
