import type { Cursor } from './order.js'
import { Iteration, type Steps } from '../iteration.js'
import type { Region } from '../../memory/region.js'
import { ACCESS, REGION, WORD } from '../view.js'
import type { MapView } from '../views.js'

/** What the view of anything with keys asks of its codec. */
export interface KeyedAccess {
  sizeOf(region: Region, p: number): number
  get(region: Region, p: number, key: unknown): unknown
  has(region: Region, p: number, key: unknown): boolean
  set(region: Region, p: number, key: unknown, value: unknown): void
  delete(region: Region, p: number, key: unknown): boolean
  clear(region: Region, p: number): void
}

/** What a map's view asks of its codec. */
export interface MapAccess extends KeyedAccess {
  step(region: Region, p: number, cursor: Cursor, part: Part): unknown
}

/** What an iterator gives. */
export type Part = 'keys' | 'values' | 'entries'

/** What maps, sets and sorted maps have in common. */
export class KeyedView<Access extends KeyedAccess> {
  readonly [REGION]: Region
  readonly [WORD]: number
  /** On the prototype of each type's view class. */
  declare readonly [ACCESS]: Access

  constructor(region: Region, word: number) {
    this[REGION] = region
    this[WORD] = word
  }

  get size(): number {
    return this[ACCESS].sizeOf(this[REGION], this[WORD])
  }

  has(key: unknown): boolean {
    return this[ACCESS].has(this[REGION], this[WORD], key)
  }

  delete(key: unknown): boolean {
    return this[ACCESS].delete(this[REGION], this[WORD], key)
  }

  clear(): void {
    this[ACCESS].clear(this[REGION], this[WORD])
  }

  declare readonly toJSON: () => unknown
}

/** What maps and sorted maps have in common. */
export abstract class KeyedValues<Access extends KeyedAccess> extends KeyedView<Access> {
  abstract entries(): Steps<[unknown, unknown]>

  get(key: unknown): unknown {
    return this[ACCESS].get(this[REGION], this[WORD], key)
  }

  set(key: unknown, value: unknown): this {
    this[ACCESS].set(this[REGION], this[WORD], key, value)
    return this
  }

  [Symbol.iterator](): Steps<[unknown, unknown]> {
    return this.entries()
  }

  forEach(visit: (value: unknown, key: unknown, map: this) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this)
  }

  getOrInsert(key: unknown, value: unknown): unknown {
    return this.getOrInsertComputed(key, () => value)
  }

  getOrInsertComputed(key: unknown, make: (key: unknown) => unknown): unknown {
    if (!this.has(key)) this.set(key, make(key))
    return this.get(key)
  }
}

/** The view class of all maps. */
export class SharedMap extends KeyedValues<MapAccess> implements MapView<unknown, unknown> {
  keys(): Steps<unknown> {
    return new Entries(this, 'keys') as unknown as Steps<unknown>
  }

  values(): Steps<unknown> {
    return new Entries(this, 'values') as unknown as Steps<unknown>
  }

  entries(): Steps<[unknown, unknown]> {
    return new Entries(this, 'entries') as unknown as Steps<[unknown, unknown]>
  }
}

/** Walks by sequence number, so entries that move under way are no concern; see entries.ts. */
export class Entries<T> extends Iteration<T> {
  readonly #view: KeyedView<MapAccess>
  readonly #part: Part
  readonly #cursor: Cursor = { sequence: 0, table: 0, id: 0, offset: 0, epoch: 0 }
  #ended = false

  constructor(view: KeyedView<MapAccess>, part: Part) {
    super()
    this.#view = view
    this.#part = part
  }

  next(): IteratorResult<T, undefined> {
    const view = this.#view
    const step = this.#ended ? undefined : view[ACCESS].step(view[REGION], view[WORD], this.#cursor, this.#part)
    if (step === undefined) {
      this.#ended = true
      return { done: true, value: undefined }
    }
    return { done: false, value: (step as { readonly value: T }).value }
  }
}
