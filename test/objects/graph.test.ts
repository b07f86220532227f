import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RpcError } from '../../src/base/errors.js'
import { build, bytes, copyGraph, f64, json, list, locationOf, map, optional, plain, ref, release, same, shared, struct, text, u32, union, type View } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Node = struct('Node', { value: u32, label: text, get next() { return ref(Node) }, get others() { return list(ref(Node)) } })
type Node = View<typeof Node>
interface PlainNode { value: number, label: string, next: PlainNode | null, others: PlainNode[] }

const node = (value: number, next: PlainNode | null = null): PlainNode => ({ value, label: `this is node number ${value}`, next, others: [] })

test('an object reached twice is built once, and a cycle ends', () => {
  const arena = new Arena()
  const shared = node(3)
  const root = node(1, node(2, shared))
  root.others.push(shared, root)
  shared.next = root
  const view = build(Node, arena, root)
  assert.ok(same(view.next!.next, view.others.at(0)))
  assert.ok(same(view.next!.next!.next, view))
  assert.ok(same(view.others.at(1), view))
  const copy = plain(view) as PlainNode
  assert.equal(copy.next!.next, copy.others[0])
  assert.equal(copy.next!.next.next, copy)
  assert.deepEqual(copy, root)
  assert.throws(() => JSON.stringify(view), TypeError)
  release(arena, view, { deep: true })
  arena.assertEmpty()
})

test('a long linked list neither uses up the stack when built, nor copied, converted or freed', () => {
  const arena = new Arena(32 << 20)
  let head: PlainNode | null = null
  for (let i = 50_000; i > 0; i--) head = node(i, head)
  const view = build(Node, arena, head!)
  const copy = copyGraph(view, arena)
  let count = 0
  for (let n: Node | null = copy; n !== null; n = n.next) assert.equal(n.value, ++count)
  let walked = 0
  for (let n: PlainNode | null = plain(view) as PlainNode; n !== null; n = n.next) walked++
  assert.deepEqual([count, walked], [50_000, 50_000])
  release(arena, copy, { deep: true })
  assert.equal(view.next!.next!.label, 'this is node number 3')
  release(arena, view, { deep: true })
  arena.assertEmpty()
})

test('views inside a plain value: refs point at them, everything else is copied', () => {
  const Pair = struct('Pair', { first: ref(Node), list: list(text), map: map(text, u32) })
  const arena = new Arena()
  const target = build(Node, arena, node(1))
  const one = build(Pair, arena, { first: target, list: ['a long enough text'], map: new Map([['a', 1]]) })
  const two = build(Pair, arena, { first: one.first, list: one.list, map: one.map })
  assert.ok(same(two.first, target))
  two.list.push('b')
  two.map.set('a', 2)
  assert.deepEqual([one.list.length, one.map.get('a')], [1, 1])
  const three = build(Pair, arena, two)
  assert.deepEqual(plain(three), plain(two))
  for (const pair of [one, two, three]) release(arena, pair)
  release(arena, target)
  arena.assertEmpty()
})

const Part = struct('Part', { id: u32, name: text })
const Everything = struct('Everything', {
  name: text, part: Part, parts: list(Part), raw: bytes, names: map(text, text), byId: map(u32, Part), note: optional(text), maybe: optional(Part),
  any: union({ number: f64, text, part: Part, list: list(text), map: map(text, u32), node: ref(Node) }), get children() { return list(Everything) }, link: ref(Node),
})

function everything(depth: number): object {
  const part = (id: number): object => ({ id, name: `the name of part ${id}` })
  return {
    name: `everything at depth ${depth}`, part: part(1), parts: [part(2), part(3)], raw: new Uint8Array([1, 2, 3]),
    names: new Map([['first', 'the first value'], ['a rather long key', 'x']]), byId: new Map([[4, part(4)]]), note: 'a note worth keeping', maybe: part(5),
    any: { kind: depth % 2 === 0 ? 'part' : 'list', value: depth % 2 === 0 ? part(6) : ['text in a list', 'y'] },
    children: depth === 0 ? [] : [everything(depth - 1), everything(depth - 1)], link: null,
  }
}

