import { Iteration, type Steps } from '../iteration.js'
import type { Region } from '../../memory/region.js'
import { KeyedValues, type KeyedAccess, type Part } from '../map/view.js'
import type { Walk } from './walk.js'
import { askFor } from '../watch.js'
import { ACCESS, REGION, WORD } from '../view.js'
import type { Range, SortedMapView } from '../views.js'

/** What a sorted map's view asks of its codec. */
export interface SortedAccess extends KeyedAccess {
  walk(region: Region, p: number, range: Range<unknown>): Walk
  endWalk(walk: Walk): void
  readKey(walk: Walk): unknown
  readValue(walk: Walk): unknown
}

/** The view class of all sorted maps. */
export class SharedSortedMap extends KeyedValues<SortedAccess> implements SortedMapView<unknown, unknown> {
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
    const access = this[ACCESS]
    const walk = access.walk(this[REGION], this[WORD], range)
    let count = 0
    while (walk.step()) count++
    access.endWalk(walk)
    return count
  }

  keys(range: Range<unknown> = {}): Steps<unknown> {
    return this.#steps('keys', range)
  }

  values(range: Range<unknown> = {}): Steps<unknown> {
    return this.#steps('values', range)
  }

  entries(range: Range<unknown> = {}): Steps<[unknown, unknown]> {
    return this.#steps('entries', range) as unknown as Steps<[unknown, unknown]>
  }

  #steps(part: Part, range: Range<unknown>): Steps<unknown> {
    return new Ranged(this, range, part) as unknown as Steps<unknown>
  }
}

class Ranged extends Iteration<unknown> {
  readonly #view: SharedSortedMap
  #walk: Walk | null
  readonly #part: Part

  constructor(view: SharedSortedMap, range: Range<unknown>, part: Part) {
    super()
    this.#view = view
    this.#walk = view[ACCESS].walk(view[REGION], view[WORD], range)
    this.#part = part
  }

  next(): IteratorResult<unknown, undefined> {
    const walk = this.#walk
    if (walk === null) return { done: true, value: undefined }
    askFor(this.#view)
    if (!walk.step()) return this.return()
    const access = this.#view[ACCESS]
    if (this.#part === 'values') return { done: false, value: access.readValue(walk) }
    const key = access.readKey(walk)
    return { done: false, value: this.#part === 'keys' ? key : [key, access.readValue(walk)] }
  }

  /** Called by `for … of` when it is left early. */
  return(): IteratorResult<unknown, undefined> {
    if (this.#walk !== null) this.#view[ACCESS].endWalk(this.#walk)
    this.#walk = null
    return { done: true, value: undefined }
  }
}
