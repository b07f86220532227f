import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { RpcError } from '../../src/base/errors.js'
import { bool, build, cellOf, f32, f64, i16, i32, i64, i8, list, release, safeI64, safeU64, struct, u16, u32, u64, u8, type AnyType } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const TWO_32 = 2 ** 32
const whole = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max })
const CASES: ReadonlyArray<readonly [type: AnyType, values: fc.Arbitrary<unknown>, refused: readonly unknown[]]> = [
  [u8, whole(0, 255), [-1, 256, 1.5, NaN, '1', 1n, null, undefined, true, Symbol('s')]],
  [i8, whole(-128, 127), [-129, 128, '1']],
  [u16, whole(0, 65535), [-1, 65536]],
  [i16, whole(-32768, 32767), [-32769, 32768]],
  [u32, whole(0, TWO_32 - 1), [-1, TWO_32, Infinity]],
  [i32, whole(-(2 ** 31), 2 ** 31 - 1), [2 ** 31, -(2 ** 31) - 1]],
  [u64, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), [-1n, 2n ** 64n, 1, '1']],
  [i64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), [2n ** 63n, -(2n ** 63n) - 1n, 0]],
  [safeU64, fc.maxSafeNat(), [-1, 2 ** 53, 0.5, 1n]],
  [safeI64, fc.maxSafeInteger(), [2 ** 53, -(2 ** 53), NaN]],
  [f64, fc.double(), ['1', 1n, null]],
  [f32, fc.float(), ['1']],
  [bool, fc.boolean(), [0, 1, 'true', null]],
]

for (const [type, values, refused] of CASES) {
  test(`${type.kind}: what is stored is read again, in fields at any offset, in lists and in cells`, () => {
    const Holder = struct('Holder', { a: u8, x: type, b: u8, y: type })
    const Lists = struct('Lists', { many: list(type) })
    const cell = cellOf(type)
    const out = new Int32Array(2)
    fc.assert(fc.property(values, values, (x, y) => {
      const arena = new Arena(1 << 12)
      const view = build(Holder as AnyType, arena, { a: 1, x, b: 2, y } as never) as { a: number, x: unknown, b: number, y: unknown }
      assert.ok(Object.is(view.x, x) || normalZero(view.x, x), String(view.x))
      assert.ok(Object.is(view.y, y) || normalZero(view.y, y))
      assert.deepEqual([view.a, view.b], [1, 2])
      view.x = y
      assert.ok(Object.is(view.x, y) || normalZero(view.x, y))
      assert.deepEqual([view.a, view.b], [1, 2])
      const lists = build(Lists as AnyType, arena, { many: [x, y, x] } as never) as unknown as { many: Iterable<unknown> }
      assert.deepEqual([...lists.many].map(positive), [x, y, x].map(positive))
      cell.write(arena, x, out, 0)
      assert.deepEqual(positive(cell.read(arena.region, out[0]!, out[1]!)), positive(x))
      release(arena, view)
      release(arena, lists)
      arena.assertEmpty()
    }), { numRuns: 50 })
  })

  test(`${type.kind}: other values are refused, naming struct, field and both sides`, () => {
    const Holder = struct('Holder', { x: type })
    const arena = new Arena(1 << 12)
    const good = fc.sample(values, 1)[0]
    const view = build(Holder as AnyType, arena, { x: good } as never) as { x: unknown }
    for (const value of refused) {
      const named = (error: unknown): boolean => RpcError.is(error) && error.code === 'INVALID_ARGUMENT' && /Holder\.x: expected .+, got .+/.test(error.message)
      assert.throws(() => build(Holder as AnyType, arena, { x: value } as never), named)
      assert.throws(() => { view.x = value }, named)
      assert.throws(() => cellOf(type).write(arena, value, new Int32Array(2), 0), RpcError)
    }
    assert.equal(arena.live, 1)
  })
}

test('a 64-bit integer beyond 2^53 that a C program stored is refused on reading as a number', () => {
  const Holder = struct('Holder', { x: safeU64, y: safeI64 })
  const arena = new Arena(1 << 12)
  const view = build(Holder, arena, { x: 0, y: 0 })
  arena.region.i32.fill(-1, 2, 8)
  assert.throws(() => view.x, { code: 'OUT_OF_RANGE' })
  assert.equal(view.y, -1)
  arena.region.i32.fill(0x7fff_ffff, 2, 8)
  assert.throws(() => view.y, { code: 'OUT_OF_RANGE' })
})

// An integer has no negative zero.
function positive(value: unknown): unknown {
  return value === 0 ? 0 : value
}

function normalZero(a: unknown, b: unknown): boolean {
  return a === 0 && b === 0
}
