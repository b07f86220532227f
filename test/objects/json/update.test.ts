// A document that is changed in place stays equal to a plain value that is changed alike, and is freed without a rest.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { build, buildJson, copyGraph, fast, json, jsonEqual, list, plain, release, same, shared, struct, text } from '../../../src/objects/index.js'
import { internOf } from '../../../src/objects/json/intern.js'
import { MAX_JSON_LENGTH } from '../../../src/objects/json/limits.js'
import { Arena } from '../../support/arena.js'

type Tree = Record<string, unknown>

const key = fc.oneof(fc.constantFrom('a', 'b', 'name', 'a longer key', '__proto__', '7', '10', 'κλειδί', ''), fc.integer({ min: 0, max: 40 }).map((n) => `key number ${n}`))
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<unknown>(0, 1.5, true, null, 'x', 'a text with memory', 'κλειδί', -(2 ** 40)) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 2 }).map((text) => JSON.parse(text) as unknown) })
const step = fc.oneof(
  fc.record({ do: fc.constant('set' as const), pick: fc.nat(), key, value }),
  fc.record({ do: fc.constant('delete' as const), pick: fc.nat(), key }),
  fc.record({ do: fc.constant('push' as const), pick: fc.nat(), value }),
  fc.record({ do: fc.constant('element' as const), pick: fc.nat(), index: fc.nat({ max: 6 }), value }),
  fc.record({ do: fc.constant('splice' as const), pick: fc.nat(), index: fc.nat({ max: 4 }), remove: fc.nat({ max: 3 }), value }),
  fc.record({ do: fc.constantFrom('pop' as const, 'shift' as const, 'sort' as const, 'sortBackwards' as const), pick: fc.nat() }),
  fc.record({ do: fc.constant('unshift' as const), pick: fc.nat(), value }),
  fc.record({ do: fc.constant('length' as const), pick: fc.nat(), index: fc.nat({ max: 8 }) }),
  fc.record({ do: fc.constant('reverse' as const), pick: fc.nat() }))
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** All objects and arrays of a tree, in the same order whatever form it has. */
function containers(root: unknown): object[] {
  if (typeof root !== 'object' || root === null) return []
  return [root, ...Object.keys(root).flatMap((key) => containers(Reflect.get(root, key)))]
}

function pick<T>(all: readonly T[], which: number): T | undefined {
  return all.length === 0 ? undefined : all[which % all.length]
}

function define(object: Tree, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  else object[key] = value
}

function apply(root: object, step: Step, store: (object: Tree, key: string, value: unknown) => void): void {
  const all = containers(root)
  const object = pick(all.filter((one) => !Array.isArray(one)), step.pick) as Tree | undefined
  const array = pick(all.filter((one) => Array.isArray(one)), step.pick) as unknown[] | undefined
  if (step.do === 'set') {
    if (object !== undefined) store(object, step.key, structuredClone(step.value))
  } else if (step.do === 'delete') {
    if (object !== undefined) delete object[step.key]
  } else if (array === undefined) return
  else if (step.do === 'push') array.push(structuredClone(step.value))
  else if (step.do === 'element') array[Math.min(step.index, array.length)] = structuredClone(step.value)
  else if (step.do === 'splice') array.splice(step.index, step.remove, structuredClone(step.value))
  else if (step.do === 'pop' || step.do === 'shift') taken(array, step.do)
  else if (step.do === 'unshift') array.unshift(structuredClone(step.value), 1)
  else if (step.do === 'sort') inOrder(array)
  else if (step.do === 'sortBackwards') array.sort((a, b) => JSON.stringify(b).length - JSON.stringify(a).length)
  else if (step.do === 'length') array.length = Math.min(step.index, array.length)
  else array.reverse()
}

function taken(array: unknown[], how: 'pop' | 'shift'): void {
  const expected = plain(array.at(how === 'pop' ? -1 : 0))
  assert.deepStrictEqual(array[how](), expected)
}

/** Sorted as without a function to compare; where texts of objects are compared, all are alike. */
function inOrder(values: { sort(): unknown }): void {
  assert.equal(values.sort(), values)
}

