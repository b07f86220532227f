import type { Region } from '../../memory/region.js'
import { same, asView, REGION, WORD } from '../view.js'
import type { SequenceView } from '../views.js'

/**
 * What lists and fixed arrays have in common, on top of `length` and `at`, which are generated per element type.
 * Follows Array: everything is read anew at each step, so callbacks may change the sequence.
 */
export abstract class Sequence implements SequenceView<unknown> {
  declare readonly [REGION]: Region
  declare readonly [WORD]: number;
  [index: number]: unknown

  abstract get length(): number
  abstract at(index: number): unknown
  abstract set(index: number, value: unknown): void

  [Symbol.iterator](): IterableIterator<unknown> {
    return this.values()
  }

  values(): IterableIterator<unknown> {
    return new Steps(this, (index) => this.at(index))
  }

  keys(): IterableIterator<number> {
    return new Steps(this, (index) => index)
  }

  entries(): IterableIterator<[number, unknown]> {
    return new Steps(this, (index): [number, unknown] => [index, this.at(index)])
  }

  forEach(visit: (value: unknown, index: number) => void): void {
    for (let i = 0; i < this.length; i++) visit(this.at(i), i)
  }

  map<R>(convert: (value: unknown, index: number) => R): R[] {
    const converted: R[] = []
    for (let i = 0; i < this.length; i++) converted.push(convert(this.at(i), i))
    return converted
  }

  filter(accept: (value: unknown, index: number) => boolean): unknown[] {
    const accepted: unknown[] = []
    for (let i = 0; i < this.length; i++) {
      const value = this.at(i)
      if (accept(value, i)) accepted.push(value)
    }
    return accepted
  }

  find(accept: (value: unknown, index: number) => boolean): unknown {
    for (let i = 0; i < this.length; i++) {
      const value = this.at(i)
      if (accept(value, i)) return value
    }
    return undefined
  }

  findIndex(accept: (value: unknown, index: number) => boolean): number {
    for (let i = 0; i < this.length; i++) if (accept(this.at(i), i)) return i
    return -1
  }

  findLast(accept: (value: unknown, index: number) => boolean): unknown {
    const index = this.findLastIndex(accept)
    return index < 0 ? undefined : this.at(index)
  }

  findLastIndex(accept: (value: unknown, index: number) => boolean): number {
    for (let i = this.length - 1; i >= 0; i--) if (accept(this.at(i), i)) return i
    return -1
  }

  flatMap<R>(convert: (value: unknown, index: number) => R | readonly R[]): R[] {
    return this.map(convert).flat() as R[]
  }

  some(accept: (value: unknown, index: number) => boolean): boolean {
    return this.findIndex(accept) >= 0
  }

  every(accept: (value: unknown, index: number) => boolean): boolean {
    return this.findIndex((value, index) => !accept(value, index)) < 0
  }

  reduce<R>(combine: (sum: R, value: unknown, index: number) => R, initial: R): R {
    let sum = initial
    for (let i = 0; i < this.length; i++) sum = combine(sum, this.at(i), i)
    return sum
  }

  slice(start = 0, end = this.length): unknown[] {
    const { length } = this
    const last = clamp(end, length)
    const region = this[REGION]
    // A peer's list may claim any length: copies of it come out of the budget.
    region.budget -= Math.max(0, last - clamp(start, length))
    if (region.budget < 0) region.spent()
    const taken: unknown[] = []
    for (let i = clamp(start, length); i < last; i++) taken.push(this.at(i))
    return taken
  }

  join(separator = ','): string {
    return this.map((value) => value ?? '').map(String).join(separator)
  }

  indexOf(value: unknown): number {
    const view = asView(value)
    if (view === undefined) return this.findIndex((element) => element === value)
    return this.findIndex((element) => asView(element) !== undefined && same(element as object, view))
  }

  includes(value: unknown): boolean {
    return Number.isNaN(value) ? this.some((element) => Number.isNaN(element)) : this.indexOf(value) >= 0
  }

  toArray(): unknown[] {
    return this.slice()
  }

  declare readonly toJSON: () => unknown
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

class Steps<T> implements IterableIterator<T> {
  readonly #sequence: Sequence
  readonly #read: (index: number) => T
  #next = 0

  constructor(sequence: Sequence, read: (index: number) => T) {
    this.#sequence = sequence
    this.#read = read
  }

  [Symbol.iterator](): this {
    return this
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
    if (index < 0) return false
    ;(receiver as Sequence).set(index, value)
    return true
  },
}))

function indexOfKey(key: string | symbol): number {
  if (typeof key !== 'string' || key.length > 10) return -1
  const index = Number(key)
  return Number.isInteger(index) && index >= 0 && String(index) === key ? index : -1
}
