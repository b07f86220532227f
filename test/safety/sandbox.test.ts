// SB_BEGIN and SB_END: inside, shared pointers reach one range; what is wrong with the data is an error of the call.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WildPointerError } from '../../src/base/errors.js'
import { ObjectHeap } from '../../src/calls/heaps/object-heap.js'
import { Heap, HeapScopes, HeapSet, type Scope } from '../../src/memory/index.js'
import { addressOf, build, isView, list, locationOf, plain, ref, struct, text, u32, type View } from '../../src/objects/index.js'
import type { Inside, Sandbox } from '../../src/safety/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'
import { hasCode, MIB } from '../memory/model.js'

const Node = struct('SandboxNode', { id: u32, name: text, tags: list(text), get next() { return ref(Node) } })
const Other = struct('SandboxOther', { id: u32 })
type Node = View<typeof Node>

interface Ground {
  readonly heap: ObjectHeap
  readonly sandbox: Sandbox
  readonly scope: Scope
  readonly node: Node
  readonly secret: Node
}

function ground(): Ground {
  const set = new HeapSet((space) => new Heap(new ArrayBuffer(4 * MIB), HEAPS_BASE, 1, space))
  const heap = new ObjectHeap(set)
  const secret = heap.new(Node, { id: 99, name: 'another client\'s secret', tags: [], next: null })
  const scope = new HeapScopes(set).create(8192)
  const node = build(Node, scope, { id: 1, name: 'the first of two nodes', tags: ['a tag of a node'], next: { id: 2, name: 'the second node', tags: [], next: null } })
  return { heap, sandbox: heap.sandbox, scope, node, secret }
}

/** Writes to a field's words as a peer can. */
function poke(view: object, wordOfField: number, ...words: readonly number[]): void {
  const { region, word } = locationOf(view)
  for (const [i, value] of words.entries()) region.i32[word + wordOfField + i] = value
}

function pointerTo(view: object): [number, number] {
  const { region, word } = locationOf(view)
  return [region.lowOf(word), region.high]
}

test('inside, objects of the range are reached by native pointer; results are plain, or made in the reply area', () => {
  const { heap, sandbox, scope, node } = ground()
  const [name, made] = sandbox.run(scope, { suffix: '!' }, (inside, { suffix }) => {
    const seen = inside.at(Node, addressOf(node))
    return [seen.next!.name + suffix, inside.reply.new(Other, { id: seen.id + seen.tags.length })] as const
  })
  assert.equal(name, 'the second node!')
  assert.equal(made.id, 2)
  heap.free(made)
  assert.equal(sandbox.run(scope, undefined, (inside) => inside.view(node).next!.id), 2)
  assert.equal(sandbox.run(node, undefined, (inside) => inside.view(node).next!.id), 2, 'the memory of a view')
})

test('wild and foreign pointers, wrong types and lengths are refused inside', () => {
  const { sandbox, scope, node, secret } = ground()
  const escapes: ReadonlyArray<readonly [string, (inside: Inside) => unknown]> = [
    ['a foreign address', (inside) => inside.at(Node, addressOf(secret))],
    ['a foreign view', (inside) => inside.view(secret)],
    ['an address that is none', (inside) => inside.at(Node, 0x1000)],
    ['NaN', (inside) => inside.at(Node, NaN)],
    ['the end of the range', (inside) => inside.at(Node, scope.address + scope.byteLength - 4)],
    ['another type', (inside) => inside.at(Other, addressOf(node))],
  ]
  for (const [what, escape] of escapes) assert.throws(() => sandbox.run(scope, undefined, escape), WildPointerError, what)
  poke(node, 8, ...pointerTo(secret))
  assert.equal(node.next!.id, 99, 'outside, the pointer is followed')
  assert.throws(() => sandbox.run(scope, undefined, (inside) => inside.view(node).next), WildPointerError)
  poke(node, 6, 0x7fff_ffff)
  assert.throws(() => sandbox.run(scope, undefined, (inside) => inside.view(node).tags.at(100_000)), WildPointerError)
  assert.throws(() => sandbox.run(scope, undefined, (inside) => plain(inside.view(node))), WildPointerError)
})