/** What the ways to go through a tree meet, all the way down, of proxies and of fast views. */
function assertIterates(view: unknown, quick: unknown, model: unknown): void {
  if (typeof model !== 'object' || model === null) {
    assert.deepStrictEqual([view, quick], [model, model])
  } else if (Array.isArray(model)) {
    const array = view as readonly unknown[]
    const met: unknown[] = []
    for (const element of array) met.push(element)
    const byEntries = [...array.entries()]
    const fastMet = [...quick as Iterable<unknown>]
    assert.deepStrictEqual([met.length, byEntries.length, fastMet.length, [...array.keys()].length], [model.length, model.length, model.length, model.length])
    for (const [i, element] of model.entries()) {
      assert.equal(byEntries[i]![0], i)
      assertIterates(met[i], fastMet[i], element)
      assertIterates(byEntries[i]![1], fastMet[i], element)
    }
  } else {
    const keys: string[] = []
    for (const key in view as object) keys.push(key)
    assert.deepStrictEqual(keys, Object.keys(model))
    for (const [key, value] of Object.entries(view as object)) assertIterates(value, Reflect.get(quick as object, key), Reflect.get(model, key))
  }
}

function shapesOf(arena: Arena): number {
  return internOf(arena)?.shapes ?? 0
}

test('changes through proxies leave what they leave in plain values, and nothing is left after free', () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 25 }), fc.boolean(), (steps, elsewhere) => {
    const arena = new Arena(1 << 22)
    const model: object = { a: [1, { name: 'first' }, 'a text with memory'], name: { b: 'x' }, list: [] }
    const view = buildJson(arena, model) as object
    if (elsewhere) arena.continueElsewhere(1 << 22)
    for (const step of steps) {
      apply(model, step, define)
      apply(view, step, (object, key, value) => { Reflect.set(object, key, value) })
      assert.deepStrictEqual(plain(view), model)
    }
    assert.deepStrictEqual(view, model)
    assertIterates(view, fast(view), model)
    const copy = copyGraph(view, arena)
    assert.ok(jsonEqual(copy, model))
    release(arena, view)
    assert.deepStrictEqual(plain(copy), model)
    release(arena, copy)
    assert.equal(arena.live, shapesOf(arena), 'blocks that are no shapes are left')
  }), { numRuns: 400 })
})

test('an array finds an object of its own from either end, built with it or put in later', () => {
  const arena = new Arena()
  const list = buildJson(arena, [{ a: 1 }, [2], 'x']) as unknown[]
  list.push({ b: 2 }, { a: 1 })
  list[2] = [3]
  for (let i = 0; i < 5; i++) {
    const one = list[i]
    assert.deepEqual([list.indexOf(one), list.lastIndexOf(one), list.lastIndexOf(one, 100), list.lastIndexOf(one, i - 5), list.lastIndexOf(one, i - 1), list.includes(one), list.indexOf(one, i + 1)], [i, i, i, i, i === 0 ? 0 : -1, true, -1], String(i))
  }
})

test('a moved object is the same object, for every view of it', () => {
  const arena = new Arena()
  const view = buildJson(arena, { inner: { a: 1 } }) as { inner: Tree }
  const before = view.inner
  before['b'] = 'added through one view'
  assert.equal(view.inner['b'], 'added through one view')
  assert.ok(same(before, view.inner))
  assert.equal(fast(view).inner['b'], 'added through one view')
})

test('a loop that overwrites a text or an object does not use up memory', () => {
  const arena = new Arena(1 << 16)
  const view = buildJson(arena, { name: 'the first text', part: null as unknown }) as Tree
  for (let i = 0; i < 10_000; i++) {
    view['name'] = `text number ${i} of many`
    view['part'] = { number: i, list: [i, `element ${i}`] }
  }
  assert.deepStrictEqual(plain(view), { name: 'text number 9999 of many', part: { number: 9999, list: [9999, 'element 9999'] } })
  release(arena, view)
  assert.equal(arena.live, shapesOf(arena))
})

test('json in structs, lists and optionals: assigned, copied, freed', () => {
  const Row = struct('Row', { name: text, body: json, more: list(json), hot: json.fast })
  const arena = new Arena()
  const row = build(Row, arena, { name: 'r', body: { a: [1, 'a text with memory'] }, more: [1, 'a text with memory', { b: null }], hot: { n: 1, s: 'text' } })
  assert.deepStrictEqual(plain(row), { name: 'r', body: { a: [1, 'a text with memory'] }, more: [1, 'a text with memory', { b: null }], hot: { n: 1, s: 'text' } })
  row.body = 'now a long text with memory'
  assert.equal(row.body, 'now a long text with memory')
  row.body = row.more.at(2)!
  assert.deepStrictEqual(row.body, { b: null })
  row.more.push({ c: ['pushed'] })
  const copy = copyGraph(row, arena)
  assert.deepStrictEqual(plain(copy), plain(row))
  release(arena, row)
  release(arena, copy)
  assert.equal(arena.live, shapesOf(arena))
  const empty = build(Row, arena, { name: 'empty' })
  assert.equal(empty.body, undefined)
  assert.deepStrictEqual(Object.keys(plain(empty)), ['name', 'body', 'more', 'hot'])
})

