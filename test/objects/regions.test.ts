import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RpcError, WildPointerError } from '../../src/base/errors.js'
import { makeAddress } from '../../src/base/numbers.js'
import { Region } from '../../src/memory/region.js'
import { build, bytes, cellOf, list, locationOf, map, optional, plain, ref, release, struct, text, u32, union, type View } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Node = struct('Node', { id: u32, name: text, get next() { return ref(Node) }, tags: list(text), counts: map(text, u32), any: union({ n: u32 }), note: optional(text), raw: bytes })
type Node = View<typeof Node>
const value = (id: number): { id: number, name: string, tags: string[], counts: Map<string, number>, raw: Uint8Array } =>
  ({ id, name: `the name of node ${id}`, tags: ['one tag of several', 'b'], counts: new Map([['a count to keep', 1]]), raw: new Uint8Array([1, 2]) })

/** The view of the same object over another region. */
function through(region: Region, view: object): Node {
  const { region: home, word } = locationOf(view)
  return cellOf(Node).read(region, home.lowOf(word), home.high) as Node
}

test('objects may lie in several heaps: pointers, texts and lists are followed, and freed, across them', () => {
  const arena = new Arena()
  const first = build(Node, arena, value(1))
  arena.continueElsewhere()
  first.next = build(Node, arena, value(2))
  first.name = 'a new name in the second heap'
  first.tags.push('another tag, also there')
  first.counts.set('a second count', 2)
  assert.equal(first.next.name, 'the name of node 2')
  assert.deepEqual([...first.tags], ['one tag of several', 'b', 'another tag, also there'])
  assert.deepEqual([...first.counts], [['a count to keep', 1], ['a second count', 2]])
  assert.notEqual(locationOf(first).region, locationOf(first.next).region)
  release(arena, first, { deep: true })
  arena.assertEmpty()
})

test('a private copy resolves the same pointers, and takes no writes that need memory', () => {
  const arena = new Arena()
  const view = build(Node, arena, { ...value(1), next: value(2) })
  const { region } = locationOf(view)
  const copy = new Region(region.i8.buffer.slice(0) as ArrayBuffer, region.addressOf(0))
  const seen = through(copy, view)
  view.name = 'changed after the copy was made'
  assert.equal(seen.name, 'the name of node 1')
  assert.equal(seen.next!.name, 'the name of node 2')
  seen.id = 7
  assert.equal(view.id, 1)
  const needsMemory = { code: 'FAILED_PRECONDITION' }
  assert.throws(() => { seen.name = 'longer than seven' }, needsMemory)
  assert.throws(() => seen.tags.push('x'), needsMemory)
  assert.throws(() => seen.counts.delete('a count to keep'), needsMemory)
  assert.throws(() => { seen.next = view }, { code: 'INVALID_ARGUMENT' })
})

test('a read-only region refuses every write', () => {
  const arena = new Arena()
  const view = build(Node, arena, { ...value(1), next: value(2) })
  const before = plain(view)
  arena.region.readOnly = true
  const writes: ReadonlyArray<() => void> = [
    () => { view.id = 2 }, () => { view.name = 'x' }, () => { view.next = null }, () => { view.next = view }, () => { view.tags = [] as never }, () => view.tags.push('x'),
    () => view.tags.set(0, 'x'), () => { view.tags[0] = 'x' }, () => view.tags.pop(), () => view.tags.clear(), () => view.counts.set('x', 1), () => view.counts.clear(),
    () => view.counts.delete('a count to keep'), () => { view.any = { kind: 'n', value: 1 } }, () => { view.note = 'x' }, () => { view.raw = new Uint8Array() },
  ]
  for (const write of writes) assert.throws(write, { code: 'FAILED_PRECONDITION', message: /read-only/ })
  assert.deepEqual(plain(view), before)
})

test('a narrowed region refuses pointers out of it', () => {
  const arena = new Arena()
  const second = build(Node, arena, value(2))
  const first = build(Node, arena, { ...value(1), next: second })
  const { region, word } = locationOf(first)
  const narrow = new Region(region.i8.buffer as ArrayBuffer, region.addressOf(0))
  narrow.low = region.lowOf(word)
  narrow.shift = word
  narrow.words = region.words - word
  const seen = through(narrow, first)
  assert.equal(seen.id, 1)
  assert.throws(() => seen.next, WildPointerError)
  assert.throws(() => through(narrow, second), WildPointerError)
})

test('a budget ends the walk over a cycle', () => {
  const arena = new Arena()
  const view = build(Node, arena, value(1))
  view.next = view
  const { region } = locationOf(view)
  region.endless = false
  region.allowance = 1000
  region.refill()
  let steps = 0
  assert.throws(() => {
    for (let n: Node | null = view; n !== null; n = n.next) steps++
  }, (error: unknown) => error instanceof WildPointerError && /1000.*sandbox\.run\(.*maxPointers/.test(error.message))
  assert.equal(steps, 1001)
})

test('reading through a detached buffer gives empty values or an error, and ends', () => {
  const arena = new Arena(1 << 14)
  const view = build(Node, arena, { ...value(1), next: value(2), note: 'a note to lose', any: { kind: 'n', value: 4 } })
  const { tags, counts } = view
  const { region } = locationOf(view)
  structuredClone(null, { transfer: [region.i8.buffer as ArrayBuffer] })
  assert.equal(region.i32.length, 0)
  assert.deepEqual([view.id, view.name, view.next, view.note, view.raw, view.any], [0, '', null, undefined, new Uint8Array(0), { kind: 'none', value: undefined }])
  assert.deepEqual([[...tags], [...counts], tags.length, counts.size, tags.at(0)], [[], [], 0, 0, undefined])
  assert.throws(() => cellOf(Node).read(region, region.lowOf(2), region.high), RpcError)
  assert.deepEqual(cellOf(bytes).read(region, region.lowOf(2), makeAddress(region.high, 0) === 0 ? 0 : region.high), new Uint8Array(0))
  assert.equal(cellOf(text).read(region, region.lowOf(2), region.high), '')
})