test('whatever allocation fails, nothing that was built stays', () => {
  const value = everything(2) as never
  const counting = new Arena()
  release(counting, build(Everything, counting, value))
  counting.assertEmpty()
  assert.ok(counting.allocated > 50)
  const arena = new Arena()
  for (let i = 0; i < counting.allocated; i++) {
    arena.failAfter(i)
    assert.throws(() => build(Everything, arena, value), { code: 'RESOURCE_EXHAUSTED' })
    arena.assertEmpty()
  }
  arena.failAfter(Infinity)
  const view = build(Everything, arena, value)
  const live = arena.live
  for (let i = 0; i < counting.allocated; i++) {
    arena.failAfter(i)
    assert.throws(() => copyGraph(view, arena), { code: 'RESOURCE_EXHAUSTED' })
    assert.equal(arena.live, live)
  }
})

test('a value refused deep inside leaves nothing, and says where it was', () => {
  const arena = new Arena()
  const bad = everything(1) as { children: Array<{ parts: Array<{ id: unknown }> }> }
  bad.children[1]!.parts[1]!.id = 'three'
  assert.throws(() => build(Everything, arena, bad as never), { code: 'INVALID_ARGUMENT', message: /Part\.id: expected an integer .* got "three"/ })
  arena.assertEmpty()
})

test('assigning any field replaces and frees what it owned, and building over a value again and again keeps the balance', () => {
  const arena = new Arena()
  const view = build(Everything, arena, everything(2) as never)
  const other = everything(2) as Record<string, unknown>
  const before = arena.live
  for (const [name, value] of Object.entries(other)) {
    for (const replacement of [() => value, () => Reflect.get(view, name) as unknown]) {
      Reflect.set(view, name, replacement())
      assert.equal(arena.live, before, name)
    }
  }
  assert.deepEqual(plain(view), other)
  view.note = undefined
  view.any = { kind: 'none', value: undefined }
  view.children.clear()
  view.names.clear()
  view.parts.splice(0, 1)
  assert.ok(arena.live < before)
  release(arena, view)
  arena.assertEmpty()
})

test('a refused assignment changes nothing', () => {
  const arena = new Arena()
  const view = build(Everything, arena, everything(1) as never)
  const before = plain(view)
  const { live } = arena
  const bad: ReadonlyArray<readonly [string, unknown]> = [
    ['name', 5], ['part', { id: -1, name: 'x' }], ['parts', [{ id: 1, name: 'x' }, null]], ['raw', 'x'], ['names', new Map([['a', 1]])],
    ['byId', [[1]]], ['note', 4], ['maybe', {}], ['any', { kind: 'other', value: 1 }], ['any', 5], ['children', [{}]], ['children', 'abc'], ['link', 5], ['link', []],
  ]
  for (const [name, value] of bad) {
    assert.throws(() => Reflect.set(view, name, value), (error: unknown) => RpcError.is(error) && error.code === 'INVALID_ARGUMENT', name)
    assert.equal(arena.live, live, name)
    assert.deepEqual(plain(view), before, name)
  }
})

test('a ref owns nothing: assigning and releasing frees no target', () => {
  const arena = new Arena()
  const target = build(Node, arena, node(1))
  const view = build(Node, arena, node(2))
  view.next = target
  view.next = null
  assert.equal(target.label, 'this is node number 1')
  view.next = { value: 3, label: 'made by the assignment', next: target, others: [] } as unknown as Node
  assert.ok(same(view.next.next, target))
  const made = view.next
  view.next = made.next
  release(arena, made)
  release(arena, view)
  release(arena, target)
  arena.assertEmpty()
})

test('copies keep sharing and cycles, go to another heap, and stop at a limit', () => {
  const arena = new Arena()
  const elsewhere = new Arena()
  const root = node(1, node(2))
  root.others.push(root, root.next!)
  root.next!.next = root
  const view = build(Node, arena, root)
  const copy = copyGraph(view, elsewhere)
  assert.equal(locationOf(copy).region, elsewhere.region)
  assert.deepEqual(plain(copy), root)
  assert.ok(same(copy.next!.next, copy))
  assert.throws(() => copyGraph(view, elsewhere, { maxNodes: 1 }), { code: 'RESOURCE_EXHAUSTED' })
  assert.throws(() => plain(view, { maxNodes: 3 }), { code: 'RESOURCE_EXHAUSTED' })
  release(arena, view, { deep: true })
  release(elsewhere, copy, { deep: true })
  arena.assertEmpty()
  elsewhere.assertEmpty()
  const big = build(Everything, arena, everything(3) as never)
  assert.deepEqual(plain(copyGraph(big, elsewhere)), plain(big))
})

