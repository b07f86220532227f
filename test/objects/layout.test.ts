// Real memory, read by docs/layout.md alone: what it says of each kind, for code in other languages.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  addressOf, array, bool, build, bytes, f32, f64, i16, i64, layoutOf, list, locationOf, map, numbers, optional, ref, safeU64, struct, text, u16, u32, u64, u8, union,
} from '../../src/objects/index.js'
import { read as readSource } from '../tree/sources.js'
import { Arena } from '../support/arena.js'

const Inner = struct('LayoutInner', { a: u8, b: u16 })
const All = struct('LayoutAll', {
  tiny: u8, small: i16, word: u32, single: f32, yes: bool, double: f64, big: i64, safe: safeU64, short: text, long: text, wide: text, empty: text,
  raw: bytes, none: bytes, doubles: numbers(f64), words: list(text), inners: list(Inner), bits: list(bool), grid: array(u16, 3), inner: Inner,
  maybe: optional(u32), absent: optional(u32), named: optional(text), shape: union({ size: f64, inner: Inner, name: text, rows: list(u32) }),
  rows: union({ size: f64, inner: Inner, name: text, rows: list(u32) }), big2: union({ id: u64 }), unset: union({ id: u64 }), get next() { return ref(All) }, get end() { return ref(All) },
})

interface Memory {
  readonly view: DataView
  /** Where an address lies in it, and where the pointer at a place leads: 0 for null. */
  readonly at: (address: number) => number
  readonly pointer: (place: number) => number
}

function memoryOf(object: object): Memory {
  const { region } = locationOf(object)
  const view = new DataView(region.i32.buffer)
  const origin = Number(region.addressOf(0))
  const at = (address: number): number => (address === 0 ? 0 : address - origin)
  return { view, at, pointer: (place) => at(Number(view.getBigUint64(place, true))) }
}

function textAt({ view, pointer }: Memory, place: number): string {
  const first = view.getUint8(place)
  const latin = (from: number, length: number): string => String.fromCharCode(...Array.from({ length }, (_, i) => view.getUint8(from + i)))
  if ((first & 1) === 1) return latin(place + 1, first >>> 1)
  const record = pointer(place)
  if (record === 0) return ''
  const length = view.getUint32(record, true)
  if (length < 0x8000_0000) return latin(record + 8, length)
  return String.fromCharCode(...Array.from({ length: length - 0x8000_0000 }, (_, i) => view.getUint16(record + 8 + i * 2, true)))
}

const tail = { tiny: 1, small: 0, word: 0, single: 0, yes: false, double: 0, big: 0n, safe: 0, short: '', long: '', wide: '', empty: '', raw: new Uint8Array(), none: new Uint8Array(), doubles: [], grid: [0, 0, 0], inner: { a: 0, b: 0 } }

