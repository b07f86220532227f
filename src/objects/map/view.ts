import type { Cursor } from './entries.js'
import type { Region } from '../../memory/region.js'
import { ACCESS, REGION, WORD } from '../view.js'
import type { MapView, SetView } from '../views.js'

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
  abstract entries(): IterableIterator<[unknown, unknown]>

  get(key: unknown): unknown {
    return this[ACCESS].get(this[REGION], this[WORD], key)
  }

  set(key: unknown, value: unknown): this {
    this[ACCESS].set(this[REGION], this[WORD], key, value)
    return this
  }

  [Symbol.iterator](): IterableIterator<[unknown, unknown]> {
    return this.entries()
  }

  forEach(visit: (value: unknown, key: unknown) => void): void {
    for (const [key, value] of this.entries()) visit(value, key)
  }
}

/** The view class of all maps. */
export class SharedMap extends KeyedValues<MapAccess> implements MapView<unknown, unknown> {
  keys(): IterableIterator<unknown> {
    return new Steps(this, 'keys')
  }

  values(): IterableIterator<unknown> {
    return new Steps(this, 'values')
  }

  entries(): IterableIterator<[unknown, unknown]> {
    return new Steps<[unknown, unknown]>(this, 'entries')
  }
}

/** The view class of all sets. */
export class SharedSet extends KeyedView<MapAccess> implements SetView<unknown> {
  add(key: unknown): this {
    this[ACCESS].set(this[REGION], this[WORD], key, undefined)
    return this
  }

  keys(): IterableIterator<unknown> {
    return new Steps(this, 'keys')
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
}

/** Walks by sequence number, so entries that move under way are no concern; see entries.ts. */
class Steps<T> implements IterableIterator<T> {
  readonly #view: KeyedView<MapAccess>
  readonly #part: Part
  readonly #cursor: Cursor = { sequence: 0, id: 0, offset: 0, epoch: 0 }
  #ended = false

  constructor(view: KeyedView<MapAccess>, part: Part) {
    this.#view = view
    this.#part = part
  }

  [Symbol.iterator](): this {
    return this
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
