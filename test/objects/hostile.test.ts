// A peer writes anything anywhere in memory it may write: reading must end in a value or an RpcError, and soon.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import {
  addressOf, array, bool, build, bytes, cellOf, copyGraph, f64, i64, json, jsonPath, list, locationOf, map, numbers, optional, plain, readInto, ref, release, safeU64, set, shared, sortedMap, struct, text, textField,
  u32, u8, union, unsafeBytes, unsafeNumbers, type View, viewAt,
} from '../../src/objects/index.js'
import { RpcError } from '../../src/base/errors.js'
import { NEAR_TEXT } from '../../src/layout/json-layout.js'
import { Arena } from '../support/arena.js'
import { changing, lastUsed, onlyRpcErrors, randomSource, spoil } from './spoiling.js'

const Part = struct('Part', { id: u8, size: safeU64, name: text, wide: i64 })
const Thing = struct('Thing', {
  name: text, wide: text, flag: bool, number: f64, parts: list(Part), raw: bytes, byName: map(text, Part), byId: map(u32, text), note: optional(text),
  any: union({ part: Part, text, list: list(text), map: map(text, u32), n: f64 }), grid: array(text, 2), small: list(u8), tags: set(text),
  sorted: sortedMap(text, Part), get pairs() { return sortedMap([u32, text], ref(Thing)) }, get children() { return list(Thing) },
  values: numbers(f64), cells: array(Part, 2), doc: json.of<Tree>(), quick: json.fast,
  get next() { return ref(Thing) }, get others() { return list(ref(Thing)) },
})
type Thing = View<typeof Thing>
interface Tree {
  [key: string]: unknown
  list: unknown[]
}
const deepPath = jsonPath('inner', 'name')
const nameField = textField(Thing, 'wide')

const MAX_NODES = 3000
const ALLOWANCE = 20_000

function makeThing(depth: number): object {
  const part = (id: number): object => ({ id, size: id * 1000, name: `the name of part ${id}`, wide: -5n })
  return {
    name: `thing number ${depth}`, wide: `κλειδί ${depth}`, flag: true, number: depth / 2, parts: [part(1), part(2)], raw: new Uint8Array(20).fill(depth),
    byName: new Map([['first', part(3)], ['a key with memory', part(4)]]), byId: new Map([[1, 'one'], [2, 'the second value']]), note: 'a note with memory',
    any: { kind: ['part', 'text', 'list', 'map'][depth % 4], value: [part(5), 'a text', ['x', 'another text'], new Map([['k', 1]])][depth % 4] },
    grid: ['a', 'a second text'], small: [1, 2, 3, 4, 5], tags: ['x', 'a tag with memory'],
    sorted: Array.from({ length: depth > 3 ? 120 : 3 }, (_, i) => [`key number ${i * 7 % 120}`, part(i)]), pairs: [[[1, 'one'], null], [[2, 'a text in a key'], null]],
    children: depth > 2 ? [makeThing(0)] : [], next: depth === 0 ? null : makeThing(depth - 1),
    others: [null], values: [1.5, 2, depth], cells: [part(6), part(7)],
    doc: { name: 'a text with memory', list: [1, null, 'κλειδί', { n: depth }], inner: { name: 'κλειδί of a document' } },
    quick: { inner: { name: 'another text with memory' }, many: Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`key ${i} of many`, i])) },
  }
}

