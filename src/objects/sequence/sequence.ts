import type { Region } from '../../memory/region.js'
import { RpcError } from '../../base/errors.js'
import { Iteration, type Steps } from '../iteration.js'
import type { AnyType } from '../codec.js'
import { MAX_WALK_NODES } from '../limits.js'
import { KeptValues } from '../text/budget.js'
import { same, asView, REGION, TYPE, WORD } from '../view.js'
import type { SequenceView } from '../views.js'

/** A byte of what is no text is at most 2^4 characters long in print. */
const PRINTED_BITS = 4

/**
 * What lists and fixed arrays have in common, on top of `length` and `at`, which are generated per element type.
 * Follows Array: each element is read when its turn comes, so callbacks may change the sequence; what they add is not visited.
 */
export abstract class Sequence implements SequenceView<unknown> {
  declare readonly [REGION]: Region
  declare readonly [WORD]: number;
  [index: number]: unknown

  abstract get length(): number
  abstract at(index: number): unknown
  abstract set(index: number, value: unknown): void

  [Symbol.iterator](): Steps<unknown> {
    return this.values()
  }

  values(): Steps<unknown> {
    return new Indexed(this, (index) => this.at(index)) as unknown as Steps<never>
  }

  keys(): Steps<number> {
    return new Indexed(this, (index) => index) as unknown as Steps<never>
  }

  entries(): Steps<[number, unknown]> {
    return new Indexed(this, (index): [number, unknown] => [index, this.at(index)]) as unknown as Steps<never>
  }

  forEach(visit: Visit<this, void>): void {
    const { length } = this
    for (let i = 0; i < length && i < this.length; i++) visit(this.at(i), i, this)
  }

  map<R>(convert: Visit<this, R>): R[] {
    const { length } = this
    const converted: R[] = []
    for (let i = 0; i < length && i < this.length; i++) converted.push(convert(this.at(i), i, this))
    return converted
  }

  filter(accept: Visit<this, boolean>): unknown[] {
    const { length } = this
    const kept = new KeptValues()
    const accepted: unknown[] = []
    for (let i = 0; i < length && i < this.length; i++) {
      const value = this.at(i)
      if (accept(value, i, this)) accepted.push(kept.keep(value, this[REGION]))
    }
    return accepted
  }

  find(accept: Visit<this, boolean>): unknown {
    const { length } = this
    for (let i = 0; i < length && i < this.length; i++) {
      const value = this.at(i)
      if (accept(value, i, this)) return value
    }
    return undefined
  }

  findIndex(accept: Visit<this, boolean>): number {
    return firstIndex(this, 0, accept)
  }

  findLast(accept: Visit<this, boolean>): unknown {
    // Read once: what is given back is what was accepted.
    let found: unknown
    lastIndex(this, this.length - 1, (value, index) => {
      if (!accept(value, index, this)) return false
      found = value
      return true
    })
    return found
  }

  findLastIndex(accept: Visit<this, boolean>): number {
    return lastIndex(this, this.length - 1, accept)
  }

  flat(depth = 1): unknown[] {
    return flattened([], this, depth)
  }

  flatMap<R>(convert: Visit<this, R | readonly R[]>): R[] {
    return flattened([], this.map(convert), 1) as R[]
  }

  concat(...others: readonly unknown[]): unknown[] {
    return flattened(this.slice(), others, 1)
  }

  some(accept: Visit<this, boolean>): boolean {
    return this.findIndex(accept) >= 0
  }

  every(accept: Visit<this, boolean>): boolean {
    return this.findIndex((value, index) => !accept(value, index, this)) < 0
  }

  reduce(combine: Combine<this>, ...initial: readonly unknown[]): never {
    const { length } = this
    const first = initial.length > 0 ? 0 : requireOne(this)
    let sum = (initial.length > 0 ? initial[0] : this.at(0)) as never
    for (let i = first; i < length && i < this.length; i++) sum = combine(sum, this.at(i), i, this) as never
    return sum
  }