test('every kind lies as the page says', () => {
  const arena = new Arena()
  const object = build(All, arena, {
    ...tail, tiny: 200, small: -300, word: 4e9, single: 0.5, yes: true, double: Math.PI, big: -5n, safe: 2 ** 40, short: 'seven77', long: 'eight888', wide: 'ŵide', raw: Buffer.from('raw'),
    doubles: [1.5, -2.5], words: ['a', 'a long one'], inners: [{ a: 1, b: 2 }, { a: 3, b: 4 }], bits: [true, false, true], grid: [7, 8, 9], inner: { a: 5, b: 6 },
    maybe: 77, named: 'called so', shape: { kind: 'size', value: 2.5 }, rows: { kind: 'rows', value: [11, 12] }, big2: { kind: 'id', value: 2n ** 60n }, next: { ...tail, word: 99 },
  })
  const memory = memoryOf(object)
  const { view, at, pointer } = memory
  const start = at(addressOf(object))
  const layout = layoutOf(All)
  const place = (name: string): number => start + layout.fields.find((field) => field.name === name)!.offset
  const innerAt = (from: number): number[] => {
    const [a, b] = layoutOf(Inner).fields
    assert.equal(view.getUint32(from, true), layoutOf(Inner).header)
    return [view.getUint8(from + a!.offset), view.getUint16(from + b!.offset, true)]
  }

  assert.equal(start % 8, 0)
  assert.equal(view.getUint32(start, true), layout.header)
  assert.equal(layout.header & 0xffff, layout.bytes / 4)
  assert.deepEqual([view.getUint8(place('tiny')), view.getInt16(place('small'), true), view.getUint32(place('word'), true), view.getFloat32(place('single'), true)], [200, -300, 4e9, 0.5])
  assert.deepEqual([view.getUint8(place('yes')), view.getFloat64(place('double'), true), view.getBigInt64(place('big'), true), view.getBigUint64(place('safe'), true)], [1, Math.PI, -5n, 2n ** 40n])
  assert.deepEqual(['short', 'long', 'wide', 'empty'].map((name) => textAt(memory, place(name))), ['seven77', 'eight888', 'ŵide', ''])
  assert.equal(view.getUint8(place('short')) & 1, 1)
  const raw = pointer(place('raw'))
  assert.deepEqual([view.getUint32(raw, true), view.getUint32(raw + 4, true), view.getUint8(raw + 8), pointer(place('none'))], [3, 0, 0x72, 0])
  const doubles = pointer(place('doubles'))
  assert.deepEqual([view.getUint32(doubles, true), view.getFloat64(doubles + 8, true), view.getFloat64(doubles + 16, true)], [16, 1.5, -2.5])
  const lengthOf = (name: string): number => view.getUint32(place(name) + 8, true)
  assert.ok(view.getUint32(place('words') + 12, true) >= 2, 'the capacity')
  assert.deepEqual([0, 1].map((i) => textAt(memory, pointer(place('words')) + i * 8)), ['a', 'a long one'])
  assert.deepEqual([0, 1].map((i) => innerAt(pointer(place('inners')) + i * layoutOf(Inner).bytes)), [[1, 2], [3, 4]])
  assert.deepEqual([0, 1, 2].map((i) => view.getUint8(pointer(place('bits')) + i)), [1, 0, 1])
  assert.deepEqual(['words', 'inners', 'bits'].map(lengthOf), [2, 2, 3])
  assert.deepEqual([0, 1, 2].map((i) => view.getUint16(place('grid') + i * 2, true)), [7, 8, 9])
  assert.deepEqual(innerAt(place('inner')), [5, 6])
  assert.deepEqual([view.getUint32(place('maybe'), true), view.getUint32(place('maybe') + 8, true), view.getUint32(place('absent'), true)], [1, 77, 0])
  assert.deepEqual([view.getUint32(place('named'), true), textAt(memory, place('named') + 8)], [1, 'called so'])
  assert.deepEqual([view.getUint32(place('shape'), true), view.getFloat64(place('shape') + 8, true)], [1, 2.5])
  const rows = pointer(place('rows') + 8)
  assert.deepEqual([view.getUint32(place('rows'), true), view.getUint32(rows + 8, true), view.getUint32(pointer(rows) + 4, true)], [4, 2, 12])
  assert.deepEqual([view.getUint32(place('big2'), true), view.getBigUint64(place('big2') + 8, true), view.getUint32(place('unset'), true)], [1, 2n ** 60n, 0])
  assert.equal(view.getUint32(pointer(place('next')) + layout.fields.find(({ name }) => name === 'word')!.offset, true), 99)
  assert.equal(pointer(place('end')), 0)
})

test('fields stand in the order and with the sizes and alignments that the page names, and it names every kind', () => {
  const { bytes: size, fields } = layoutOf(All)
  let end = 4
  for (const { name, offset, bytes: length, kind } of fields) {
    const align = kind === 'array' ? 4 : ['u8', 'bool'].includes(kind) ? 1 : Math.min(length, 8)
    assert.equal(offset, Math.ceil(end / align) * align, name)
    end = offset + length
  }
  assert.equal(size, Math.ceil(end / 8) * 8)
  assert.deepEqual(layoutOf(Inner).fields.map(({ type, offset, bytes: length }) => [type, offset, length]), [['u8', 4, 1], ['u16', 6, 2]])
  const page = readSource('docs/layout.md')
  for (const kind of ['bool', ...new Set(fields.map((field) => field.kind).filter((one) => !/^[iuf]\d+$/.test(one)))]) assert.ok(page.includes(`\`${kind}\``), kind)
  assert.throws(() => layoutOf(map(text, u32) as never), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => layoutOf({} as never), { code: 'INVALID_ARGUMENT' })
})
