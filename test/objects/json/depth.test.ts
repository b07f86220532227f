// Documents are 1000 levels deep at most, by whatever way they come about, and whoever meets deeper ones says so and goes on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RpcError } from '../../../src/base/errors.js'
import { build, buildJson, copyGraph, fast, json, jsonEqual, list, parseJson, plain, release, struct, typeOf, type View } from '../../../src/objects/index.js'
import { internOf } from '../../../src/objects/json/intern.js'
import { Arena } from '../../support/arena.js'

const LIMIT = 1000
const Holder = struct('DepthHolder', { body: json, more: list(json) })
const keptBy = (arena: Arena): number => arena.live - (internOf(arena)?.shapes ?? 0)

/** Objects and arrays in turn, so many levels of them. */
function nested(depth: number, inside: unknown = 'a text with memory'): unknown {
  let value = inside
  for (let level = depth; level > 0; level--) value = level % 2 === 0 ? [value] : { a: value }
  return value
}

function textOf(depth: number): string {
  let text = '"a text with memory"'
  for (let level = depth; level > 0; level--) text = level % 2 === 0 ? `[${text}]` : `{"a":${text}}`
  return text
}

/** The document itself, or the one that a holder has. */
function insideOf(made: object): object {
  if (typeOf(made) !== Holder) return made
  const { body, more } = made as View<typeof Holder>
  return (body ?? more.at(0)) as object
}

const makers: Readonly<Record<string, (arena: Arena, depth: number) => object>> = {
  json: (arena, depth) => buildJson(arena, nested(depth)) as object,
  'parseJson of a string': (arena, depth) => parseJson(arena, textOf(depth)) as object,
  'parseJson of bytes': (arena, depth) => parseJson(arena, Buffer.from(textOf(depth))) as object,
  'a field': (arena, depth) => build(Holder, arena, { body: nested(depth) as never }),
  'an element': (arena, depth) => build(Holder, arena, { more: [nested(depth) as never] }),
}
for (const [name, make] of Object.entries(makers)) {
  test(`${name}: ${LIMIT - 1} and ${LIMIT} levels are made, read, copied and freed; one more is refused and leaves nothing`, () => {
    const arena = new Arena(1 << 22)
    for (const depth of [LIMIT - 1, LIMIT]) {
      const made = make(arena, depth)
      const view = insideOf(made)
      const expected = nested(depth)
      assert.deepStrictEqual(plain(view), expected)
      assert.equal(JSON.stringify(view), textOf(depth))
      assert.ok(jsonEqual(view, view) && jsonEqual(view, expected) && !jsonEqual(view, nested(depth - 1)))
      const copy = copyGraph(made, arena)
      assert.deepStrictEqual(plain(insideOf(copy)), expected)
      release(arena, copy)
      release(arena, made)
      assert.equal(keptBy(arena), 0)
    }
    for (const depth of [LIMIT + 1, LIMIT + 2, LIMIT * 3]) {
      assert.throws(() => make(arena, depth), { code: 'INVALID_ARGUMENT', message: /1000/ })
      assert.equal(keptBy(arena), 0, `${depth} levels`)
    }
  })
}

test('a document that grew deeper by assignments is an error to what walks it, and can be read step by step and freed', () => {
  const arena = new Arena(1 << 24)
  const document = buildJson(arena, nested(600, { end: null })) as object
  const bottom = (view: object, levels: number): Record<string, unknown> => {
    let at: unknown = view
    for (let i = 0; i < levels; i++) at = Array.isArray(at) ? at[0] : (at as { a: unknown }).a
    return at as Record<string, unknown>
  }
  const tries: Readonly<Record<string, () => unknown>> = {
    plain: () => plain(document), stringify: () => JSON.stringify(document), equal: () => jsonEqual(document, {}), copy: () => copyGraph(document, arena),
    field: () => build(Holder, arena, { body: document as never }), 'another document': () => buildJson(arena, { inside: document }), 'fast plain': () => plain(fast(document)),
  }
  let end = bottom(document, 600)
  for (let times = 0; times < 5; times++) {
    end['end'] = nested(600, { end: 'a text with memory' })
    end = bottom(end['end'] as object, 600)
  }
  const { live } = arena
  for (const [what, work] of Object.entries(tries)) {
    assert.throws(work, { code: 'INVALID_ARGUMENT', message: /nested too deep/ }, what)
    assert.equal(arena.live, live, what)
  }
  assert.equal(end['end'], 'a text with memory')
  // What is that deep can be replaced, and freed.
  const half = bottom(document, 600)
  half['end'] = 1
  assert.deepStrictEqual(plain(document), nested(600, { end: 1 }))
  half['end'] = nested(600)
  release(arena, document)
  assert.equal(keptBy(arena), 0)
})

test('wherever memory runs out while a document is made, changed or copied, nothing is left and nothing changes', () => {
  const value = { name: 'a text with memory', list: Array.from({ length: 40 }, (_, i) => ({ i, text: `element number ${i}`, wide: 'κ'.repeat(200) })), large: 'x'.repeat(20_000) }
  const arena = new Arena(1 << 24)
  const document = buildJson(arena, { ...value, seven: 7 }) as Record<string, unknown> & { list: unknown[] }
  const before = plain(document)
  const works: Readonly<Record<string, () => unknown>> = {
    build: () => buildJson(arena, value), parse: () => parseJson(arena, JSON.stringify(value)), copy: () => copyGraph(document, arena),
    'set a new key': () => { document['fresh'] = value }, 'set a key': () => { document['name'] = value }, push: () => document.list.push(value, value), splice: () => document.list.splice(1, 2, value, 'a text with memory'),
    field: () => build(Holder, arena, { body: value, more: [value as never, 'a text with memory'] }),
  }
  for (const [what, work] of Object.entries(works)) {
    for (let count = 0, done = false; !done; count++) {
      const live = keptBy(arena)
      arena.failAfter(count)
      let made: unknown
      try {
        made = work()
        done = true
      } catch (error) {
        assert.ok(RpcError.is(error) && error.code === 'RESOURCE_EXHAUSTED', `${what}: ${String(error)}`)
      }
      arena.failAfter(Infinity)
      if (done) {
        assert.ok(count > 1, `${what} takes memory ${count} times`)
        if (typeof made === 'object' && !Array.isArray(made)) release(arena, made as object)
      } else {
        assert.equal(keptBy(arena), live, `${what}, failing at allocation ${count}`)
        assert.deepStrictEqual(plain(document), before, `${what}, failing at allocation ${count}`)
      }
    }
    // The changes that went through are taken back.
    delete document['fresh']
    for (const [key, old] of Object.entries(before)) document[key] = old
  }
  release(arena, document)
  assert.equal(keptBy(arena), 0)
})
