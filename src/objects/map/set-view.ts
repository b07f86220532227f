import { RpcError } from '../../base/errors.js'
import { Iteration, type Steps } from '../iteration.js'
import { KeptValues } from '../text/budget.js'
import { ACCESS, asView, REGION, WORD } from '../view.js'
import type { SetLike, SetView } from '../views.js'
import { Entries, KeyedView, type MapAccess } from './view.js'

/** The view class of all sets. */
export class SharedSet extends KeyedView<MapAccess> implements SetView<unknown> {
  add(key: unknown): this {
    this[ACCESS].set(this[REGION], this[WORD], key, undefined)
    return this
  }

  keys(): Steps<unknown> {
    return new Entries(this, 'keys') as unknown as Steps<unknown>
  }

  values(): Steps<unknown> {
    return this.keys()
  }

  entries(): Steps<[unknown, unknown]> {
    return new Pairs(this.keys()) as unknown as Steps<[unknown, unknown]>
  }

  [Symbol.iterator](): Steps<unknown> {
    return this.keys()
  }

  forEach(visit: (key: unknown, again: unknown, set: this) => void): void {
    for (const key of this.keys()) visit(key, key, this)
  }

  // The order of the results is that of the language: of the smaller set where only common keys are wanted.

  union(other: SetLike<unknown>): Set<unknown> {
    return new Set([...keysOf(this), ...keysOf(requireSet(other))])
  }

  intersection<L>(other: SetLike<L>): Set<L> {
    const [walked, asked] = this.size <= requireSet(other).size ? [this, other] : [other, this]
    return new Set(taken(keysOf(walked), (key) => asked.has(key as L)) as Iterable<L>)
  }

  difference(other: SetLike<unknown>): Set<unknown> {
    requireSet(other)
    return new Set(taken(keysOf(this), (key) => !other.has(key)))
  }

  symmetricDifference(other: SetLike<unknown>): Set<unknown> {
    return new Set([...this.difference(other), ...taken(keysOf(other), (key) => !this.has(key))])
  }

  isSubsetOf(other: SetLike<unknown>): boolean {
    return this.size <= requireSet(other).size && !some(this, (key) => !other.has(key))
  }

  isSupersetOf(other: SetLike<unknown>): boolean {
    return this.size >= requireSet(other).size && !some(keysOf(other), (key) => !this.has(key))
  }

  isDisjointFrom(other: SetLike<unknown>): boolean {
    const [walked, asked] = this.size <= requireSet(other).size ? [this, other] : [other, this]
    return !some(keysOf(walked), (key) => asked.has(key))
  }
}

class Pairs<K> extends Iteration<[K, K]> {
  readonly #keys: Iterator<K>

  constructor(keys: Iterator<K>) {
    super()
    this.#keys = keys
  }

  next(): IteratorResult<[K, K], undefined> {
    const step = this.#keys.next()
    return step.done === true ? { done: true, value: undefined } : { done: false, value: [step.value, step.value] }
  }
}

function requireSet(other: SetLike<unknown>): SetLike<unknown> {
  const { size, has, keys } = Object(other) as Partial<SetLike<unknown>>
  if (typeof size !== 'number' || typeof has !== 'function' || typeof keys !== 'function') {
    throw new RpcError('INVALID_ARGUMENT', 'a set is compared with a Set, a Map, or a view of one; of another iterable make one by new Set(…)')
  }
  return other
}

/** They need not be iterable by themselves; left early, they are told, as the language does. */
function* keysOf(set: SetLike<unknown>): Iterable<unknown> {
  const region = asView(set)?.[REGION]
  const kept = new KeptValues()
  for (const key of { [Symbol.iterator]: () => set.keys() }) yield kept.keep(key, region)
}

function* taken(keys: Iterable<unknown>, accept: (key: unknown) => boolean): Iterable<unknown> {
  for (const key of keys) if (accept(key)) yield key
}

function some(keys: Iterable<unknown>, accept: (key: unknown) => boolean): boolean {
  for (const key of keys) if (accept(key)) return true
  return false
}