const reads: ReadonlyArray<readonly [string, (thing: Thing) => void]> = [
  ['plain', (thing) => plain(thing, { maxNodes: MAX_NODES })],
  ['inspect', (thing) => inspect(thing, { depth: 4 })],
  ['walk', (thing) => {
    for (let n: Thing | null = thing; n !== null; n = n.next) assert.equal(typeof n.name, 'string')
  }],
  ['lists', (thing) => {
    let left = MAX_NODES
    for (const part of thing.parts) {
      assert.equal(typeof part.id, 'number')
      if (--left === 0) break
    }
    thing.small.at(-1)
    inspect(thing.parts.at(1)?.name.length)
    thing.others.indexOf(thing)
  }],
  ['maps', (thing) => {
    inspect(thing.byName.get('a key with memory')?.name.length)
    thing.byName.has('nobody has this key')
    thing.byId.get(2)
    let left = MAX_NODES
    for (const [key, value] of thing.byId) {
      assert.equal(typeof key + typeof value, 'numberstring')
      if (--left === 0) break
    }
  }],
  ['sets and sorted maps', (thing) => {
    thing.tags.has('a tag with memory')
    thing.sorted.get('key number 77')
    thing.pairs.get([2, 'a text in a key'])
    let left = MAX_NODES
    for (const range of [{}, { reverse: true }, { prefix: 'key number 5' }, { from: 'key number 3', before: 'key number 7' }]) {
      for (const [key, part] of thing.sorted.entries(range)) {
        assert.equal(typeof key + typeof part.id, 'stringnumber')
        if (--left < 0) break
      }
    }
    for (const tag of thing.tags) {
      assert.equal(typeof tag, 'string')
      if (--left < 0) break
    }
  }],
  ['texts', (thing) => {
    nameField.compare(thing, thing)
    nameField.startsWith('thing')(thing)
    nameField.hash(thing)
  }],
  ['bytes', (thing) => thing.raw.length + unsafeBytes(thing, 'raw').length],
  ['union', (thing) => thing.any.kind.length],
  ['numbers', (thing) => {
    readInto(thing, 'values', new Float64Array(8))
    unsafeNumbers(thing, 'values').reduce((sum, one) => sum + one, thing.values.length)
  }],
  ['arrays', (thing) => {
    for (const { id, name } of thing.cells) assert.equal(typeof id + typeof name, 'numberstring')
    thing.grid.map((one) => one.length)
  }],
  ['json', (thing) => {
    onlyRpcErrors(0, 'json text', () => JSON.stringify(thing.doc))
    const doc: unknown = thing.doc
    if (typeof doc !== 'object' || doc === null) return
    onlyRpcErrors(0, 'json path', () => deepPath.startsWith('κ')(doc))
    inspect(Object.keys(doc).length)
    const list: unknown = Reflect.get(doc, 'list')
    let left = MAX_NODES
    if (Array.isArray(list)) for (const element of list) if (--left === 0 || element === thing) break
  }],
  ['fast json', (thing) => {
    const quick = thing.quick as { readonly inner?: { readonly name?: unknown } | null, readonly many?: Readonly<Record<string, unknown>> | null } | undefined | null
    inspect([typeof quick?.inner?.name, typeof quick?.many?.['key 7 of many']])
    if (typeof quick === 'object' && quick !== null) deepPath.between('a', 'z')(quick)
  }],
  ['copy', (thing) => copyGraph(thing, new Arena(1 << 20), { maxNodes: MAX_NODES })],
]

