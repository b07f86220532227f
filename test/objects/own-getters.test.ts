// Getters, iterators and callbacks are the caller's code, and may change the very container that they are called for.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, assign, build, f64, list, locationOf, numbers, plain, ref, release, sortedMap, struct, text, u32, u8, type ListView } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'
import { changing } from './spoiling.js'

const Item = struct('Item', { id: u32, name: text })
const Holder = struct('Holder', { items: list(Item), lists: list(list(text)), fixed: array(Item, 2) })

/** A plain item whose getter does something first. */
function meddling(id: number, meddle: () => void): { readonly id: number, readonly name: string } {
  return {
    id,
    get name() {
      meddle()
      return `the name of item ${id}`
    },
  }
}

function item(id: number): { readonly id: number, readonly name: string } {
  return { id, name: `the name of item ${id}` }
}

test('what the getters of a new value do to its list is kept, and nothing is lost or freed twice', () => {
  const changes: ReadonlyArray<readonly [name: string, expected: readonly number[], change: (holder: ReturnType<typeof make>) => void]> = [
    ['push', [0, 1, 10, 11, 12, 13, 14, 9], ({ items }) => items.push(meddling(9, once(() => items.push(...[10, 11, 12, 13, 14].map(item)))))],
    ['push onto what was cleared', [9], ({ items }) => items.push(meddling(9, () => items.clear()))],
    ['splice', [9], ({ items }) => items.splice(0, 1, meddling(9, once(() => items.shift())))],
    ['assignment', [9], (holder) => assign(holder, { items: [meddling(9, once(() => assign(holder, { items: [10, 11].map(item) })))] })],
    ['assignment of an iterator that empties it', [0, 1], (holder) => assign(holder, { items: taking(() => holder.items.shift()) })],
    ['set', [0, 9, 10], ({ items }) => { items.set(1, meddling(9, once(() => items.set(1, item(8))))); items.push(item(10)) }],
  ]
  for (const [name, expected, change] of changes) {
    const arena = new Arena(1 << 16)
    const holder = make(arena)
    change(holder)
    assert.deepEqual(plain(holder.items).map(({ id }) => id), expected, name)
    assert.ok(plain(holder.items).every(({ id, name: one }) => one === `the name of item ${id}`), name)
    release(arena, holder)
    arena.assertEmpty()
  }
})

test('an element whose place moves while its new value is made is not set, and says so', () => {
  const arena = new Arena(1 << 16)
  const holder = make(arena)
  const { items, lists } = holder
  assert.throws(() => items.set(0, meddling(9, () => items.push(item(7)))), { code: 'ABORTED', sentence: /was changed by a getter/ })
  assert.throws(() => items.set(2, meddling(9, () => items.pop())), { code: 'ABORTED' })
  assert.throws(() => { items.sort((a, b) => items.push(item(8)) - a.id + b.id) }, { code: 'INVALID_ARGUMENT', message: /was changed while it was sorted/ })
  assert.deepEqual(plain(items).map(({ id }) => id), [0, 1, 8])
  assert.throws(() => items.set(1, meddling(9, () => items.clear())), { code: 'ABORTED' })
  assert.equal(items.length, 0)
  assert.throws(() => lists.set(0, taking(() => {
    lists.push(['another'])
    return lists.length > 3 ? undefined : 'x'
  })), { code: 'ABORTED' })
  assert.deepEqual(plain(lists), [['a'], ['another'], ['another'], ['another']])
  release(arena, holder)
  arena.assertEmpty()
})