test('only whole documents are freed, and once', () => {
  const arena = new Arena()
  const view = buildJson(arena, { inner: { a: [1] } }) as { inner: { a: object } }
  assert.throws(() => release(arena, view.inner), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => release(arena, view.inner.a), { code: 'INVALID_ARGUMENT' })
  release(arena, view)
  assert.throws(() => release(arena, view), { code: 'INVALID_ARGUMENT' })
})

test('a value that is refused half-way leaves nothing behind', () => {
  const arena = new Arena()
  const cyclic: Tree = { a: 'a text with memory' }
  cyclic['self'] = cyclic
  assert.throws(() => buildJson(arena, cyclic), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => buildJson(arena, { n: 1n }), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => buildJson(arena, undefined), { code: 'INVALID_ARGUMENT' })
  const view = buildJson(arena, { a: 'kept' }) as Tree
  assert.throws(() => { view['a'] = cyclic }, { code: 'INVALID_ARGUMENT' })
  assert.equal(view['a'], 'kept')
  release(arena, view)
  assert.equal(arena.live, shapesOf(arena))
})

test('a write of something shared that throws leaves its documents as they were', () => {
  const Row = struct('SharedRow', { document: json.of<Tree>() })
  const arena = new Arena(1 << 22)
  arena.region.membership = { member: 1, isGone: () => false, attend: () => undefined, inquire: () => undefined }
  const row = build(shared(Row), arena, { document: { a: 1, name: 'a text with memory', list: [1, { b: 2 }], many: {} } })
  row.write(({ document }) => {
    for (let i = 0; i < 20; i++) (document['many'] as Tree)[`key number ${i}`] = i
  })
  const before = row.read((value) => plain(value.document))
  assert.throws(() => row.write((value) => {
    const { document } = value
    document['a'] = 'another text with memory'
    document['new'] = { c: 1 }
    delete document['name']
    ;(document['list'] as unknown[]).push('x', 'y', 'z', 'a pushed text')
    ;(document['list'] as unknown[]).reverse()
    for (let i = 15; i < 40; i++) (document['many'] as Tree)[`key number ${i}`] = 'other'
    delete (document['many'] as Tree)['key number 3']
    throw new Error('undo')
  }), /undo/)
  assert.deepStrictEqual(row.read((value) => plain(value.document)), before)
  row.write((value) => { value.document = { all: 'new' } })
  assert.deepStrictEqual(row.read((value) => plain(value.document)), { all: 'new' })
})

test('arrays of fast views have indexes, a length and the methods of Array', () => {
  const arena = new Arena()
  const model: unknown[] = [3, 'two', { n: 1 }, [4, [5]], null, 3]
  const view = buildJson(arena, { list: model }) as { list: unknown[] }
  const { list } = fast(view)
  const here = (value: unknown): unknown => typeof value === 'object' && value !== null ? plain(value) : value
  const reading: Readonly<Record<string, (array: unknown[]) => unknown>> = {
    index: (array) => [array[0], here(array[2]), array[6], array.at(-1)], map: (array) => array.map((value, i) => [here(value), i]), filter: (array) => array.filter((value) => value === 3),
    find: (array) => array.find((value) => value === 'two'), findLastIndex: (array) => array.findLastIndex((value) => value === 3), some: (array) => array.some((value) => value === null),
    every: (array) => array.every((value) => value !== undefined), reduce: (array) => array.reduce((sum: unknown[], value) => [...sum, here(value)], []), indexOf: (array) => [array.indexOf(3, 1), array.lastIndexOf(3), array.includes(null), array.includes(9)],
    slice: (array) => array.slice(1, 4).map(here), concat: (array) => [0].concat(array as number[]).map(here), join: (array) => array.slice(0, 2).join('-'), entries: (array) => [...array.entries()].map(([i, value]) => [i, here(value)]),
    forEach: (array) => { const met: unknown[] = []; array.forEach((value) => met.push(here(value))); return met }, keys: (array) => [...array.keys()],
  }
  const changing: Readonly<Record<string, (array: unknown[]) => unknown>> = {
    'index set': (array) => { array[1] = { later: true } }, 'beyond its end': (array) => { array[7] = 7; array[6] = null }, push: (array) => array.push('x', 'y'), pop: (array) => array.pop(), shift: (array) => array.shift(),
    unshift: (array) => array.unshift(0), splice: (array) => array.splice(1, 2, 'new').map(here), reverse: (array) => { array.reverse() }, sort: (array) => { array.sort((a, b) => String(a) < String(b) ? -1 : 1) }, length: (array) => { array.length = 3 },
  }
  for (const [what, use] of Object.entries(reading)) assert.deepStrictEqual(use(list), use(model), what)
  for (const [what, use] of Object.entries(changing)) {
    assert.deepStrictEqual(use(list), use(model), what)
    assert.deepStrictEqual(plain(list), model, what)
  }
  assert.throws(() => { list.length = -1 }, RangeError)
  assert.throws(() => { Reflect.set(list, 'name', 1) }, { code: 'INVALID_ARGUMENT' })
  release(arena, view)
})

