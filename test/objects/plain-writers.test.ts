// Containers that are not shared, written by threads at once and read beside them: ARCHITECTURE's rows of what belongs to one writer. Values may be lost
// or be errors; nothing else happens.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { addressHigh, addressLow, type Address } from '../../src/base/numbers.js'
import { RpcError } from '../../src/base/errors.js'
import { Heap, HeapSet } from '../../src/memory/index.js'
import {
  addressOf, array, assign, build, bytes, cellOf, copyGraph, f64, json, list, map, numbers, optional, plain, release, set, sortedMap, struct, text, u32, union, type View,
} from '../../src/objects/index.js'
import { createMemoryFile, HEAPS_BASE, Mapping, mappingCount } from '../../src/sys/index.js'
import { newSeed, Random } from '../support/random.js'

const BYTES = 8 << 20
const MS = 1200
const ALLOWANCE = 50_000
const MAX_NODES = 4000

const Part = struct('WritersPart', { id: u32, name: text })
const All = struct('WritersAll', {
  name: text, raw: bytes, values: numbers(f64), texts: list(text), parts: list(Part), counts: map(text, u32), byId: map(u32, Part), seen: set(text), order: sortedMap(text, Part),
  grid: array(text, 3), maybe: optional(text), any: union({ text, part: Part, list: list(text) }), doc: json.of<Tree>(),
})
interface Tree {
  [key: string]: unknown
  list: unknown[]
}
type All = View<typeof All>

const part = (id: number): { id: number, name: string } => ({ id, name: `the name of part ${id}` })
const word = (n: number): string => `${'word '.repeat(n % 9)}number ${n}`

const changes: ReadonlyArray<(all: All, n: number) => unknown> = [
  (all, n) => { all.name = word(n) }, (all, n) => { all.raw = new Uint8Array(n % 200).fill(n) }, (all, n) => assign(all, { values: Array.from({ length: n % 30 }, () => n) }),
  ({ texts }, n) => texts.push(word(n), word(n + 1)), ({ texts }) => texts.splice(0, 3), ({ texts }) => { if (texts.length > 60) texts.length = 20 }, ({ texts }) => { texts.reverse() }, ({ texts }, n) => { if (n % 9 < texts.length) texts[n % 9] = word(n) },
  ({ parts }, n) => parts.push(part(n)), ({ parts }) => parts.shift(), ({ parts }, n) => {
    const one = parts.at(n % 7)
    if (one !== undefined) one.name = word(n)
  }, (all) => { if (all.parts.length > 50) all.parts.clear() },
  ({ counts }, n) => counts.set(word(n), n), ({ counts }, n) => counts.delete(word(n)), ({ counts }) => { if (counts.size > 300) counts.clear() },
  ({ byId }, n) => byId.set(n % 400, part(n)), ({ byId }, n) => byId.delete(n % 400), ({ seen }, n) => seen.add(word(n)), ({ seen }, n) => seen.delete(word(n)),
  ({ order }, n) => order.set(word(n), part(n)), ({ order }, n) => order.delete(word(n)), ({ order }) => { if (order.size > 300) order.clear() },
  ({ grid }, n) => grid.set(n % 3, word(n)), ({ grid }) => { grid.reverse() }, (all, n) => { all.maybe = n % 2 === 0 ? undefined : word(n) },
  (all, n) => { all.any = n % 3 === 0 ? { kind: 'text', value: word(n) } : n % 3 === 1 ? { kind: 'part', value: part(n) } : { kind: 'list', value: [word(n)] as never } },
  ({ doc }, n) => { doc[`key ${n % 40}`] = { n, text: word(n) } }, ({ doc }, n) => delete doc[`key ${n % 40}`], ({ doc }, n) => doc.list.push(word(n), { n }), ({ doc }) => { if (doc.list.length > 40) doc.list.length = 5 },
  ({ doc }) => doc.list.splice(1, 2), (all, n) => { if (n % 50 === 0) assign(all, { doc: { list: [word(n)] } }) },
]

/** What lies where json or a part lay may be any value, or none. */
const GONE = /undefined|null|not a function|not iterable|Cannot (?:convert|create property|set propert|assign to read only property 'length' of string)|'set' on proxy|trap returned falsish/

function isFine(error: unknown): boolean {
  return RpcError.is(error) || (error instanceof TypeError && GONE.test(error.message))
}

function enter(fd: number, member: number): { readonly mapping: Mapping, readonly heaps: HeapSet } {
  const mapping = Mapping.map(fd, HEAPS_BASE, BYTES)
  const heaps = new HeapSet((space) => new Heap(mapping.buffer, HEAPS_BASE, member, space))
  heaps.region.endless = false
  heaps.region.allowance = ALLOWANCE
  return { mapping, heaps }
}