const writes: ReadonlyArray<readonly [string, (thing: Thing, arena: Arena) => void]> = [
  ['text', (thing) => { thing.name = 'a new name with memory' }],
  ['push', (thing) => thing.parts.push({ id: 1, size: 2, name: 'a pushed part', wide: 0n })],
  ['push small', (thing) => thing.small.push(1, 2, 3)],
  ['splice', (thing) => thing.children.splice(0, 1)],
  ['pop', (thing) => thing.others.pop()],
  ['list', (thing) => { thing.parts = [] as never }],
  ['map set', (thing) => thing.byName.set('a new key with memory', { id: 1, size: 2, name: 'new', wide: 0n })],
  ['map delete', (thing) => thing.byId.delete(2)],
  ['set add', (thing) => thing.tags.add('a new tag with memory')],
  ['sorted set', (thing) => {
    for (let i = 0; i < 40; i++) thing.sorted.set(`key number ${i * 3}`, { id: 1, size: 2, name: 'a new part of it', wide: 0n })
  }],
  ['sorted delete', (thing) => {
    for (let i = 0; i < 120; i++) thing.sorted.delete(`key number ${i}`)
  }],
  ['sorted clear', (thing) => thing.sorted.clear()],
  ['map clear', (thing) => thing.byName.clear()],
  ['union', (thing) => { thing.any = { kind: 'text', value: 'a new text with memory' } }],
  ['optional', (thing) => { thing.note = undefined }],
  ['array', (thing) => thing.grid.set(1, 'another text in the grid')],
  ['numbers', (thing) => { thing.values = [1, 2, 3, 4] as never }],
  ['bytes', (thing) => { thing.raw = new Uint8Array(30) }],
  ['an element of an array', (thing) => thing.cells.set(1, { id: 1, size: 2, name: 'a new part in an array', wide: 0n })],
  ['json', (thing) => {
    const doc: unknown = thing.doc
    if (typeof doc !== 'object' || doc === null) return
    Reflect.set(doc, 'name', 'another text with memory')
    const list: unknown = Reflect.get(doc, 'list')
    if (Array.isArray(list)) list.push({ more: ['a text with memory'] })
    Reflect.deleteProperty(doc, 'inner')
  }],
  ['json, whole', (thing) => { thing.quick = { all: ['new', 'a text with memory'] } }],
  ['release', (thing, arena) => release(arena, thing)],
  ['deep release', (thing, arena) => release(arena, thing, { deep: true })],
]

const template = new Arena(1 << 17)
const root = build(Thing, template, makeThing(4) as never)
const { region: original, word } = locationOf(root)
const used = lastUsed(original)

test('any bytes are safe to read', () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const arena = new Arena(1 << 17)
    const { region } = arena
    region.i32.set(original.i32)
    spoil(region, used, randomSource(seed))
    region.endless = false
    region.allowance = ALLOWANCE
    onlyRpcErrors(seed, 'open', () => {
      const thing = cellOf(Thing).read(region, region.lowOf(word), region.high) as Thing
      for (const [what, read] of reads) {
        // Formatting for people is slow, and no part of the library.
        if (what === 'inspect' && seed % 20 !== 0) continue
        region.refill()
        onlyRpcErrors(seed, what, () => read(thing))
      }
    })
  }
})

test('bytes that change between any two reads are safe', () => {
  for (let seed = 1; seed <= 220; seed++) {
    const arena = new Arena(1 << 17)
    const { region } = arena
    region.i32.set(original.i32)
    region.endless = false
    region.allowance = ALLOWANCE
    const random = randomSource(seed)
    const restless = changing(region, () => {
      if (random(40) === 0) spoil(region, used, random)
    })
    for (const [what, read] of reads) {
      region.i32.set(original.i32)
      region.refill()
      onlyRpcErrors(seed, what, () => read(cellOf(Thing).read(restless, region.lowOf(word), region.high) as Thing))
    }
  }
})

test('assigning and releasing over any bytes ends in an error or not, and the allocator refuses what is not a live block', () => {
  for (let seed = 1; seed <= 1100; seed++) {
    const random = randomSource(seed)
    const arena = new Arena(1 << 17)
    const thing = build(Thing, arena, makeThing(4) as never)
    const { region } = arena
    spoil(region, used, random)
    region.endless = false
    region.allowance = ALLOWANCE
    for (let i = 0; i < 4; i++) {
      const [what, write] = writes[random(writes.length)]!
      region.refill()
      onlyRpcErrors(seed, what, () => write(thing, arena))
    }
  }
})