test('of each kind of element: one whose list is emptied while its new value is made is not stored anywhere', () => {
  const Node = struct('GetterNode', { value: u32 })
  const Kinds = struct('GetterKinds', { numbers: list(numbers(f64)), refs: list(ref(Node)), sorted: list(sortedMap(text, u32)), points: list(Node) })
  const first = { numbers: [[1, 2]], refs: [{ value: 1 }], sorted: [[['a', 1]]], points: [{ value: 1 }, { value: 2 }] } as const
  const node = (meddle: () => void): { readonly value: number } => ({ get value() { meddle(); return 5 } })
  const changes: Readonly<Record<keyof typeof first, (kinds: ReturnType<typeof build<typeof Kinds>>, meddle: () => void) => unknown>> = {
    numbers: (kinds, meddle) => kinds.numbers.set(0, taking(giving(meddle, 7)) as never),
    refs: (kinds, meddle) => kinds.refs.set(0, node(meddle)),
    sorted: (kinds, meddle) => kinds.sorted.set(0, taking(giving(meddle, ['z', 5] as const)) as never),
    points: (kinds, meddle) => kinds.points.set(0, node(meddle)),
  }
  for (const [name, change] of Object.entries(changes)) {
    const arena = new Arena(1 << 16)
    const kinds = build(Kinds, arena, first as never)
    const field = kinds[name as keyof typeof first]
    const targets = kinds.refs.toArray()
    assert.throws(() => change(kinds, () => field.clear()), { code: 'ABORTED', sentence: /was changed by a getter/ }, name)
    assert.deepEqual(plain(kinds), { ...plain(build(Kinds, new Arena(), first as never)), [name]: [] }, name)
    release(arena, kinds)
    for (const target of targets) release(arena, target!)
    arena.assertEmpty()
  }
})

test('what is pushed comes behind what its getters push, and into memory that its getters have not given back', () => {
  const Point = struct('GetterPoint', { x: u32 })
  const Points = struct('GetterPoints', { points: list(Point) })
  const arena = new Arena(1 << 16)
  const { points } = build(Points, arena, { points: [{ x: 1 }, { x: 2 }] })
  points.push({ x: 3 })
  points.push({ get x() { if (points.length === 3) points.push({ x: 4 }); return 5 } })
  assert.deepEqual(plain(points), [1, 2, 3, 4, 5].map((x) => ({ x })))
  points.push({ get x() { points.clear(); return 6 } })
  assert.deepEqual(plain(points), [{ x: 6 }])
  points.clear()
})

test('numbers that an iterator replaces while they are replaced are freed once', () => {
  const Series = struct('GetterSeries', { values: numbers(f64) })
  const arena = new Arena(1 << 16)
  const series = build(Series, arena, { values: [1, 2] })
  assign(series, { values: taking(giving(() => assign(series, { values: [3, 4] }), 5)) })
  assert.deepEqual([...series.values], [5])
  release(arena, series)
  arena.assertEmpty()
})

test('a walk that a getter goes on with, of the sorted map that its value is put into, stands where it stood', () => {
  const Sorted = struct('GetterSorted', { map: sortedMap(text, struct('GetterEntry', { x: u32 })) })
  const { map } = build(Sorted, new Arena(1 << 16), { map: ['c', 'd', 'e', 'f', 'g'].map((key) => [key, { x: 1 }] as const) })
  const walk = map.keys()
  const met: string[] = []
  map.set('b', { get x() { met.push(walk.next().value!); return 2 } })
  assert.deepEqual([...met, ...walk], ['c', 'd', 'e', 'f', 'g'])
})

test('what is found from behind is what was accepted, whatever has come into its place', () => {
  const { items } = build(Holder, new Arena(1 << 16), { items: [item(0), item(1), item(2)], fixed: [item(0), item(1)] })
  const Numbers = struct('GetterNumbers', { values: list(u32) })
  const { values } = build(Numbers, new Arena(1 << 16), { values: [1, 2, 3] })
  assert.equal(values.findLast((value, i) => { values.set(i, 99); return value === 2 }), 2)
  assert.deepEqual(plain(items.findLast(({ id }) => id === 1)), item(1))
  // Of what a callback takes out nothing is visited, as from the front.
  const visited: number[] = []
  assert.equal(values.findLastIndex((_value, i) => { visited.push(i); values.length = Math.min(values.length, 1); return false }), -1)
  assert.deepEqual(visited, [2, 0])
})