function rootIn(heaps: HeapSet, address: Address): All {
  heaps.region.refill()
  return cellOf(All).read(heaps.region, addressLow(address) | 0, addressHigh(address)) as All
}

function take(values: Iterable<unknown>): unknown[] {
  const taken: unknown[] = []
  for (const value of values) if (taken.push(value) === 1000) break
  return taken
}

const looks: ReadonlyArray<(all: All, heaps: HeapSet) => unknown> = [
  (all) => plain(all, { maxNodes: MAX_NODES }), (all) => JSON.stringify(plain(all.doc, { maxNodes: MAX_NODES })), (all) => [all.name, all.raw.length, all.values.length, all.maybe, all.any.kind, ...all.grid],
  (all) => take(all.texts), (all) => take(all.parts).map((one) => (one as { name: string }).name), (all) => take(all.counts), (all) => take(all.byId), (all) => take(all.seen), (all) => take(all.order.entries({ reverse: true })),
  (all) => Array.from({ length: 30 }, (_, n) => [all.counts.get(word(n)), all.byId.get(n)?.name, all.seen.has(word(n)), all.order.get(word(n))?.id]), (all) => Object.keys(all.doc).map((key) => inspect(all.doc[key])),
  (all, heaps) => release(heaps, copyGraph(all, heaps, { maxNodes: MAX_NODES, maxBytes: 1 << 18 })),
]

if (isMainThread) {
  for (const writers of [1, 2, 3]) {
    test(`${writers} ${writers === 1 ? 'thread writes containers that are' : 'threads at once write containers that are'} not shared while they are read`, async (t) => {
      const seed = newSeed()
      const fd = createMemoryFile('writers', BYTES)
      const { mapping, heaps } = enter(fd, 1)
      const address = addressOf(build(All, heaps, { name: '', raw: new Uint8Array(), values: [], grid: ['', '', ''], doc: { list: [] } }))
      // Whether it is over, and how many changes each has made.
      const control = new SharedArrayBuffer(4 * (writers + 1))
      const state = new Int32Array(control)
      const running = Array.from({ length: writers }, (_, i) => new Worker(new URL(import.meta.url), { workerData: { fd, member: i + 2, address, control, seed: seed + i } }))
      const reports = running.map(async (one) => (await once(one, 'message') as [{ done: number, errors: number, fault?: string }])[0])
      const ended = running.map((one) => once(one, 'exit'))
      const isBusy = (): boolean => running.every((_, i) => Atomics.load(state, i + 1) > 500)
      const outcomes = { values: 0, errors: 0 }
      const read = (look: (typeof looks)[number]): void => {
        try {
          look(rootIn(heaps, address), heaps)
          outcomes.values++
        } catch (error) {
          if (!isFine(error)) throw new Error(`RPCOOL_SEED=${seed}: ${inspect(error)}`, { cause: error })
          outcomes.errors++
        }
      }
      try {
        for (const end = Date.now() + MS; (Date.now() < end || outcomes.values < 200 || !isBusy()) && Atomics.load(state, 0) === 0;) {
          for (const look of looks) read(look)
          await new Promise((resolve) => setImmediate(resolve))
        }
      } finally {
        Atomics.store(state, 0, 1)
        for (const report of reports) {
          const { done, errors, fault } = await report
          t.diagnostic(`a writer: ${done} changes, ${errors} errors`)
          assert.equal(fault, undefined, `RPCOOL_SEED=${seed}`)
          // Beside readers one writer finds everything as it left it.
          if (writers === 1) assert.equal(errors, 0)
        }
        await Promise.all(ended)
        mapping.unmap()
        closeSync(fd)
      }
      t.diagnostic(`reading: ${outcomes.values} values, ${outcomes.errors} errors`)
      assert.equal(mappingCount(), 0)
    })
  }
} else {
  const { fd, member, address, control, seed } = workerData as { readonly fd: number, readonly member: number, readonly address: Address, readonly control: SharedArrayBuffer, readonly seed: number }
  const { mapping, heaps } = enter(fd, member)
  const random = new Random(seed)
  const state = new Int32Array(control)
  const report: { done: number, errors: number, fault?: string } = { done: 0, errors: 0 }
  const work = (): void => {
    for (let i = 0; i < 200 && report.fault === undefined; i++) {
      const change = random.one(changes)
      const n = random.below(1000)
      try {
        change(rootIn(heaps, address), n)
        report.done++
        Atomics.add(state, member - 1, 1)
      } catch (error) {
        report.errors++
        if (isFine(error)) continue
        report.fault = `${String(change)}: ${inspect(error)}`
        Atomics.store(state, 0, 1)
      }
    }
    if (Atomics.load(state, 0) === 0 && report.fault === undefined) setImmediate(work)
    else {
      // What was overwritten is given back before the memory goes.
      heaps.collect()
      mapping.unmap()
      parentPort!.postMessage(report)
    }
  }
  work()
}
