// Graphs at random, whose pointers lie in containers of every kind: built, converted, copied and freed as the graph that they are.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  addressOf, array, build, copyGraph, json, list, locationOf, map, optional, plain, ref, release, shared, sortedMap, struct, text, u32, union, type View, viewAt,
} from '../../src/objects/index.js'
import { internOf } from '../../src/objects/json/intern.js'
import { Arena } from '../support/arena.js'

const Inner = struct('RandomInner', { name: text, get to() { return ref(Node) } })
const Node = struct('RandomNode', {
  id: u32, name: text, get one() { return ref(Node) }, get refs() { return list(ref(Node)) }, get byName() { return map(text, ref(Node)) }, get order() { return sortedMap(u32, ref(Node)) },
  get any() { return union({ text, node: ref(Node), nodes: list(ref(Node)) }) }, get maybe() { return optional(Inner) }, get pair() { return array(ref(Node), 2) },
  get both() { return shared(list(ref(Node))) }, get inner() { return Inner }, get inners() { return list(Inner) }, body: json,
})

interface Inner {
  name: string
  to: Plain | null
}
interface Plain {
  id: number
  name: string
  one: Plain | null
  refs: (Plain | null)[]
  byName: Map<string, Plain | null>
  order: Map<number, Plain | null>
  any: { kind: string, value: unknown }
  maybe: Inner | undefined
  pair: (Plain | null)[]
  both: (Plain | null)[]
  inner: Inner
  inners: Inner[]
  body: unknown
}

/** Of the nodes of a graph, which is meant in which place. */
const edges = fc.record({
  one: fc.nat(), refs: fc.array(fc.nat(), { maxLength: 3 }), byName: fc.array(fc.nat(), { maxLength: 3 }), order: fc.array(fc.nat(), { maxLength: 3 }), kind: fc.nat(2), any: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
  maybe: fc.option(fc.nat(), { nil: undefined }), pair: fc.tuple(fc.nat(), fc.nat()), both: fc.array(fc.nat(), { maxLength: 3 }), inner: fc.nat(), inners: fc.array(fc.nat(), { maxLength: 2 }),
})
type Edges = typeof edges extends fc.Arbitrary<infer E> ? E : never

function graphOf(all: readonly Edges[]): Plain[] {
  const nodes = all.map((_, id) => ({ id, name: `the name of node ${id}` }) as Plain)
  // A place more than there are nodes: nobody.
  const at = (which: number): Plain | null => nodes[which % (nodes.length + 1)] ?? null
  for (const [i, { one, refs, byName, order, kind, any, maybe, pair, both, inner, inners }] of all.entries()) {
    Object.assign(nodes[i]!, {
      one: at(one), refs: refs.map(at), byName: new Map(byName.map((which, k) => [`the key of edge ${k}`, at(which)])), order: new Map(order.map((which, k) => [k, at(which)])),
      any: [{ kind: 'text', value: 'a text with memory' }, { kind: 'node', value: at(any[0]!) }, { kind: 'nodes', value: any.map(at) }][kind],
      maybe: maybe === undefined ? undefined : { name: 'one that may be there', to: at(maybe) }, pair: pair.map(at), both: both.map(at), inner: { name: 'an inner name with memory', to: at(inner) },
      inners: inners.map((which) => ({ name: 'one of the inner ones', to: at(which) })), body: { of: i, name: 'a text with memory' },
    })
  }
  return nodes
}

/** What tells a graph from others: its nodes in the order in which they are met first, each place by the number of the node it leads to. */
function drawn(root: object, identity: (node: Plain) => unknown): { readonly picture: string, readonly nodes: readonly Plain[] } {
  const numbers = new Map<unknown, number>()
  const nodes: Plain[] = []
  const lines: string[] = []
  const number = (node: Plain | null): number => {
    if (node === null) return -1
    const known = numbers.get(identity(node))
    if (known !== undefined) return known
    numbers.set(identity(node), nodes.length)
    return nodes.push(node) - 1
  }
  // A view that a read shows ends with it.
  const outside = (node: Plain): Plain => viewAt(Node, locationOf(root).region, addressOf(node)) as unknown as Plain
  number(root as Plain)
  const held = (both: Plain['both'] | { read<R>(look: (one: Iterable<Plain | null>) => R): R }): number[] => 'read' in both ? both.read((all) => Array.from(all, (node) => number(node === null ? null : outside(node)))) : both.map(number)
  for (let i = 0; i < nodes.length; i++) {
    const { id, name, one, refs, byName, order, any, maybe, pair, both, inner, inners, body } = nodes[i]!
    lines.push(JSON.stringify([
      id, name, number(one), Array.from(refs, number), Array.from(byName, ([key, node]) => [key, number(node)]), Array.from(order, ([key, node]) => [key, number(node)]),
      any.kind, any.kind === 'text' ? any.value : any.kind === 'node' ? number(any.value as Plain | null) : Array.from(any.value as Iterable<Plain | null>, number),
      maybe === undefined ? 'none' : [maybe.name, number(maybe.to)], Array.from(pair, number), held(both), inner.name, number(inner.to), Array.from(inners, (one) => [one.name, number(one.to)]), body,
    ]))
  }
  return { picture: lines.join('\n'), nodes }
}

function arenaOf(): Arena {
  const arena = new Arena(1 << 20)
  arena.region.membership = { member: 1, isGone: () => false, attend: () => undefined, inquire: () => undefined }
  return arena
}