test('endless and too deep walks end', () => {
  const { sandbox, scope, node } = ground()
  node.next!.next = node
  const walk = (inside: Inside): void => {
    for (let at: Node | null = inside.view(node); at !== null; at = at.next) assert.ok(at.id > 0)
  }
  assert.throws(() => sandbox.run(scope, undefined, walk), WildPointerError)
  assert.throws(() => sandbox.run(scope, undefined, walk, { maxPointers: 10 }), /more than 10 pointers/)
  for (const limits of [{ maxPointers: NaN }, { maxPointers: '10' }, { maxPointer: 10 }]) {
    assert.throws(() => sandbox.run(scope, undefined, walk, limits as never), { code: 'INVALID_ARGUMENT', message: /maxPointers must be a number|no option "maxPointer"/ })
  }
  const recurse = (at: Node | null): number => (at === null ? 0 : 1 + recurse(at.next))
  assert.throws(() => sandbox.run(scope, undefined, (inside) => recurse(inside.view(node))), WildPointerError)
  assert.equal(sandbox.run(scope, undefined, (inside) => inside.view(node).id), 1, 'the next run has its own budget')
})

test('ranges outside the connection\'s memory are refused', () => {
  const { sandbox, scope } = ground()
  const { address } = scope
  const ranges: readonly { readonly address: number, readonly byteLength: number }[] = [
    { address: 0, byteLength: 4096 }, { address: address + 4, byteLength: 64 }, { address, byteLength: 64 * MIB }, { address, byteLength: 0 },
    { address, byteLength: 2 ** 32 }, { address, byteLength: NaN }, { address: NaN, byteLength: 8 }, { address: 0 - address, byteLength: 8 },
  ]
  for (const range of ranges) assert.throws(() => sandbox.run(range, undefined, () => 1), WildPointerError, JSON.stringify(range))
})

test('variables are copies; what leads out of the sandbox cannot be one', () => {
  const { sandbox, scope, node } = ground()
  const variables = { list: [1, { deep: new Uint8Array([1]) }], when: new Date(0), names: new Map([['a', 1]]) }
  sandbox.run(scope, variables, (_inside, inner) => {
    assert.deepEqual(inner, variables)
    inner.list.push(2)
    ;(inner.list[1] as { deep: Uint8Array }).deep[0] = 9
    inner.names.clear()
  })
  assert.deepEqual(variables, { list: [1, { deep: new Uint8Array([1]) }], when: new Date(0), names: new Map([['a', 1]]) })
  for (const bad of [{ node }, [node], { f: (): void => {} }, { promise: Promise.resolve() }]) {
    assert.throws(() => sandbox.run(scope, bad, () => 1), hasCode('INVALID_ARGUMENT'))
  }
  const cyclic: { self?: unknown } = {}
  cyclic.self = cyclic
  assert.throws(() => sandbox.run(scope, cyclic, () => 1), hasCode('INVALID_ARGUMENT'))
})

test('views do not leave a sandbox, and those that are kept follow nothing', () => {
  const { sandbox, scope, node } = ground()
  assert.throws(() => sandbox.run(scope, undefined, (inside) => inside.view(node)), hasCode('FAILED_PRECONDITION'))
  const async = (): Promise<number> => Promise.resolve(1)
  assert.throws(() => sandbox.run(scope, undefined, async), hasCode('FAILED_PRECONDITION'))
  const kept: { node?: Node, inside?: Inside } = {}
  sandbox.run(scope, undefined, (inside) => Object.assign(kept, { node: inside.view(node), inside }) && 1)
  assert.throws(() => kept.node!.next, WildPointerError)
  assert.throws(() => kept.inside!.view(node), WildPointerError)
})

test('sandboxes run inside each other, each with its own range, also after one failed', () => {
  const { heap, sandbox, scope, node, secret } = ground()
  const sum = sandbox.run(scope, undefined, (outer) => {
    const first = outer.view(node)
    const inner = sandbox.run({ address: addressOf(secret), byteLength: 64 }, undefined, (inside) => {
      assert.throws(() => inside.view(node), WildPointerError)
      assert.throws(() => sandbox.run({ address: 8, byteLength: 8 }, undefined, () => 1), WildPointerError)
      return inside.at(Node, addressOf(secret)).id
    })
    return inner + first.next!.id
  })
  assert.equal(sum, 101)
  const dive = (): number => sandbox.run(scope, undefined, dive)
  assert.throws(dive, hasCode('FAILED_PRECONDITION'))
  assert.equal(sandbox.run(scope, undefined, (inside) => isView(inside.view(node))), true)
  heap.free(secret)
})