  reduceRight(combine: Combine<this>, ...initial: readonly unknown[]): never {
    const last = this.length - (initial.length > 0 ? 1 : 1 + requireOne(this))
    let sum = (initial.length > 0 ? initial[0] : this.at(last + 1)) as never
    lastIndex(this, last, (value, index) => {
      sum = combine(sum, value, index, this) as never
      return false
    })
    return sum
  }

  slice(start = 0, end = this.length): unknown[] {
    const { length } = this
    const last = clamp(end, length)
    spend(this, Math.max(0, last - clamp(start, length)))
    const kept = new KeptValues()
    const region = this[REGION]
    const taken: unknown[] = []
    for (let i = clamp(start, length); i < last; i++) {
      const value = this.at(i)
      if (value === undefined && i >= this.length) break
      taken.push(typeof value === 'number' ? value : kept.keep(value, region))
    }
    return taken
  }

  with(index: number, value: unknown): unknown[] {
    const { length } = this
    const at = unusualIndex(index, length)
    if (at < 0) throw new RpcError('OUT_OF_RANGE', `with: there is no element ${String(index)} of ${length}`)
    const changed = this.slice()
    changed[at] = value
    return changed
  }

  toReversed(): unknown[] {
    return this.slice().toReversed()
  }

  toSorted(compare?: (a: unknown, b: unknown) => number): unknown[] {
    return this.slice().toSorted(compare)
  }

  toSpliced(...args: readonly unknown[]): unknown[] {
    const changed = this.slice()
    changed.splice(...args as [start: number, count: number, ...values: unknown[]])
    return changed
  }

  join(separator = ','): string {
    return joined(this, separator, new KeptValues())
  }

  toString(): string {
    return this.join()
  }

  toLocaleString(...args: readonly never[]): string {
    const kept = new KeptValues()
    return this.map((value) => (kept.keep(value, this[REGION]) as { toLocaleString(...args: readonly never[]): string } | null | undefined)?.toLocaleString(...args) ?? '').join(',')
  }

  indexOf(value: unknown, start = 0): number {
    return firstIndex(this, clamp(start, this.length), isElement(value))
  }

  lastIndexOf(value: unknown, ...from: readonly number[]): number {
    const { length } = this
    const start = from.length === 0 ? length - 1 : Math.trunc(from[0]!) || 0
    return lastIndex(this, start < 0 ? length + start : Math.min(start, length - 1), isElement(value))
  }

  includes(value: unknown, start = 0): boolean {
    const from = clamp(start, this.length)
    return Number.isNaN(value) ? firstIndex(this, from, (element) => Number.isNaN(element)) >= 0 : this.indexOf(value, from) >= 0
  }

  toArray(): unknown[] {
    return this.slice()
  }

  declare readonly toJSON: () => unknown
}

type Visit<S, R> = (value: unknown, index: number, sequence: S) => R
type Combine<S> = (sum: never, value: unknown, index: number, sequence: S) => unknown

// Functions, and not private methods: views are made without this class's constructor.

function firstIndex<S extends Sequence>(sequence: S, start: number, accept: Visit<S, boolean>): number {
  const { length } = sequence
  for (let i = start; i < length && i < sequence.length; i++) if (accept(sequence.at(i), i, sequence)) return i
  return -1
}

function lastIndex<S extends Sequence>(sequence: S, start: number, accept: Visit<S, boolean>): number {
  // What was there at the start may be gone, and there may have been less of it than a peer said.
  for (let i = start; i >= 0; i = Math.min(i, sequence.length) - 1) if (i < sequence.length && accept(sequence.at(i), i, sequence)) return i
  return -1
}

/** A peer's list may claim any length: copies of it come out of the budget. */
function spend(sequence: Sequence, elements: number): void {
  const region = sequence[REGION]
  region.budget -= elements
  if (region.budget < 0) region.spent()
}

function joined(sequence: Sequence, separator: string, kept: KeptValues): string {
  const region = sequence[REGION]
  return sequence.map((value) => printed(value, region, kept)).join(separator)
}

