// Memory that another thread rewrites while it is read: an error or a value, never a crash, a hang or a look outside.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { RpcError } from '../../src/base/errors.js'
import { Heap, HeapSet } from '../../src/memory/index.js'
import {
  array, build, bytes, copyGraph, f64, json, jsonPath, list, locationOf, map, numbers, optional, plain, ref, set, shared, sortedMap, struct, text, textField, u32, union,
} from '../../src/objects/index.js'
import { createMemoryFile, HEAPS_BASE, Mapping, mappingCount } from '../../src/sys/index.js'
import { newSeed } from '../support/random.js'

const BYTES = 4 << 20
const SECONDS = 3
const MAX_NODES = 5000

interface Tree {
  readonly [key: string]: unknown
  readonly list: readonly unknown[]
}
const Item = struct('Item', { id: u32, name: text })
const All = struct('All', {
  name: text, wide: text, raw: bytes, values: numbers(f64), items: list(Item), byName: map(text, Item), byId: map(u32, text), names: set(text), sorted: sortedMap(text, Item),
  pairs: sortedMap([u32, text], u32), any: union({ text, items: list(Item) }), maybe: optional(text), both: shared(map(text, u32)),
  cells: array(Item, 3), doc: json.of<Tree>(), quick: json.fast, get next() { return ref(All) },
})
const name7 = jsonPath('key number 7', 'name')
const nameField = textField(All, 'wide')

test('containers that a second thread rewrites while they are read', async () => {
  const seed = newSeed()
  const fd = createMemoryFile('scribbled', BYTES)
  const mapping = Mapping.map(fd, HEAPS_BASE, BYTES)
  const heaps = new HeapSet((space) => new Heap(mapping.buffer, HEAPS_BASE, 1, space))
  const { region } = heaps
  const item = (id: number): { id: number, name: string } => ({ id, name: `the name of item ${id}` })
  const many = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
  const content = {
    name: 'a name with memory', wide: 'κλειδί και άλλα', raw: new Uint8Array(40).fill(1), values: [1, 2, 3], items: many(20).map(item),
    byName: many(60).map((i) => [`key number ${i}`, item(i)] as const), byId: many(300).map((i) => [i, `text of ${i}`] as const), names: many(20).map((i) => `name number ${i}`),
    sorted: many(200).map((i) => [`key number ${i}`, item(i)] as const), pairs: many(80).map((i) => [[i % 5, `part ${i}`], i] as const),
    any: { kind: 'items' as const, value: [item(1)] }, maybe: 'a text with memory', both: many(30).map((i) => [`key number ${i}`, i] as const), cells: many(3).map(item),
    doc: { name: 'a text with memory', list: [1, 'κλειδί', { deep: [null, 'another text'] }] }, quick: Object.fromEntries(many(20).map((i) => [`key number ${i}`, { name: `text ${i} with memory` }])),
  }
  const all = build(All, heaps, { ...content, next: { ...content } })
  all.both.write((both) => both.set('written', 1))
  const { word } = locationOf(all)
  region.endless = false
  region.allowance = 100_000
  const first = heaps.heaps[0]!.geometry.firstSpan * (heaps.heaps[0]!.geometry.spanBytes >>> 2)
  const control = new SharedArrayBuffer(4)
  const worker = new Worker(new URL('scribbler-main.js', import.meta.url), {
    workerData: { fd, byteLength: BYTES, firstWord: first, words: heaps.stats().ownedBytes >>> 2, control, seed },
  })
  const ended = once(worker, 'exit')
  const state = new Int32Array(control)
  // Not by Atomics.wait: a worker that is starting may need this thread.
  await once(worker, 'message')
  assert.ok(word >= first)
  const looks: ReadonlyArray<() => unknown> = [
    () => plain(all, { maxNodes: MAX_NODES }),
    () => copyGraph(all, heaps, { maxNodes: MAX_NODES, maxBytes: 1 << 20 }),
    () => [all.name, all.wide, all.raw.length, all.values[0], all.maybe, all.any.kind],
    () => [...all.items].slice(0, 100).map(({ id, name }) => [id, name]),
    () => many(20).map((i) => [all.byName.get(`key number ${i}`)?.name, all.byId.get(i), all.names.has(`name number ${i}`), all.sorted.get(`key number ${i}`)?.id]),
    () => take(all.byName), () => take(all.byId), () => take(all.names), () => take(all.sorted), () => take(all.sorted.entries({ prefix: 'key number 1', reverse: true })),
    () => take(all.pairs.keys({ from: [2], to: [3] })),
    () => [nameField.compare(all, all), nameField.hash(all), nameField.startsWith('κλ')(all)],
    () => [...all.cells].map(({ name }) => name), () => plain(all.doc), () => JSON.stringify(all.doc),
    () => ifObject(all.doc, (doc) => [Object.keys(doc), ifObject(Reflect.get(doc, 'list'), (elements) => take(Symbol.iterator in elements ? elements as Iterable<unknown> : []))]),
    () => ifObject(all.quick, (quick) => [name7.startsWith('text 7')(quick), ifObject(Reflect.get(quick, 'key number 3'), (inner) => Reflect.get(inner, 'name') as unknown)]),
    () => all.both.read((both) => take(both), { timeoutMs: 2 }),
  ]
  const outcomes = { values: 0, errors: 0 }
  const end = Date.now() + SECONDS * 1000
  try {
    while (Date.now() < end) {
      for (const look of looks) {
        region.refill()
        try {
          look()
          outcomes.values++
        } catch (error) {
          if (!RpcError.is(error)) throw new Error(`RPCOOL_SEED=${seed}: ${inspect(error)}`, { cause: error })
          outcomes.errors++
        }
      }
    }
  } finally {
    Atomics.store(state, 0, 1)
    await ended
    mapping.unmap()
    closeSync(fd)
  }
  assert.ok(outcomes.values > 100 && outcomes.errors > 100, `${outcomes.values} values, ${outcomes.errors} errors: too few of one to show anything`)
  assert.equal(mappingCount(), 0)
})

/** What lies where json lay may be any value. */
function ifObject<R>(value: unknown, look: (object: object) => R): R | undefined {
  return typeof value === 'object' && value !== null ? look(value) : undefined
}

function take(values: Iterable<unknown>): unknown[] {
  const taken: unknown[] = []
  for (const value of values) {
    taken.push(value)
    if (taken.length === 1000) break
  }
  return taken
}