test('a map whose index is full of entries that are not meant ends its search', () => {
  const Big = struct('Big', { m: map(u32, u32) })
  const arena = new Arena(8 << 20)
  const big = build(Big, arena, { m: new Map(Array.from({ length: 50_000 }, (_, i) => [i, i])) })
  const { region, word: holder } = locationOf(big)
  const at = (place: number): number => region.resolve(region.i32[place + 1]!, region.i32[place]!, 2)
  const table = at(holder + 2)
  const directory = at(table + 8)
  for (let i = 0; i < 2 ** (region.i32[table + 4]! - 1); i++) {
    const segment = at(directory + i * 2)
    for (let slot = 0; slot < region.i32[segment + 1]!; slot++) {
      region.i32[segment + 2 + slot * 2] = region.high | slot << 16
      region.i32[segment + 3 + slot * 2] = region.lowOf(table)
    }
  }
  assert.equal(big.m.get(100_000), undefined)
  assert.throws(() => big.m.set(100_000, 1), { code: 'INVALID_ARGUMENT', message: /index/ })
  assert.equal(big.m.size, 50_000)
})

test('a map whose chunks lead round in circles, lie over each other, or hold removed entries only, is looked at no longer than its memory is', () => {
  const One = struct('One', { m: map(text, u32) })
  const HEADERS = 1 << 17
  const ENTRY = 6
  const RECORDS = HEADERS + 2000 * 16
  const WORDS = 5000 * ENTRY
  // Of each chunk the next one, from 1 on; its first entry, a removed one, leads over the other chunks to entries that all have in common.
  const shapes = {
    'its own successor': [1], 'two that lead to each other': [2, 1], 'one over the other': Array.from({ length: 2000 }, (_, i) => (i + 2) % 2001),
  }
  for (const [shape, links] of Object.entries(shapes)) {
    const arena = new Arena(1 << 20)
    const one = build(One, arena, { m: [['k', 1]] })
    const { region, word } = locationOf(one)
    const { i32 } = region
    const at = (place: number): number => region.resolve(i32[place + 1]!, i32[place]!, 2)
    const table = at(word + 2)
    const directory = RECORDS + WORDS
    for (let offset = RECORDS; offset < RECORDS + WORDS; offset += ENTRY) i32.set([0, ENTRY], offset)
    for (const [i, next] of links.entries()) {
      const start = HEADERS + i * 16
      const end = RECORDS + WORDS - start
      i32.set([next, 0, end, 0, end, 0, 1000, 0, 0, RECORDS - start - 8], start)
      i32.set([region.lowOf(start), region.high], directory + i * 2)
    }
    i32.set([1 << 20, 1 << 20], table + 5)
    i32.set([region.lowOf(directory), region.high], table + 10)
    i32.set([1, links.length], table + 12)
    let looks = 0
    const view = viewAt(One, changing(region, () => {
      looks++
    }), addressOf(one))
    const most = region.words * 4
    for (const [work, limit] of [
      [() => view.m.get('nope'), 20_000], [() => [...view.m], most], [() => copyGraph(view, new Arena(1 << 20)), most], [() => release(arena, view), most * 2],
    ] as const) {
      looks = 0
      assert.throws(work, { code: 'INVALID_ARGUMENT', message: /a map is damaged/ }, shape)
      assert.ok(looks < limit, `${shape}: ${String(work)} looked at ${looks} words`)
    }
    // Where no chunk says that it has younger entries, the search for one ends as well.
    for (const i of links.keys()) i32[HEADERS + i * 16 + 6] = 0
    looks = 0
    assert.throws(() => [...view.m], { code: 'INVALID_ARGUMENT', message: /a map is damaged/ }, shape)
    assert.ok(looks < most)
  }
})