test('what a conversion may visit is counted over all documents and shared values that it meets', () => {
  const Mixed = struct('Mixed', { documents: list(json), shared: list(shared(list(u32))) })
  const one = [0, 1, 2, 3, 4, 5, 6, 7]
  for (const value of [{ documents: [one, one, one, one] }, { shared: [one, one, one, one] }] as const) {
    const mixed = build(Mixed, new Arena(), value as never)
    assert.deepEqual(plain(mixed, { maxNodes: 50 }), { documents: [], shared: [], ...value })
    assert.throws(() => plain(mixed, { maxNodes: 30 }), { code: 'RESOURCE_EXHAUSTED', message: /more than 30 / })
  }
})

test('what only looks like a union is left as it is, and so is a union that holds no view', () => {
  const One = struct('OneUnion', { any: union({ text, node: Node }) })
  const lookalike = { kind: 'text', value: 'a', more: 1 }
  assert.equal(plain(lookalike), lookalike)
  const one = build(One, new Arena(), { any: { kind: 'node', value: node(1) } })
  assert.deepEqual(plain(one.any), { kind: 'node', value: node(1) })
})

test('a copy of a wide tree is the same tree, in the order in which a build lays it out', () => {
  const leaf = (value: number): PlainNode => node(value)
  const wide = node(0)
  wide.others = Array.from({ length: 100 }, (_, i) => ({ ...node(1 + i), others: Array.from({ length: 100 }, (_one, k) => leaf(1000 + i * 100 + k)) }))
  const elsewhere = new Arena()
  const copy = copyGraph(build(Node, new Arena(), wide), elsewhere)
  assert.deepEqual(plain(copy), wide)
  const words = copy.others.map((one) => locationOf(one!).word)
  const leaves = copy.others.flatMap((one) => one!.others.map((each) => locationOf(each!).word))
  const ascending = (list: number[]): boolean => list.every((word, i) => i === 0 || word > list[i - 1]!)
  assert.ok(ascending(words) && ascending(leaves), 'level by level')
  release(elsewhere, copy, { deep: true })
  elsewhere.assertEmpty()
})

test('a pointer out of the connection is refused, naming the way to copy', () => {
  const arena = new Arena()
  const foreign = build(Node, new Arena(), node(1))
  const view = build(Node, arena, node(2))
  const naming = { code: 'INVALID_ARGUMENT', message: /Node\.next: .*heap\.copyFrom/ }
  assert.throws(() => { view.next = foreign }, naming)
  assert.throws(() => build(Node, arena, { value: 1, label: '', next: foreign }), naming)
  assert.equal(view.next, null)
})

test('values nested by value stop at a depth, and say how to go deeper', () => {
  const Tree = struct('Tree', { get children() { return list(Tree) } })
  const arena = new Arena(8 << 20)
  interface PlainTree { children: PlainTree[] }
  const nest = (depth: number): PlainTree => depth === 0 ? { children: [] } : { children: [nest(depth - 1)] }
  const deep = build(Tree, arena, nest(399))
  assert.deepEqual(plain(copyGraph(deep, arena)), nest(399))
  release(arena, deep)
  const endless: PlainTree = { children: [] }
  endless.children.push(endless)
  const { live } = arena
  assert.throws(() => build(Tree, arena, endless), { code: 'INVALID_ARGUMENT', message: /ref/ })
  assert.equal(arena.live, live)
})

test('a part cannot be released, and a second release is refused', () => {
  const arena = new Arena()
  const view = build(Everything, arena, everything(1) as never)
  const { live } = arena
  assert.throws(() => release(arena, view.part), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => release(arena, view.parts), { code: 'INVALID_ARGUMENT' })
  assert.equal(arena.live, live)
  release(arena, view)
  assert.throws(() => release(arena, view), RpcError)
  arena.assertEmpty()
})