const kept = (arena: Arena): number => arena.live - (internOf(arena)?.shapes ?? 0)

test('a graph is built, read, converted, copied and freed with all of its sharing and cycles, wherever its pointers lie', () => {
  let cyclic = 0
  fc.assert(fc.property(fc.array(edges, { minLength: 1, maxLength: 7 }), (all) => {
    const [root] = graphOf(all) as [Plain]
    const { picture, nodes } = drawn(root, (node) => node)
    if (nodes.length > 1 && nodes.some(({ one }) => one === root)) cyclic++
    const [arena, elsewhere] = [arenaOf(), arenaOf()]
    const view = build(Node, arena, root as never)
    assert.equal(drawn(view, (node) => addressOf(node)).picture, picture, 'built')
    assert.equal(drawn(plain(view) as object, (node) => node).picture, picture, 'converted')
    const original = kept(arena)
    for (const to of [arena, elsewhere]) {
      const copy = copyGraph(view, to)
      const copied = drawn(copy, (node) => addressOf(node))
      assert.equal(copied.picture, picture, 'copied')
      // Nothing of the copy is the original.
      const originals = new Set(drawn(view, (node) => addressOf(node)).nodes.map((node) => addressOf(node)))
      if (to === arena) assert.ok(copied.nodes.every((node) => !originals.has(addressOf(node))))
      for (const node of copied.nodes) node.name = 'another name with memory'
      assert.equal(drawn(view, (node) => addressOf(node)).picture, picture, 'the copy is its own')
      release(to, copy, { deep: true })
      assert.equal(kept(to), to === arena ? original : 0, 'all of the copy is freed')
      // Stopped after a node less than there are.
      const before = kept(to)
      if (nodes.length > 1) assert.throws(() => copyGraph(view, to, { maxNodes: nodes.length - 1 }), { code: 'RESOURCE_EXHAUSTED' })
      assert.equal(kept(to), before, 'nothing of what was given up stays')
    }
    assert.equal(drawn(view, (node) => addressOf(node)).picture, picture)
    release(arena, view, { deep: true })
    assert.deepEqual([kept(arena), kept(elsewhere)], [0, 0])
  }), { numRuns: 300 })
  assert.ok(cyclic > 20, `${cyclic} of the graphs lead back to their first node`)
})

const Link = struct('SharedLink', { id: u32, get both() { return shared(list(ref(Link))) } })

/** So many, each of which is reached through what the one before shares; the last leads to the first. */
function chain(arena: Arena, length: number): View<typeof Link> {
  const links = Array.from({ length }, (_, id) => ({ id, both: [] as object[] }))
  for (const [i, link] of links.entries()) link.both.push(links[(i + 1) % length]!)
  return build(Link, arena, links[0] as never)
}

test('what leads from one thing that is shared to the next is gone through as deep as its limit says, and ends with it where it leads back', () => {
  const arena = arenaOf()
  for (const length of [1, 2, 399, 400]) {
    const first = chain(arena, length)
    let at: { readonly id: number, readonly both: readonly object[] } = plain(first) as never
    const root = at
    for (let i = 0; i < length; i++) {
      assert.equal(at.id, i)
      at = at.both[0] as typeof at
    }
    assert.equal(at, root)
    const copy = copyGraph(first, arena)
    assert.deepStrictEqual(plain(copy), root)
    for (const one of [copy, first]) release(arena, one, { deep: true })
  }
  arena.assertEmpty()
  const long = chain(arena, 3000)
  for (const convert of [() => plain(long), () => JSON.stringify(long)]) assert.throws(convert, { code: 'INVALID_ARGUMENT', message: /reached through more than 400 others/ })
  const elsewhere = arenaOf()
  release(elsewhere, copyGraph(long, elsewhere), { deep: true })
  assert.equal(kept(elsewhere), 0)
  release(arena, long, { deep: true })
})

test('a conversion that writers disturb starts over with what it knew before', () => {
  const arena = arenaOf()
  const holder = build(struct('DisturbedHolder', { outside: ref(Link), first: Link, both: shared(list(ref(Link))) }), arena, { first: { id: 1, both: [] }, both: [] })
  const links = [2, 3].map((id) => build(Link, arena, { id, both: [] }))
  holder.outside = links[0]!
  holder.both.write((both) => both.push(...links))
  links[1]!.both.write((both) => both.push(links[0]!, links[1]!))
  const written = locationOf(links[1]!).word + 1
  const sequences = [holder.both, links[1]!.both].map((one) => locationOf(one).word + 1)
  const { region } = arena
  const addressOf = region.addressOf.bind(region)
  const steps: number[] = []
  for (let disturbed = 0; disturbed < 30; disturbed++) {
    let looks = 0
    Object.assign(region, { addressOf: (word: number) => {
      if (looks++ < disturbed) {
        region.i32[sequences[looks % 2]!]! += 2
        region.i32[written]!++
      }
      return addressOf(word)
    } })
    const drawn = drawnLinks(plain(holder))
    steps.push(looks)
    assert.equal(drawn, drawnLinks(plain(holder)))
  }
  assert.ok(steps.every((looks, i) => i < 8 || looks > steps[0]! + 6), `it looked ${steps.join(', ')} times`)
})

/** Ids in the order in which objects are met first, each further time by its number. */
function drawnLinks(root: object): string {
  const met: object[] = []
  return JSON.stringify(root, (_, one: unknown) => {
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one
    const known = met.indexOf(one)
    if (known >= 0) return `number ${known}`
    met.push(one)
    return one
  })
}