test('an index that an array cannot have is refused before anything is made, on every form; up to a further one there are nulls', () => {
  const arena = new Arena()
  const view = buildJson(arena, { list: [1], rest: 'a text with memory' }) as { list: unknown[] }
  const hot = (fast(view) as unknown as { list: { set(index: unknown, value: unknown): void, readonly length: number } }).list
  const { live } = arena
  for (const index of [4e9, MAX_JSON_LENGTH, -1, 1.5, NaN, '0']) assert.throws(() => hot.set(index, 77), { code: 'OUT_OF_RANGE' }, String(index))
  assert.throws(() => { view.list[4e9] = 1 }, { code: 'OUT_OF_RANGE' })
  assert.throws(() => { view.list.length = 4e9 }, { code: 'INVALID_ARGUMENT' })
  assert.deepStrictEqual([plain(view), arena.live], [{ list: [1], rest: 'a text with memory' }, live])
  hot.set(3, 'the fourth, with memory')
  view.list.length = 6
  view.list[7] = 7
  assert.deepStrictEqual(plain(view.list), [1, null, null, 'the fourth, with memory', null, null, null, 7])
  // Nothing private was made for what lies between: the heap alone says that it is full.
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
  assert.throws(() => { view.list[MAX_JSON_LENGTH - 1] = 1 }, { code: 'RESOURCE_EXHAUSTED' })
  assert.throws(() => { view.list.length = MAX_JSON_LENGTH }, { code: 'RESOURCE_EXHAUSTED' })
  assert.ok(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before < MAX_JSON_LENGTH)
  release(arena, view)
  assert.equal(arena.live, shapesOf(arena))
})

test('a value whose own code changes the array that it is put into comes where it was to come, and nothing is lost', () => {
  const arena = new Arena()
  const view = buildJson(arena, { list: [1, 'a text with memory', { a: 'another' }] }) as { list: unknown[] }
  const emptying = { toJSON: () => { view.list.length = 0; return { made: 'with memory' } } }
  view.list[2] = emptying
  assert.deepStrictEqual(plain(view.list), [null, null, { made: 'with memory' }])
  view.list.push(emptying, 'last')
  assert.deepStrictEqual(plain(view.list), [{ made: 'with memory' }, 'last'])
  view.list.splice(1, 1, { get own() { view.list.push('by a getter, with memory'); return 1 } })
  assert.deepStrictEqual(plain(view.list), [{ made: 'with memory' }, { own: 1 }, 'by a getter, with memory'])
  view.list[0] = { get own() { view.list.length = 1; return view.list.push('x', 'y') } }
  assert.deepStrictEqual(plain(view.list), [{ own: 3 }, 'x', 'y'])
  release(arena, view)
  assert.equal(arena.live, shapesOf(arena))
})

