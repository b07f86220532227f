// Something shared of every kind, whose bytes, lock, sequence and journal included, a peer has spoiled: read, written, copied and freed by a member.
import { addressHigh, addressLow } from '../../../src/base/numbers.js'
import { Heap, HeapSet } from '../../../src/memory/index.js'
import {
  addressOf, bytes, build, cellOf, copyGraph, json, list, locationOf, map, numbers, f64, optional, plain, release, set, shared, sortedMap, struct, text, u32, union, type View,
} from '../../../src/objects/index.js'
import { defaultWait } from '../../../src/objects/shared/shared.js'
import { IsolatedArguments } from '../../../src/safety/index.js'
import { HEAPS_BASE } from '../../../src/sys/index.js'
import type { Random } from '../../support/random.js'
import { onlyRpcErrors, type FuzzTarget } from '../target.js'
import { HEAP_BYTES, spoil } from './objects.js'

const Part = struct('FuzzSharedPart', { id: u32, name: text })
const All = struct('FuzzSharedAll', {
  name: text, raw: bytes, values: numbers(f64), note: optional(text), any: union({ text, part: Part }), counts: map(text, u32), parts: list(Part), seen: set(u32),
  order: sortedMap(text, Part), document: json,
})
const Holder = struct('FuzzSharedHolder', { all: shared(All), words: shared(map(text, u32)), log: shared(list(text)) })
type Holder = View<typeof Holder>

/** Whoever meets a lock that is never given back waits for nothing. */
const PATIENCE_MS = 0
const MAX_POINTERS = 2000
const MAX_NODES = 500
/** Members that may be read in a lock: one that died, one that lives, this one. */
const [DEAD, LIVING, OWN] = [1, 2, 3]

const part = (id: number): { id: number, name: string } => ({ id, name: `the name of part ${id}` })
const many = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

class Shared implements FuzzTarget {
  readonly name = 'shared'
  readonly #buffer = new ArrayBuffer(HEAP_BYTES)
  readonly #words = new Int32Array(this.#buffer)
  readonly #image: Int32Array
  readonly #root: number
  /** What may be spoiled: the spans in use, and the three locks, sequences and journals by themselves. */
  readonly #first: number
  readonly #used: number
  readonly #headers: readonly number[]

  constructor() {
    const heaps = new HeapSet((space) => new Heap(this.#buffer, HEAPS_BASE, DEAD, space))
    const [heap] = heaps.heaps as [Heap]
    const holder = build(Holder, heaps, {
      all: {
        name: 'a name with memory', raw: new Uint8Array(30).fill(1), values: [1, 2, 3], note: 'a note with memory', any: { kind: 'part', value: part(1) }, counts: [['one', 1], ['a key with memory', 2]],
        parts: [part(2), part(3)], seen: [1, 2, 3], order: many(70).map((i) => [`key number ${i}`, part(i)] as const), document: { name: 'a text with memory', list: [1, 'another text', { deep: true }] },
      },
      words: many(30).map((i) => [`key number ${i}`, i] as const), log: ['a', 'a text with memory'],
    })
    this.#root = addressOf(holder)
    this.#first = heap.geometry.firstSpan * (heap.geometry.spanBytes >>> 2)
    this.#used = heap.stats().ownedBytes >>> 2
    this.#headers = [holder.all, holder.words, holder.log].map((one) => locationOf(one).word)
    const whole = this.#words.slice()
    // Half of a write: what a member leaves that dies in the middle.
    try {
      holder.all.write((all) => {
        change(all, 5)
        whole.set(this.#words)
        throw new RangeError('enough')
      })
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
    this.#image = whole
  }

  tryCase(random: Random): number {
    this.#words.set(this.#image)
    const isWhole = random.chance(3)
    if (random.chance(2)) spoil(this.#words, this.#first, this.#used, random)
    const header = random.one(this.#headers)
    if (random.chance(2)) this.#words[header] = random.one([0, DEAD, LIVING, OWN, random.nasty()])
    if (isWhole) this.#words[header + 1] = 2 * random.below(9)
    if (random.chance(3)) this.#words[header + random.below(4)] = random.nasty()
    const heaps = new HeapSet((space) => new Heap(this.#buffer, HEAPS_BASE, OWN, space))
    const [heap] = heaps.heaps as [Heap]
    heap.memberDied(DEAD)
    heap.region.endless = false
    heap.region.allowance = MAX_POINTERS
    heap.region.refill()
    const before = defaultWait.timeoutMs
    defaultWait.timeoutMs = PATIENCE_MS
    try {
      const [lo, hi] = [addressLow(this.#root) | 0, addressHigh(this.#root)]
      const holder = (): Holder => cellOf(Holder).read(heap.region, lo, hi) as Holder
      const isolated = new IsolatedArguments(heaps, 1 << 20)
      const ways: readonly (readonly [string, () => unknown])[] = [
        ['read', () => holder().all.read((all) => [all.name, all.raw, all.any.value, all.order.get('key number 7')?.name, [...all.counts].length])],
        ['read of words', () => holder().words.read((words) => take(words))],
        ['write', () => holder().all.write((all) => change(all, random.below(100)))],
        ['write of words', () => holder().words.write((words) => words.set(`key number ${random.below(60)}`, 1))],
        ['write of the log', () => holder().log.write((log) => log.splice(random.below(4), 1, 'another text with memory', 'b'))],
        ['plain', () => plain(holder(), { maxNodes: MAX_NODES })],
        ['copy', () => copyGraph(holder(), heaps, { maxNodes: MAX_NODES, maxBytes: 1 << 17 })],
        ['isolated', () => plain(isolated.fromHeap(cellOf(Holder), heap.region, lo, hi) as Holder, { maxNodes: MAX_NODES })],
        ['free', () => release(heaps, holder())],
      ]
      for (let i = 1 + random.below(3); i > 0; i--) {
        const [what, work] = random.one(ways)
        onlyRpcErrors(what, () => void work())
        heap.region.refill()
      }
      isolated.holding?.release()
    } finally {
      defaultWait.timeoutMs = before
    }
    return 1
  }
}

function change(all: View<typeof All>, n: number): void {
  all.name = `a name of ${n}, with memory`
  all.raw = new Uint8Array(n % 40)
  all.any = n % 2 === 0 ? { kind: 'text', value: `a text of ${n} with memory` } : { kind: 'part', value: part(n) }
  all.note = n % 3 === 0 ? undefined : `a note of ${n} with memory`
  all.counts.set(`key number ${n}`, n)
  all.parts.push(part(n))
  all.seen.add(n)
  all.order.set(`key number ${n} and more`, part(n))
  all.order.delete(`key number ${n}`)
  // What lies where the document lay may be any value.
  const document: unknown = all.document
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return
  Reflect.set(document, `key ${n}`, { n })
  const elements: unknown = Reflect.get(document, 'list')
  if (Array.isArray(elements)) elements.push(n)
}

function take(values: Iterable<unknown>): number {
  let count = 0
  for (const _ of values) if (++count >= MAX_NODES) break
  return count
}

export const sharedTarget = (): FuzzTarget => new Shared()