test('what an iteration or copy of a map passes over counts as what it visits', () => {
  const Two = struct('Two', { m: map(u32, u32) })
  const arena = new Arena(1 << 20)
  const two = build(Two, arena, { m: Array.from({ length: 6000 }, (_, i) => [i, i] as const) })
  const { region, word } = locationOf(two)
  const table = region.resolve(region.i32[word + 3]!, region.i32[word + 2]!, 16)
  const chunk = 1 << 17
  // The first chunk becomes one of removed entries.
  for (let at = chunk + 8; at + 6 <= chunk + 30_008; at += 6) region.i32.set([0, 6], at)
  const directory = region.resolve(region.i32[table + 11]!, region.i32[table + 10]!, 2)
  region.i32.set([2, 0, 30_008, 0, 30_008, 0, 1, 0], chunk)
  region.i32.set([region.lowOf(chunk), region.high], directory)
  region.endless = false
  region.allowance = 4000
  region.refill()
  assert.throws(() => two.m.keys().next(), /more than 4000 pointers/)
  // So do chunks that an iteration passes over to find its place again: all of them say that they have no younger entries.
  for (let id = 0; region.i32[directory + id * 2] !== 0 && id < 60; id++) region.i32[region.resolve(region.i32[directory + id * 2 + 1]!, region.i32[directory + id * 2]!, 8) + 6] = 0
  region.allowance = 40
  region.refill()
  assert.throws(() => two.m.keys().next(), /more than 40 pointers/)
  region.endless = true
  region.i32[table] = 100
  assert.throws(() => copyGraph(two, new Arena(1 << 20), { maxNodes: 4000 }), { code: 'RESOURCE_EXHAUSTED', message: /4000/ })
})

test('a sorted map whose nodes lead to the same ones again and again is walked no longer than its memory is', () => {
  const Many = struct('Many', { m: sortedMap(u32, u32) })
  const arena = new Arena(1 << 18)
  const many = build(Many, arena, { m: Array.from({ length: 5000 }, (_, i) => [i, i] as const) })
  const { region, word } = locationOf(many.m)
  const { i32 } = region
  const root = region.resolve(i32[word + 1]!, i32[word]!, 2)
  const capacity = i32[root + 1]!
  assert.equal(i32[root]! >>> 16, 2)
  const children = root + 2 + capacity * 5
  for (let i = 1; i <= capacity; i++) i32.copyWithin(children + i * 2, children, children + 2)
  i32[root] = capacity | 2 << 16
  i32[word + 2] = -1
  for (const reverse of [true, false]) assert.throws(() => many.m.count({ reverse }), { code: 'INVALID_ARGUMENT', message: /a sorted map is damaged/ })
})

function inOrder(values: { sort(): unknown }): unknown {
  return values.sort()
}

