import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { array, bytes, compareDescriptions, describe, fingerprint, json, list, map, optional, ref, struct, text, u32, u64, union } from '../../src/objects/index.js'

const Edge = struct('Edge', { from: u32, to: u32 })
const Graph = struct('Graph', { name: text, edges: list(Edge), index: map(text, u32), data: bytes, get next() { return ref(Graph) } })
// A description travels as JSON.
const sent = (type: Parameters<typeof describe>[0]): unknown => JSON.parse(JSON.stringify(describe(type)))

test('a description is plain JSON of the whole graph of types, whatever refers to what', () => {
  assert.deepEqual(sent(Graph), {
    type: ['struct', 'Graph'],
    structs: [
      { name: 'Edge', fields: [['from', 'u32'], ['to', 'u32']] },
      { name: 'Graph', fields: [['name', 'text'], ['edges', ['list', ['struct', 'Edge']]], ['index', ['map', 'text', 'u32']], ['data', 'bytes'], ['next', ['ref', 'Graph']]] },
    ],
  })
  assert.match(fingerprint(describe(Graph)), /^[0-9a-f]{16}$/)
  assert.equal(fingerprint(describe(Edge)), fingerprint(describe(struct('Edge', { from: u32, to: u32 }))))
  assert.notEqual(fingerprint(describe(Graph)), fingerprint(describe(Edge)))
})

test('two structs of one name in one graph of types are refused', () => {
  const Twins = struct('Twins', { a: struct('Twin', { x: u32 }), b: struct('Twin', { x: u32 }) })
  assert.throws(() => describe(Twins), { code: 'INVALID_ARGUMENT', message: /Twin/ })
})

const V1 = struct('Post', { id: u32, body: text })
const V2 = struct('Post', { id: u32, body: text, likes: u32, tags: list(text) })

test('appended fields are compatible, whoever has more', () => {
  assert.deepEqual(compareDescriptions(describe(V1), sent(V2)), [])
  assert.deepEqual(compareDescriptions(describe(V2), sent(V1)), [])
  const holders = [V1, V2].map((post) => struct('Holder', { first: ref(post), any: union({ post }) }))
  assert.deepEqual(compareDescriptions(describe(holders[0]!), sent(holders[1]!)), [])
})

test('a struct held by value is locked, and the sentence says so', () => {
  const holders: ReadonlyArray<(post: typeof V1 | typeof V2) => object> = [
    (post) => ({ post }), (post) => ({ posts: list(post) }), (post) => ({ post: optional(post) }), (post) => ({ posts: array(post, 2) }),
    (post) => ({ posts: map(text, post) }), (post) => ({ any: union({ posts: list(post) }) }),
  ]
  for (const fields of holders) {
    const [mine, theirs] = [V1, V2].map((post) => struct('Holder', fields(post)))
    assert.deepEqual(compareDescriptions(describe(mine!), sent(theirs!)),
      ['Post.likes exists only at the peer, and Post is locked because it is held by value: hold it by ref to append fields'])
    assert.match(compareDescriptions(describe(theirs!), sent(mine!))[0]!, /^Post\.likes exists only here/)
  }
  assert.equal(compareDescriptions(describe(list(V1)), sent(list(V2))).length, 1)
})

test('everything else is a difference, named', () => {
  const cases: ReadonlyArray<readonly [object, RegExp]> = [
    [{ id: u64, body: text }, /^Post\.id is u32 here and u64 at the peer$/],
    [{ body: text, id: u32 }, /^field 1 of struct Post is id here and body at the peer/],
    [{ id: u32, body: list(text) }, /^Post\.body is text here and list\(text\) at the peer$/],
    [{ id: u32, body: optional(text) }, /optional\(text\)/],
    [{ id: u32, body: union({ a: text, b: ref(Edge) }) }, /union\(a: text, b: ref\(Edge\)\)/],
    [{ id: u32, body: array(text, 2) }, /array\(text, 2\)/],
  ]
  for (const [fields, sentence] of cases) assert.match(compareDescriptions(describe(V1), sent(struct('Post', fields))).join('\n'), sentence)
  assert.deepEqual(compareDescriptions(describe(V1), sent(Edge)), ['the type is Post here and Edge at the peer'])
  assert.deepEqual(compareDescriptions(describe(list(u32)), sent(list(text))), ['the type is list(u32) here and list(text) at the peer'])
})

test('a peer may send anything for a description', () => {
  const mine = describe(Graph)
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    assert.ok(compareDescriptions(mine, value).length > 0)
  }))
  const mutated = JSON.stringify(mine)
  fc.assert(fc.property(fc.nat(mutated.length - 1), fc.constantFrom('[', ']', '"', '1', 'x', ','), (at, character) => {
    let value: unknown
    try {
      value = JSON.parse(mutated.slice(0, at) + character + mutated.slice(at + 1))
    } catch {
      return
    }
    assert.ok(Array.isArray(compareDescriptions(mine, value)))
  }), { numRuns: 500 })
  let deep: unknown = 'u32'
  for (let i = 0; i < 10_000; i++) deep = ['list', deep]
  assert.deepEqual(compareDescriptions(mine, { type: deep, structs: [] }), ['the peer sent no valid description of its types'])
})

test('peers that lay out json in different ways do not meet', () => {
  const Holding = struct('Holding', { document: json.fast, all: list(json) })
  const mine = describe(Holding)
  assert.deepEqual(compareDescriptions(mine, JSON.parse(JSON.stringify(mine))), [])
  const other: unknown = JSON.parse(JSON.stringify(mine).replaceAll(/\["json",(-?\d+)\]/g, '["json",$10]'))
  assert.equal(compareDescriptions(mine, other).length, 2)
  assert.match(compareDescriptions(mine, other)[0]!, /Holding.document is json\(-?\d+\) here and json\(-?\d+\) at the peer/)
})
