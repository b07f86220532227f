import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { build, bytes, copyGraph, f32, f64, i16, i64, list, locationOf, map, numbers, optional, plain, readInto, release, struct, text, u32, u64, u8, unsafeNumbers } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Series = struct('Series', { name: text, values: numbers(f64), small: numbers(u8), wide: numbers(u64), signed: numbers(i64), rows: list(numbers(f32)), byName: map(text, numbers(i16)), maybe: optional(numbers(u32)) })
const empty = { name: 'n', values: [], small: [], wide: [], signed: [] }

test('numbers are typed arrays: read as copies, built and assigned from arrays and iterables', () => {
  fc.assert(fc.property(fc.array(fc.double()), fc.array(fc.nat(255)), fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), (values, small, wide) => {
    const arena = new Arena(1 << 16)
    const series = build(Series, arena, { ...empty, values: new Float64Array(values), small, wide, rows: [new Float32Array([1, 2]), [3.5]], byName: [['a', [1, -2]]], maybe: [7] })
    assert.deepEqual(series.values, new Float64Array(values))
    assert.deepEqual(series.small, new Uint8Array(small))
    assert.deepEqual(series.wide, new BigUint64Array(wide))
    assert.deepEqual([series.rows.at(0), series.rows.at(1), series.byName.get('a'), series.maybe], [new Float32Array([1, 2]), new Float32Array([3.5]), new Int16Array([1, -2]), new Uint32Array([7])])
    series.values = series.values.map((x) => x * 2)
    series.small = new Set([1, 2]) as never
    assert.deepEqual(series.values, new Float64Array(values.map((x) => x * 2)))
    const live = unsafeNumbers(series, 'values')
    for (let i = 0; i < live.length; i++) live[i] = i
    assert.deepEqual([...series.values], values.map((_, i) => i))
    const copy = copyGraph(series, arena)
    assert.deepEqual(plain(copy), plain(series))
    assert.deepEqual((JSON.parse(JSON.stringify(series)) as { readonly wide: unknown }).wide, wide.map(String))
    release(arena, copy)
    release(arena, series)
    arena.assertEmpty()
  }), { numRuns: 100 })
})

test('what does not fit is refused, and damaged numbers are an error', () => {
  const arena = new Arena(1 << 16)
  const series = build(Series, arena, { ...empty, values: [1, 2, 3] })
  for (const bad of [[256], [-1], [0.5], ['x'], 5, null]) {
    assert.throws(() => { series.small = bad as never }, { code: 'INVALID_ARGUMENT' })
  }
  assert.throws(() => { series.wide = new Float64Array(2) as never }, { code: 'INVALID_ARGUMENT' })
  assert.throws(() => unsafeNumbers(series, 'name'), /is not a field of numbers/)
  assert.throws(() => numbers(text as never), { code: 'INVALID_ARGUMENT' })
  const { region, word } = locationOf(series)
  const pointer = word + 4
  const record = region.resolve(region.i32[pointer + 1]!, region.i32[pointer]!, 2)
  for (const length of [23, 0x7fff_ffff, -1]) {
    region.i32[record] = length
    assert.throws(() => series.values, { code: 'INVALID_ARGUMENT' })
    assert.throws(() => unsafeNumbers(series, 'values'), { code: 'INVALID_ARGUMENT' })
  }
  region.i32[record] = 24
  region.i32[record + 1] = 8
  region.i32[pointer]! += 4
  assert.throws(() => unsafeNumbers(series, 'values'), { code: 'INVALID_ARGUMENT' })
})

test('numbers and bytes are read into an array that is used again', () => {
  const Block = struct('Block', { values: numbers(f64), raw: bytes, name: text })
  const arena = new Arena(1 << 16)
  const block = build(Block, arena, { values: [1, 2, 3], raw: new Uint8Array([4, 5]), name: 'n' })
  const values = new Float64Array(4).fill(9)
  assert.equal(readInto(block, 'values', values), 3)
  assert.deepEqual([...values], [1, 2, 3, 9])
  const raw = new Uint8Array(3)
  assert.equal(readInto(block, 'raw', raw), 2)
  assert.deepEqual([...raw], [4, 5, 0])
  assert.equal(readInto(build(Block, arena, { values: [], raw: new Uint8Array(), name: '' }), 'raw', raw), 0)
  const short = new Float64Array(2)
  assert.throws(() => readInto(block, 'values', short), { code: 'INVALID_ARGUMENT' })
  assert.deepEqual([...short], [0, 0])
  assert.throws(() => readInto(block, 'values', new Float32Array(8) as never), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => readInto(block, 'raw', new Uint16Array(8) as never), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => readInto(block, 'name', raw as never), /is not a field of bytes or numbers/)
})