test('a list that becomes short as soon as somebody has read how long it is, is no longer than it is then', () => {
  const Short = struct('GetterShort', { values: list(u8) })
  const questions: ReadonlyArray<readonly [name: string, ask: (values: ListView<number>) => unknown]> = [
    ['slice', (values) => values.slice()], ['findLastIndex', (values) => values.findLastIndex(() => false)], ['reduceRight', (values) => values.reduceRight(() => 0, 0)],
    ['reverse', (values) => { values.reverse() }], ['splice', (values) => values.splice(0)],
  ]
  for (const [name, ask] of questions) {
    const arena = new Arena(1 << 16)
    const short = build(Short, arena, { values: [1, 2, 3] })
    const { region, word } = locationOf(short.values)
    let looks = 0
    const restless = changing(region, (at) => {
      if (at === word + 2) region.i32[at] = looks++ === 0 ? 1 << 22 : 3
    })
    const values = Reflect.construct(short.values.constructor, [restless, word]) as ListView<number>
    try {
      ask(values)
    } catch (error) {
      assert.match(String(error), /INVALID_ARGUMENT|RESOURCE_EXHAUSTED/, name)
    }
    assert.ok(looks < 100, `${name} looked ${looks} times`)
  }
})

test('lists that lie over each other are flattened only as far as the budget goes', () => {
  const Lists = struct('GetterLists', { lists: list(list(u8)) })
  const arena = new Arena(1 << 20)
  const { lists } = build(Lists, arena, { lists: [Array.from({ length: 5000 }, () => 1), [], []] })
  const { region, word } = locationOf(lists)
  const start = region.resolve(region.i32[word + 1]!, region.i32[word]!, 2)
  for (const i of [1, 2]) for (let k = 0; k < 4; k++) region.i32[start + i * 4 + k] = region.i32[start + k]!
  assert.equal(lists.flat().length, 15_000)
  region.endless = false
  region.allowance = 6000
  for (const ask of [() => lists.flat(), () => lists.flatMap((one) => one as unknown as number[])]) {
    region.refill()
    assert.throws(ask, /more than 6000 pointers/)
  }
})

test('what callbacks add is not visited, and what they take out is not either', () => {
  const arena = new Arena(1 << 16)
  const visits = (go: (items: ReturnType<typeof make>['items'], visit: () => boolean) => unknown): number => {
    const holder = make(arena)
    let count = 0
    go(holder.items, () => {
      if (++count < 50) holder.items.push(item(100 + count))
      return false
    })
    release(arena, holder)
    return count
  }
  assert.equal(visits((items, visit) => { items.forEach(visit) }), 2)
  assert.equal(visits((items, visit) => items.map(visit)), 2)
  assert.equal(visits((items, visit) => items.filter(visit)), 2)
  assert.equal(visits((items, visit) => items.find(visit)), 2)
  assert.equal(visits((items, visit) => items.some(visit)), 2)
  assert.equal(visits((items, visit) => items.every(() => !visit())), 2)
  assert.equal(visits((items, visit) => items.reduce(() => visit(), false)), 2)
  const { items } = make(arena)
  let visited = 0
  items.forEach(() => {
    visited++
    items.clear()
  })
  assert.equal(visited, 1)
})

function make(arena: Arena): ReturnType<typeof build<typeof Holder>> {
  return build(Holder, arena, { items: [item(0), item(1)], lists: [['a']], fixed: [item(0), item(1)] })
}

function once(work: () => unknown): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    work()
  }
}

/** Gives a value once, having done something first. */
function giving<T>(work: () => void, value: T): () => T | undefined {
  let done = false
  return () => {
    if (done) return undefined
    done = true
    work()
    return value
  }
}

function* taking<T>(take: () => T | undefined): Generator<T> {
  for (let value = take(); value !== undefined; value = take()) yield value
}