test('what an array or object of json cannot have is refused with what to do instead', () => {
  const view = buildJson(new Arena(), { list: [2, 1], a: { b: 1 } }) as { list: unknown[], a: Tree }
  for (const key of ['x', '-1', '1.5', '01']) assert.throws(() => Reflect.set(view.list, key, 1), { code: 'INVALID_ARGUMENT', message: /no property ".*": use an object/ }, key)
  assert.throws(() => Object.freeze(view.a), { code: 'FAILED_PRECONDITION', message: /freeze plain\(view\)/ })
  assert.throws(() => Object.defineProperty(view.a, 'b', { get: () => 1 }), { code: 'INVALID_ARGUMENT', message: /a property of json has a value/ })
  assert.throws(() => { Reflect.apply(view.list.sort, view.list, [3]) }, { name: 'TypeError', message: /a function that compares/ })
  assert.deepStrictEqual(plain(view), { list: [2, 1], a: { b: 1 } })
})

test('a change for which memory is short leaves the document as it was', () => {
  const changes: ReadonlyArray<(view: Tree) => void> = [
    // A key that makes an object a dictionary, and one that makes a dictionary a larger one; each brings a text.
    (view) => { view['a key that is new and has memory'] = 1 },
    (view) => { for (let i = 0; i < 9; i++) view[`key ${i} of a dictionary that grows`] = { text: `value ${i}` } },
    (view) => { (view['list'] as unknown[]).push('a pushed text', { a: 1 }, 'another') },
    (view) => { (view['list'] as unknown[])[20] = 'a text that is far away' },
    (view) => { (view['list'] as unknown[]).splice(0, 2, 'in their place', 'a second', 'a third') },
  ]
  for (const change of changes) {
    let failed = 0
    for (let count = 0; ; count++) {
      const arena = new Arena()
      const view = buildJson(arena, { list: [1, 'a text with memory', { b: 2 }], name: 'a text' }) as Tree
      view['put in later, with memory'] = { c: ['x'] }
      arena.failAfter(count)
      let done = true
      try {
        change(view)
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, 'RESOURCE_EXHAUSTED')
        done = false
        failed++
      }
      arena.failAfter(Infinity)
      // Whatever went through before memory ran out: all of it is there, can be gone on with, and can be freed.
      change(view)
      assert.ok(jsonEqual(plain(view), plain(copyGraph(view, new Arena()))))
      release(arena, view)
      assert.equal(arena.live, shapesOf(arena))
      if (done) break
    }
    assert.ok(failed > 0)
  }
})

test('an array finds its own objects, however they were read', () => {
  const arena = new Arena()
  type Item = { n: number }
  const view = buildJson(arena, { items: [{ n: 0 }, [1], { n: 0 }, 'text', 4, null], other: { n: 0 } }) as { items: (Item | number[] | string | number | null)[], other: Item }
  const { items } = view
  const [object, array, twin] = items
  const searched = (value: unknown, ...from: readonly [number?]): readonly unknown[] =>
    [items.indexOf(value as Item, ...from), items.lastIndexOf(value as Item, ...from as [number]), items.includes(value as Item, ...from)]
  assert.deepEqual(searched(object), [0, 0, true])
  assert.deepEqual(searched(array), [1, 1, true])
  assert.deepEqual(searched(twin), [2, 2, true])
  assert.deepEqual(searched(fast(twin as Item)), [2, 2, true])
  assert.deepEqual(searched(view.other), [-1, -1, false])
  assert.deepEqual(searched({ n: 0 }), [-1, -1, false])
  items.push({ n: 9 })
  assert.deepEqual([searched(items[6]), items.lastIndexOf(object!, -7), items.lastIndexOf(object!, -8)], [[6, 6, true], 0, -1])
  items.pop()
  // From where: behind it, before it, from the end.
  assert.deepEqual([searched(array, 2), searched(array, 1), searched(array, -5), searched(array, -4), searched(array, 0)],
    [[-1, 1, false], [1, 1, true], [1, 1, true], [-1, 1, false], [1, -1, true]])
  // What is no object is searched as ever.
  assert.deepEqual([searched('text'), searched(4), searched(null), searched(NaN), searched('text', 4), searched(null, -1)],
    [[3, 3, true], [4, 4, true], [5, 5, true], [-1, -1, false], [-1, 3, false], [5, 5, true]])
  // Outgrown, it lies elsewhere and is the same.
  for (let n = 0; n < 50; n++) (array as number[]).push(n)
  for (let n = 0; n < 50; n++) items.push(null)
  assert.deepEqual([searched(array), searched(items[1])], [[1, 1, true], [1, 1, true]])
  assert.notEqual(items[0], items[0])
  assert.ok(same(items[0] as Item, items[0] as Item))
})