test('cells that all lead to one long text make no more private memory than the heap has, whatever goes through all of them', () => {
  const long = 'x'.repeat(100_000)
  const Row = struct('AimedRow', { list: list(text), blocks: list(bytes), body: json.of<Record<string, unknown>>(), wide: json.of<unknown[]>(), nested: list(list(text)), few: list(text) })
  const arena = new Arena(1 << 21)
  const names = Array.from({ length: 200 }, (_, i) => `a text with memory, number ${i}`)
  const row = build(Row, arena, {
    list: [long, ...names], blocks: [Buffer.from(long), ...names.map((name) => Buffer.from(name))],
    body: Object.fromEntries([long, ...names].map((name) => [name, 1])), wide: [long, ...names],
    nested: names.map((name) => [name]),
  })
  const honest = plain(row)
  assert.deepEqual([honest.list.length, honest.blocks.length, Object.keys(honest.body).length, honest.wide.length], [201, 201, 201, 201])
  assert.doesNotThrow(() => [JSON.stringify(row), Object.keys(row.body), { ...row.body }, inOrder(row.wide), inOrder(row.list), row.blocks.slice(), row.list.join(), row.nested.flat(), row.nested.join()])
  // Every cell whose text has a record is aimed at the first of its kind, in all of memory: cells of texts and bytes, and those of json.
  const { i32, high } = arena.region
  const aim = (same: (hi: number, lo: number) => boolean, target: (at: number) => boolean): number => {
    const cells: number[] = []
    for (let at = 0; at + 1 < i32.length; at += 2) if (same(i32[at + 1]!, i32[at]!)) cells.push(at)
    const first = cells.find(target)!
    for (const cell of cells) i32.copyWithin(cell, first, first + 2)
    return cells.length
  }
  const headOf = (at: number): number => i32[(i32[at]! & ~3) - arena.region.low >>> 2] ?? 0
  const isNear = aim((hi) => hi >> 16 === NEAR_TEXT, (at) => headOf(at) === long.length)
  const isFar = aim((hi, lo) => hi === high && (lo & 7) === 0 && [...names, long].some((name) => i32[lo - arena.region.low >>> 2] === name.length), (at) => headOf(at) === long.length)
  assert.ok(isNear >= 400 && isFar >= 400, `${isNear} and ${isFar} cells were aimed`)
  const walks: ReadonlyArray<readonly [string, () => unknown]> = [
    ['plain of a list', () => plain(row.list)], ['plain of blocks', () => plain(row.blocks)], ['of all', () => plain(row)], ['JSON.stringify of all', () => JSON.stringify(row)],
    ['plain of json', () => plain(row.wide)], ['stringify of json', () => JSON.stringify(row.wide)], ['sort', () => inOrder(row.wide)], ['splice', () => row.wide.splice(0)],
    ['toArray', () => row.list.toArray()], ['slice of blocks', () => row.blocks.slice()], ['filter', () => row.list.filter(() => true)], ['join', () => row.list.join()], ['toLocaleString', () => (row.list as unknown as unknown[]).toLocaleString()],
    ['sort of a list', () => inOrder(row.list)], ['splice of a list', () => row.list.splice(0)], ['flat', () => row.nested.flat()], ['concat', () => row.few.concat(row.list)], ['join of lists', () => row.nested.join()],
    ['plain of keys', () => plain(row.body)], ['keys', () => Object.keys(row.body)], ['a further key', () => { for (let i = 0; i < 300; i++) row.body[`further ${i}`] = i }],
  ]
  for (const [name, walk] of walks) assert.throws(walk, (error) => RpcError.is(error) && error.code === 'INVALID_ARGUMENT' && /many of its cells lead to one text/.test(error.message), name)
})

test('keys of a set that all lead to one long text make no set larger than the heap', () => {
  const Keys = struct('AimedKeys', { keys: set(text) })
  const arena = new Arena(1 << 20)
  const { keys } = build(Keys, arena, { keys: [...Array.from({ length: 100 }, (_, i) => `${i}`.padStart(300)), 'x'.repeat(100_000)] })
  assert.equal(keys.union(new Set(['a'])).size, 102)
  const { i32, high, low } = arena.region
  const cells = Array.from(i32.keys()).filter((at) => at % 2 === 0 && i32[at + 1] === high && [300, 100_000].includes(i32[i32[at]! - low >>> 2]!))
  const long = cells.find((at) => i32[i32[at]! - low >>> 2] === 100_000)!
  for (const cell of cells) i32.copyWithin(cell, long, long + 2)
  assert.ok(cells.length >= 101)
  for (const ask of [() => keys.union(new Set()), () => keys.difference(new Set()), () => keys.symmetricDifference(new Set())]) assert.throws(ask, /many of its cells lead to one text/)
})

test('something shared that leads to a long text many others lead to, too, makes no more private memory than the heap has', () => {
  const Cup = struct('Cup', { name: text })
  const Tray = struct('Tray', { cups: list(shared(Cup)) })
  const arena = new Arena(1 << 20)
  const names = ['x'.repeat(100_000), ...Array.from({ length: 100 }, (_, i) => `a text with memory, number ${i}`)]
  const { cups } = build(Tray, arena, { cups: names.map((name) => ({ name })) })
  assert.equal(plain(cups).length, 101)
  const { i32 } = arena.region
  const [first = 0, ...others] = Array.from(cups, (cup) => cup.read((content) => locationOf(content).word + 2))
  for (const other of others) i32.copyWithin(other, first, first + 2)
  assert.equal(cups[100]!.read(({ name }) => name.length), 100_000)
  for (const walk of [() => plain(cups), () => JSON.stringify(cups)]) assert.throws(walk, { code: 'INVALID_ARGUMENT', message: /many of its cells lead to one text/ })
})
