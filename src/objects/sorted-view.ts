import type { Region } from '../memory/region.js'
import type { Walk } from './sorted-walk.js'
import { REGION, WORD } from './view.js'
import type { Range, SortedMapView } from './views.js'

/** What a sorted map's view asks of its codec. */
export interface SortedAccess {
  sizeOf(region: Region, p: number): number
  get(region: Region, p: number, key: unknown): unknown
  has(region: Region, p: number, key: unknown): boolean
  set(region: Region, p: number, key: unknown, value: unknown): void
  delete(region: Region, p: number, key: unknown): boolean
  clear(region: Region, p: number): void
  walk(region: Region, p: number, range: Range<unknown>): Walk
  endWalk(walk: Walk): void
  readKey(walk: Walk): unknown
  readValue(walk: Walk): unknown
}

type Part = 'keys' | 'values' | 'entries'

/** The view class of all sorted maps. */
export class SharedSortedMap implements SortedMapView<unknown, unknown> {
  readonly [REGION]: Region
  readonly [WORD]: number
  readonly #access: SortedAccess

  constructor(access: SortedAccess, region: Region, word: number) {
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

  first(range: Range<unknown> = {}): [unknown, unknown] | undefined {
    const entries = this.entries(range)
    const { value } = entries.next() as { readonly value: [unknown, unknown] | undefined }
    entries.return?.()
    return value
  }

  last(range: Range<unknown> = {}): [unknown, unknown] | undefined {
    return this.first({ ...range, reverse: range.reverse !== true })
  }

  count(range: Range<unknown> = {}): number {
    if (Object.keys(range).length === 0) return this.size
    const access = this.#access
    const walk = access.walk(this[REGION], this[WORD], range)
    let count = 0
    while (walk.step()) count++
    access.endWalk(walk)
    return count
  }

  keys(range: Range<unknown> = {}): IterableIterator<unknown> {
    return this.#steps('keys', range)
  }

  values(range: Range<unknown> = {}): IterableIterator<unknown> {
    return this.#steps('values', range)
  }

  entries(range: Range<unknown> = {}): IterableIterator<[unknown, unknown]> {
    return this.#steps('entries', range) as IterableIterator<[unknown, unknown]>
  }

  [Symbol.iterator](): IterableIterator<[unknown, unknown]> {
    return this.entries()
  }

  forEach(visit: (value: unknown, key: unknown) => void): void {
    for (const [key, value] of this.entries()) visit(value, key)
  }

  #steps(part: Part, range: Range<unknown>): IterableIterator<unknown> {
    return new Steps(this.#access, this.#access.walk(this[REGION], this[WORD], range), part)
  }

  declare readonly toJSON: () => unknown
}

class Steps implements IterableIterator<unknown> {
  readonly #access: SortedAccess
  #walk: Walk | null
  readonly #part: Part

  constructor(access: SortedAccess, walk: Walk, part: Part) {
    this.#access = access
    this.#walk = walk
    this.#part = part
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<unknown, undefined> {
    const walk = this.#walk
    if (walk === null) return { done: true, value: undefined }
    if (!walk.step()) return this.return()
    const access = this.#access
    if (this.#part === 'values') return { done: false, value: access.readValue(walk) }
    const key = access.readKey(walk)
    return { done: false, value: this.#part === 'keys' ? key : [key, access.readValue(walk)] }
  }

  /** Called by `for … of` when it is left early. */
  return(): IteratorResult<unknown, undefined> {
    if (this.#walk !== null) this.#access.endWalk(this.#walk)
    this.#walk = null
    return { done: true, value: undefined }
  }
}
