import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { RpcError, WildPointerError } from '../../src/base/errors.js'
import {
  addressOf, array, assign, bool, build, cellOf, f64, isView, list, locationOf, map, nothing, optional, plain, ref, release, same, struct, text,
  typeOf, u16, u32, u64, u8, union,
} from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Point = struct('Point', { x: f64, y: f64 })
const Shape = struct('Shape', { name: text, centre: Point, corners: list(Point), get parent() { return ref(Shape) } })

test('a view looks like the object it was built from', () => {
  const arena = new Arena()
  const shape = build(Shape, arena, { name: 'a triangle', centre: { x: 1, y: 2 }, corners: [{ x: 0, y: 0 }, { x: 3, y: 0 }] })
  assert.equal(shape.centre.y, 2)
  shape.centre.y = 5
  assert.equal(JSON.stringify(shape), '{"name":"a triangle","centre":{"x":1,"y":5},"corners":[{"x":0,"y":0},{"x":3,"y":0}],"parent":null}')
  assert.match(inspect(shape), /^Shape \{\s+name: 'a triangle',\s+centre: Point \{ x: 1, y: 5 \},\s+corners: list\(Point\) \[/)
  assert.deepEqual(plain(shape), { name: 'a triangle', centre: { x: 1, y: 5 }, corners: [{ x: 0, y: 0 }, { x: 3, y: 0 }], parent: null })
  assert.equal(isView(shape), true)
  assert.equal(isView(shape.corners), true)
  assert.equal(isView({ ...shape }), false)
  assert.equal(isView(plain(shape)), false)
  assert.equal(typeOf(shape), Shape)
  release(arena, shape)
  arena.assertEmpty()
})

test('every read of a ref is a view of its own; same() compares what they stand for', () => {
  const arena = new Arena()
  const parent = build(Shape, arena, { name: 'p', centre: { x: 0, y: 0 } })
  const shape = build(Shape, arena, { name: 's', centre: { x: 0, y: 0 }, parent })
  assert.notEqual(shape.parent, shape.parent)
  assert.ok(same(shape.parent, parent))
  assert.ok(!same(shape, parent))
  assert.ok(same(null, null) && !same(null, parent))
  assert.equal(addressOf(shape.parent!), addressOf(parent))
  assert.ok(!same(shape, shape.centre), 'a part is not the whole')
})

test('fields take their natural place, and padding is zero', () => {
  const Mixed = struct('Mixed', { a: u8, b: u16, c: u8, d: u32, e: u64, f: bool })
  const arena = new Arena()
  const view = build(Mixed, arena, { a: 1, b: 0x203, c: 4, d: 5, e: 6n, f: true })
  const { region, word } = locationOf(view)
  const b = new Uint8Array(region.u8.slice(word * 4, word * 4 + 32))
  assert.equal(b[4], 1)
  assert.deepEqual(Array.from(b.slice(5, 12)), [0, 3, 2, 4, 0, 0, 0])
  assert.deepEqual(Array.from(b.slice(12, 32)), [5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
  assert.equal(region.i32[word]! & 0xffff, 8)
})

test('names that views, JSON or promises need are refused at the definition', () => {
  for (const name of ['then', 'constructor', '__proto__', 'toJSON', '$x', '1', '']) {
    assert.throws(() => struct('Bad', Object.defineProperty({}, name, { value: u32, enumerable: true })), { code: 'INVALID_ARGUMENT' }, name)
  }
  assert.throws(() => struct('', { x: u32 }), RpcError)
  assert.throws(() => struct('x'.repeat(101), { x: u32 }), RpcError)
})

test('a type that cannot be is refused on first use, by name', () => {
  const arena = new Arena()
  assert.throws(() => build(struct('A', { x: 5 }), arena, {} as never), /A\.x is not a type/)
  assert.throws(() => build(struct('A', { x: nothing }), arena, { }), /A\.x/)
  const Endless = struct('Endless', { get self() { return Endless } })
  assert.throws(() => build(Endless, arena, {} as never), /Endless contains itself by value/)
  const Large = struct('Large', { x: array(f64, 40_000) })
  assert.throws(() => build(Large, arena, {} as never), /at most 65535/)
  assert.throws(() => list(undefined as never), /getter/)
  assert.throws(() => ref(u32 as never), RpcError)
  assert.throws(() => optional(ref(Point)), RpcError)
  assert.throws(() => union({ none: u32 }), RpcError)
  assert.throws(() => array(u8, 0), RpcError)
  assert.throws(() => map(Point as never, u8), /a key is text or a scalar/)
  arena.assertEmpty()
})

test('field names may be any text', () => {
  const Odd = struct('Odd "name"', { 'a b': u32, 'quote"\n\u2028': text, r: u8, w: u8, v: u8, wide: u64 })
  const arena = new Arena()
  const view = build(Odd, arena, { 'a b': 1, 'quote"\n\u2028': 'long enough text', r: 1, w: 2, v: 3, wide: 4n })
  assert.deepEqual(plain(view), { 'a b': 1, 'quote"\n\u2028': 'long enough text', r: 1, w: 2, v: 3, wide: 4n })
})

const V1 = struct('Account', { id: u32, name: text })
const V2 = struct('Account', {
  id: u32, name: text, balance: f64, tags: list(text), flags: u8, limits: map(text, u32), note: text, big: u64, kind: union({ a: u32 }), maybe: optional(u32),
  fixed: array(u8, 2), at: Point, get peer() { return ref(V2) },
})

test('an older object reads through a newer struct, with empty values for what it does not have', () => {
  const arena = new Arena()
  const cell = cellOf(V2)
  const out = new Int32Array(2)
  cellOf(V1).write(arena, { id: 7, name: 'an older object' }, out, 0)
  const view = cell.read(arena.region, out[0]!, out[1]!) as ReturnType<typeof newest>
  assert.equal(view.id, 7)
  assert.equal(view.name, 'an older object')
  const { at, fixed, kind, maybe, limits, tags, ...rest } = plain(view)
  assert.deepEqual(rest, { id: 7, name: 'an older object', balance: 0, flags: 0, note: '', big: 0n, peer: null })
  assert.deepEqual([at, fixed, kind, maybe, limits, tags], [{ x: 0, y: 0 }, [0, 0], { kind: 'none', value: undefined }, undefined, new Map(), []])
  view.id = 8
  view.name = 'still an older object'
  assert.equal(view.name, 'still an older object')
  assert.throws(() => { view.balance = 1 }, { code: 'FAILED_PRECONDITION', message: /Account\.balance.*older version/ })
  assert.throws(() => view.tags.push('x'), { code: 'FAILED_PRECONDITION' })
  assert.ok(isView(view))
  const newer = newest(arena)
  newer.peer = view
  assert.equal(newer.peer.name, 'still an older object')
  assert.equal(newer.peer.balance, 0)
  release(arena, view)
  release(arena, newer)
  arena.assertEmpty()
})

test('a newer object reads through an older struct', () => {
  const arena = new Arena()
  const out = new Int32Array(2)
  cellOf(V2).write(arena, newest(arena), out, 0)
  const view = cellOf(V1).read(arena.region, out[0]!, out[1]!) as { id: number, name: string }
  assert.deepEqual(plain(view), { id: 1, name: 'newest of them' })
})

test('an older object at the very end of a region is not out of bounds', () => {
  const arena = new Arena(1 << 12)
  const holder = newest(arena)
  const old = build(V1, arena, { id: 3, name: 'x' })
  const { region, word } = locationOf(old)
  region.words = word + 4
  holder.peer = old as unknown as typeof holder
  assert.equal(holder.peer.id, 3)
  region.words = word + 3
  assert.throws(() => holder.peer, WildPointerError)
})

test('a pointer to another struct is an error that names both', () => {
  const arena = new Arena()
  const Other = struct('Other', { a: u32, b: u64, c: u64, d: u64 })
  const other = build(Other, arena, { a: 1, b: 0n, c: 0n, d: 0n })
  const shape = build(Shape, arena, { name: 's', centre: { x: 0, y: 0 } })
  assert.throws(() => { shape.parent = other as never }, { code: 'INVALID_ARGUMENT', message: /Shape\.parent: expected a struct Shape/ })
  const { region, word } = locationOf(shape)
  const cell = cellOf(ref(Other))
  assert.throws(() => cell.read(region, region.lowOf(word), region.high), (error: unknown) =>
    error instanceof WildPointerError && /struct Other, found an object of struct Shape/.test(error.message))
})

test('assign stores several fields', () => {
  const arena = new Arena()
  const shape = build(Shape, arena, { name: 's', centre: { x: 0, y: 0 } })
  assign(shape, { name: 'a longer name', corners: [{ x: 1, y: 1 }] })
  assert.equal(shape.corners.at(0)!.x, 1)
  assert.throws(() => assign(shape, { nam: 'x' } as never), /has no field nam/)
})

function newest(arena: Arena) {
  return build(V2, arena, {
    id: 1, name: 'newest of them', balance: 2.5, tags: ['one'], flags: 3, note: '', big: 1n, fixed: [1, 2], at: { x: 1, y: 2 },
  })
}
