import type { Region } from '../memory/region.js'
import { REGION, WORD } from './view.js'
import type { MapView, SetView } from './views.js'

/** What a map's view asks of its codec. */
export interface MapAccess {
  sizeOf(region: Region, p: number): number
  get(region: Region, p: number, key: unknown): unknown
  has(region: Region, p: number, key: unknown): boolean
  set(region: Region, p: number, key: unknown, value: unknown): void
  delete(region: Region, p: number, key: unknown): boolean
  clear(region: Region, p: number): void
  step(region: Region, p: number, cursor: { sequence: number, index: number }, part: 'keys' | 'values' | 'entries'): unknown
}

/** The view class of all maps. */
export class SharedMap implements MapView<unknown, unknown> {
  readonly [REGION]: Region
  readonly [WORD]: number
  readonly #access: MapAccess

  constructor(access: MapAccess, region: Region, word: number) {
    this.#access = access
    this[REGION] = region
    this[WORD] = word
  }

  get size(): number {
    return this.#access.sizeOf(this[REGION], this[WORD])
  }

  get(key: unknown): unknown {
    return this.#access.get(this[REGION], this[WORD], key)
  }

  has(key: unknown): boolean {
    return this.#access.has(this[REGION], this[WORD], key)
  }

  set(key: unknown, value: unknown): this {
    this.#access.set(this[REGION], this[WORD], key, value)
    return this
  }

  delete(key: unknown): boolean {
    return this.#access.delete(this[REGION], this[WORD], key)
  }

  clear(): void {
    this.#access.clear(this[REGION], this[WORD])
  }

  keys(): IterableIterator<unknown> {
    return new Steps(this.#access, this[REGION], this[WORD], 'keys')
  }

  values(): IterableIterator<unknown> {
    return new Steps(this.#access, this[REGION], this[WORD], 'values')
  }

  entries(): IterableIterator<[unknown, unknown]> {
    return new Steps<[unknown, unknown]>(this.#access, this[REGION], this[WORD], 'entries')
  }

  [Symbol.iterator](): IterableIterator<[unknown, unknown]> {
    return this.entries()
  }

  forEach(visit: (value: unknown, key: unknown) => void): void {
    for (const [key, value] of this.entries()) visit(value, key)
  }

  declare readonly toJSON: () => unknown
}

/** The view class of all sets. */
export class SharedSet implements SetView<unknown> {
  readonly [REGION]: Region
  readonly [WORD]: number
  readonly #access: MapAccess

  constructor(access: MapAccess, region: Region, word: number) {
    this.#access = access
    this[REGION] = region
    this[WORD] = word
  }

  get size(): number {
    return this.#access.sizeOf(this[REGION], this[WORD])
  }

  has(key: unknown): boolean {
    return this.#access.has(this[REGION], this[WORD], key)
  }

  add(key: unknown): this {
    this.#access.set(this[REGION], this[WORD], key, undefined)
    return this
  }

  delete(key: unknown): boolean {
    return this.#access.delete(this[REGION], this[WORD], key)
  }

  clear(): void {
    this.#access.clear(this[REGION], this[WORD])
  }

  keys(): IterableIterator<unknown> {
    return new Steps(this.#access, this[REGION], this[WORD], 'keys')
  }

  values(): IterableIterator<unknown> {
    return this.keys()
  }

  *entries(): IterableIterator<[unknown, unknown]> {
    for (const key of this.keys()) yield [key, key]
  }

  [Symbol.iterator](): IterableIterator<unknown> {
    return this.keys()
  }

  forEach(visit: (key: unknown, again: unknown) => void): void {
    for (const key of this.keys()) visit(key, key)
  }

  declare readonly toJSON: () => unknown
}

/** Walks by sequence number, so a table that is rebuilt under way is no concern; see map-table.ts. */
class Steps<T> implements IterableIterator<T> {
  readonly #access: MapAccess
  readonly #region: Region
  readonly #word: number
  readonly #part: 'keys' | 'values' | 'entries'
  readonly #cursor = { sequence: 0, index: 0 }
  #ended = false

  constructor(access: MapAccess, region: Region, word: number, part: 'keys' | 'values' | 'entries') {
    this.#access = access
    this.#region = region
    this.#word = word
    this.#part = part
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<T, undefined> {
    const step = this.#ended ? undefined : this.#access.step(this.#region, this.#word, this.#cursor, this.#part)
    if (step === undefined) {
      this.#ended = true
      return { done: true, value: undefined }
    }
    return { done: false, value: (step as { readonly value: T }).value }
  }
}