/** As Array.join prints an element. It is counted as the memory that it was read from: numbers may be longer in print, and that is nobody's fault. */
function printed(value: unknown, region: Region, kept: KeptValues): string {
  if (typeof value === 'string') return kept.keep(value, region)
  const view = asView(value)
  if (view instanceof Sequence) {
    kept.keep(view, region, view.length)
    return joined(view, ',', kept)
  }
  const print = ([value] as Array<string | null | undefined>).join()
  if (typeof value !== 'object') return print
  return kept.keep(print, region, ArrayBuffer.isView(value) ? value.byteLength : print.length >>> PRINTED_BITS)
}

function requireOne(sequence: Sequence): number {
  if (sequence.length === 0) throw new RpcError('INVALID_ARGUMENT', 'there are no elements to reduce: give an initial value')
  return 1
}

/** Whether an element is the value: views are, when they have one address. */
function isElement(value: unknown): (element: unknown) => boolean {
  const view = asView(value)
  return view === undefined ? (element) => element === value : (element) => asView(element) !== undefined && same(element as object, view)
}

/**
 * Appends values, and in the place of arrays and sequences, as deep as told, their elements. A peer's lists may lie over each other, so that together
 * they are longer than their memory.
 */
function flattened(into: unknown[], values: Iterable<unknown>, depth: number, kept = new KeptValues(), most = into.length + MAX_WALK_NODES): unknown[] {
  const region = values instanceof Sequence ? values[REGION] : undefined
  if (values instanceof Sequence) spend(values, values.length)
  for (const value of values) {
    if (depth >= 1 && (Array.isArray(value) || asView(value) instanceof Sequence)) flattened(into, value as Iterable<unknown>, depth - 1, kept, most)
    else if (into.push(kept.keep(value, region)) > most) throw new RpcError('RESOURCE_EXHAUSTED', `more than ${MAX_WALK_NODES} elements of sequences in sequences: go through them one by one`)
  }
  return into
}

/** An index as Array.slice takes it: from the end when negative, and kept within the ends. */
export function clamp(index: number, length: number): number {
  const whole = Math.trunc(index) || 0
  return whole < 0 ? Math.max(0, length + whole) : Math.min(whole, length)
}

/** The element meant by an index that is not plainly inside: counted from the end, or -1 for none. */
export function unusualIndex(index: unknown, length: number): number {
  const whole = Math.trunc(Number(index)) || 0
  const from = whole < 0 ? length + whole : whole
  return from >= 0 && from < length ? from : -1
}

class Indexed<T> extends Iteration<T> {
  readonly #sequence: Sequence
  readonly #read: (index: number) => T
  #next = 0

  constructor(sequence: Sequence, read: (index: number) => T) {
    super()
    this.#sequence = sequence
    this.#read = read
  }

  next(): IteratorResult<T, undefined> {
    if (this.#next >= this.#sequence.length) {
      this.#next = Infinity
      return { done: true, value: undefined }
    }
    return { done: false, value: this.#read(this.#next++) }
  }
}

// `sequence[i]` is served by a Proxy at the far end of the prototype chain: names found before it, that is all methods,
// cost nothing extra. Region and word have a place on the prototype, so that setting them does not travel to the Proxy.
Object.defineProperty(Sequence.prototype, REGION, { value: null, writable: true })
Object.defineProperty(Sequence.prototype, WORD, { value: 0, writable: true })
Object.setPrototypeOf(Sequence.prototype, new Proxy(Object.create(Object.prototype) as object, {
  get(target, key, receiver): unknown {
    const index = indexOfKey(key)
    return index < 0 ? Reflect.get(target, key, receiver) : (receiver as Sequence).at(index)
  },
  set(_target, key, value, receiver): boolean {
    const index = indexOfKey(key)
    // The library ties things to views by symbols.
    if (typeof key === 'symbol') return Reflect.defineProperty(receiver as object, key, { value, writable: true, configurable: true })
    if (index < 0) {
      const { label } = (receiver as { readonly [TYPE]: AnyType })[TYPE]
      throw new RpcError('INVALID_ARGUMENT', `${label} has no property "${key}" to be set: its elements are at 0, 1 …`)
    }
    ;(receiver as Sequence).set(index, value)
    return true
  },
}))

function indexOfKey(key: string | symbol): number {
  if (typeof key !== 'string' || key.length > 10) return -1
  const index = Number(key)
  return Number.isInteger(index) && index >= 0 && String(index) === key ? index : -1
}
