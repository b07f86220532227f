import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WildPointerError } from '../../src/base/errors.js'
import {
  array, bool, build, bytes, cellOf, f64, list, locationOf, map, nothing, optional, plain, ref, same, struct, text, u32, u64, union, type AnyType,
} from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Item = struct('Item', { id: u32, name: text, get next() { return ref(Item) } })

const VALUES: ReadonlyArray<readonly [type: AnyType, value: unknown, blocks: number]> = [
  [u32, 5, 0], [u64, 5n, 0], [f64, -0.5, 0], [bool, true, 0], [nothing, undefined, 0], [text, 'short', 0], [text, 'rather long', 1],
  [bytes, new Uint8Array(0), 0], [bytes, new Uint8Array([1]), 1], [Item, { id: 1, name: 'a long name', next: null }, 2], [ref(Item), null, 0],
  [list(u32), [1, 2], 2], [list(text), [], 1], [optional(text), undefined, 1], [optional(text), 'a longer text', 2],
  [map(text, u32), new Map([['a key with memory', 1]]), 4], [union({ a: u32, b: text }), { kind: 'b', value: 'a longer text' }, 2], [array(u32, 3), [1, 2, 3], 1],
]

for (const [type, value, blocks] of VALUES) {
  test(`${type.label} as an argument: ${String(value)}`, () => {
    const arena = new Arena()
    const cell = cellOf(type)
    const out = new Int32Array(4)
    assert.equal(cell.write(arena, value, out, 1), blocks > 0)
    assert.equal(arena.live, blocks)
    assert.deepEqual(plain(cell.read(arena.region, out[1]!, out[2]!)), value)
    assert.deepEqual([out[0], out[3]], [0, 0])
    if (blocks > 0) cell.free(arena, arena.region, out[1]!, out[2]!)
    arena.assertEmpty()
    const built = cell.writeTracked(arena, value, out, 1)
    assert.equal(arena.live, blocks)
    built?.free()
    arena.assertEmpty()
    if (cell.isImmediate) assert.equal(blocks, 0)
  })
}

test('a view is passed as its pointer, and stays its owner\'s', () => {
  const arena = new Arena()
  const item = build(Item, arena, { id: 1, name: 'a long name' })
  const Holder = struct('Holder', { items: list(u32) })
  const { items } = build(Holder, arena, { items: [1] })
  const out = new Int32Array(2)
  const { live } = arena
  for (const [type, view] of [[Item, item], [ref(Item), item], [Holder.fields.items, items]] as const) {
    const cell = cellOf(type)
    assert.equal(cell.write(arena, view, out, 0), false)
    assert.ok(same(cell.read(arena.region, out[0]!, out[1]!) as object, view))
    assert.equal(cell.writeTracked(arena, view, out, 0) === undefined || type.kind === 'ref', true)
  }
  assert.equal(arena.live, live)
  const elsewhere = new Arena()
  for (const type of [Item, ref(Item)]) {
    assert.throws(() => cellOf(type, 'publish (argument)').write(elsewhere, item, out, 0), { code: 'INVALID_ARGUMENT', message: /publish \(argument\).*copyFrom/ })
  }
  assert.throws(() => cellOf(Holder).write(arena, item, out, 0), { code: 'INVALID_ARGUMENT', message: /expected a struct Holder/ })
})

test('what a plain graph brought along behind refs is freed with it, and nothing that was there before', () => {
  const arena = new Arena()
  const kept = build(Item, arena, { id: 1, name: 'kept by its owner' })
  const { live } = arena
  const cell = cellOf(Item)
  assert.ok(cell.reachesRefs && !cellOf(list(text)).reachesRefs)
  const built = cell.writeTracked(arena, { id: 2, name: 'root of the graph', next: { id: 3, name: 'behind a ref', next: kept } }, new Int32Array(2), 0)
  assert.equal(arena.live, live + 4)
  built?.free()
  assert.equal(arena.live, live)
  assert.equal(kept.name, 'kept by its owner')
})

test('null and wild pointers', () => {
  const arena = new Arena()
  const item = build(Item, arena, { id: 1, name: 'x' })
  const { region, word } = locationOf(item)
  for (const type of [Item, list(u32), map(text, u32), optional(u32), array(u32, 2), union({ a: u32 })] as const) {
    assert.throws(() => cellOf(type).read(region, 0, 0), WildPointerError, type.label)
    assert.throws(() => cellOf(type).read(region, 1 << 30, region.high), WildPointerError)
    assert.throws(() => cellOf(type).read(region, region.lowOf(word), region.high + 1), WildPointerError)
    assert.throws(() => cellOf(type).read(region, region.lowOf(region.words), region.high), WildPointerError)
  }
  assert.equal(cellOf(ref(Item)).read(region, 0, 0), null)
  assert.equal(cellOf(text).read(region, 0, 0), '')
})
