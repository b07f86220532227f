// Secondary indexes, in the server's private memory: no client can spoil them.
import sortedBTree from 'sorted-btree'
import type { Bound, Condition } from './filter.js'
import { hashScalar } from './hash.js'
import { HashPostings } from './hash-postings.js'
import { addAll, countOf, type Postings, withId, withoutId } from './postings.js'
import { SortedNumbers } from './sorted-numbers.js'
import { COMPOUND, type Found, type Scalar } from './values.js'

const { default: BTree } = sortedBTree
type Tree<K> = InstanceType<typeof BTree<K, Postings>>

export type IndexKind = 'hash' | 'ordered'

/** What an index enters a document under: its scalar, or each different scalar of its array. */
type IndexKey = Scalar | readonly Scalar[] | undefined

function bytesOf(key: IndexKey): number {
  if (key === undefined) return 0
  if (typeof key === 'string') return 48 + key.length
  return typeof key === 'object' && key !== null ? key.reduce<number>((sum, one) => sum + bytesOf(one), 48) : 24
}

export abstract class Index {
  /** About what its values take in the process's own memory. */
  bytes = 0

  protected constructor(readonly path: string, readonly kind: IndexKind) {}

  /** Enters a document. */
  abstract add(id: number, found: Found): void
  /** Takes a document out, wherever it was entered: its own memory may have changed since. */
  abstract remove(id: number): void
  /** Whether the index knows which documents may fulfil the condition. */
  abstract serves(condition: Condition): boolean
  /** Bounds how many {@link search} gives. */
  abstract estimate(condition: Condition): number
  /** The ids of documents that may fulfil a condition that it {@link serves}: all that do, and sometimes others. */
  abstract search(condition: Condition): number[]
  /** Whether {@link search} gives only those that fulfil the condition. */
  abstract isExact(condition: Condition): boolean
}

/** Equality. */
export class HashIndex extends Index {
  readonly #postings = new HashPostings()
  /** By id: what the document was entered under. */
  readonly #values: IndexKey[] = []
  /** By id: the document's entry; of one that was entered under a scalar. */
  #entries = new Int32Array(ENTRIES_MIN)
  /** The entries of those that were entered under the elements of arrays. */
  readonly #several = new Map<number, readonly number[]>()
  #hasArrays = false

  constructor(path: string) {
    super(path, 'hash')
  }

  add(id: number, found: Found): void {
    if (found === undefined || found === COMPOUND) {
      this.#values[id] = undefined
      return
    }
    this.#values[id] = found
    this.bytes += bytesOf(found)
    if (typeof found === 'object' && found !== null) {
      this.#hasArrays = true
      this.#several.set(id, Array.from(new Set(found.map(hashScalar)), (hash) => this.#postings.add(hash, id)))
      return
    }
    if (id >= this.#entries.length) this.#makeRoom(id)
    this.#entries[id] = this.#postings.add(hashScalar(found), id)
  }

  remove(id: number): void {
    const value = this.#values[id]
    if (value === undefined) return
    this.#values[id] = undefined
    this.bytes -= bytesOf(value)
    if (typeof value !== 'object' || value === null) {
      this.#postings.remove(this.#entries[id]!)
      return
    }
    for (const entry of this.#several.get(id) ?? []) this.#postings.remove(entry)
    this.#several.delete(id)
  }

  serves({ kind }: Condition): boolean {
    return kind === 'equals' || kind === 'contains'
  }

  isExact({ kind }: Condition): boolean {
    return !this.#hasArrays && kind !== 'contains'
  }

  estimate(condition: Condition): number {
    return condition.kind === 'equals' || condition.kind === 'contains' ? this.#postings.count(hashScalar(condition.value)) : 0
  }

  search(condition: Condition): number[] {
    if (condition.kind !== 'equals' && condition.kind !== 'contains') return []
    const { value } = condition
    const ids = this.#postings.idsOf(hashScalar(value))
    // Others may have the same hash; of arrays only the document tells which elements they have.
    return this.#hasArrays ? ids : ids.filter((id) => this.#values[id] === value)
  }

  #makeRoom(id: number): void {
    const larger = new Int32Array(Math.max(id + 1, this.#entries.length * 2))
    larger.set(this.#entries)
    this.#entries = larger
  }
}

const ENTRIES_MIN = 64

/** Equality, ranges and prefixes. Numbers and texts are ordered each among themselves. */
export class OrderedIndex extends Index {
  readonly #numbers = new SortedNumbers()
  readonly #texts: Tree<string> = new BTree<string, Postings>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0))
  readonly #others = new Map<Scalar, Postings>()
  /** By id: what the document was entered under. */
  readonly #entered: IndexKey[] = []
  /** Whether any was ever entered under the elements of an array, which only the document tells from a scalar. */
  #hasArrays = false

  constructor(path: string) {
    super(path, 'ordered')
  }

  add(id: number, found: Found): void {
    if (found === undefined || found === COMPOUND) {
      this.#entered[id] = undefined
    } else if (typeof found !== 'object' || found === null) {
      this.#enter(found, id)
      this.#entered[id] = found
    } else {
      this.#hasArrays = true
      const keys = [...new Set(found)]
      for (const key of keys) this.#enter(key, id)
      this.#entered[id] = keys
    }
    this.bytes += bytesOf(this.#entered[id])
  }

  remove(id: number): void {
    const entered = this.#entered[id]
    if (entered === undefined) return
    this.#entered[id] = undefined
    this.bytes -= bytesOf(entered)
    if (typeof entered !== 'object' || entered === null) this.#leave(entered, id)
    else for (const key of entered) this.#leave(key, id)
  }

  serves({ kind }: Condition): boolean {
    return kind !== 'exists'
  }

  isExact({ kind }: Condition): boolean {
    return !this.#hasArrays && kind !== 'contains'
  }

  estimate(condition: Condition): number {
    const range = numbersOf(condition)
    if (range !== undefined) return this.#numbers.count(...range)
    if (condition.kind === 'equals' || condition.kind === 'contains') return countOf(this.#get(condition.value))
    // Of a range of texts that is not known without walking it.
    return this.#texts.size
  }

  search(condition: Condition): number[] {
    const ids: number[] = []
    const range = numbersOf(condition)
    if (range !== undefined) this.#numbers.collect(...range, ids)
    else if (condition.kind === 'equals' || condition.kind === 'contains') addAll(this.#get(condition.value), ids)
    else if (condition.kind === 'prefix') collect(this.#texts, { value: condition.value, inclusive: true }, undefined, ids, (key) => key.startsWith(condition.value))
    else if (condition.kind === 'range') collect(this.#texts, condition.low as TextBound, condition.high as TextBound, ids)
    return ids
  }

  #get(key: Scalar): Postings | undefined {
    return typeof key === 'string' ? this.#texts.get(key) : this.#others.get(key)
  }

  #enter(key: Scalar, id: number): void {
    if (typeof key === 'number') this.#numbers.add(key, id)
    // One walk down the tree for a value that is new, as most are.
    else if (typeof key !== 'string') this.#others.set(key, withId(this.#others.get(key), id))
    else if (!this.#texts.setIfNotPresent(key, id)) this.#texts.set(key, withId(this.#texts.get(key), id))
  }

  #leave(key: Scalar, id: number): void {
    if (typeof key === 'number') this.#numbers.delete(key, id)
    else if (typeof key === 'string') update(this.#texts, key, withoutId(this.#texts.get(key), id))
    else update(this.#others, key, withoutId(this.#others.get(key), id))
  }
}

/** The range of numbers that a condition asks for, as {@link SortedNumbers} takes it; undefined when it asks for something else. */
function numbersOf(condition: Condition): [low: number, withLow: boolean, high: number, withHigh: boolean] | undefined {
  if (condition.kind === 'equals' || condition.kind === 'contains') {
    return typeof condition.value === 'number' ? [condition.value, true, condition.value, true] : undefined
  }
  if (condition.kind !== 'range' || typeof (condition.low ?? condition.high)?.value !== 'number') return undefined
  const { low, high } = condition
  return [Number(low?.value ?? -Infinity), low?.inclusive !== false, Number(high?.value ?? Infinity), high?.inclusive !== false]
}

interface TextBound extends Bound { readonly value: string }

function update<K>(table: { set(key: K, postings: Postings): unknown, delete(key: K): unknown }, key: K, postings: Postings | undefined): void {
  if (postings === undefined) table.delete(key)
  else table.set(key, postings)
}

/** The ids of a range of keys, in order, as long as `goesOn`. */
function collect<K extends number | string>(
  tree: Tree<K>, low: (Bound & { readonly value: K }) | undefined, high: (Bound & { readonly value: K }) | undefined, ids: number[],
  goesOn: (key: K) => boolean = () => true,
): void {
  const from = low?.value ?? tree.minKey()
  const to = high?.value ?? tree.maxKey()
  if (from === undefined || to === undefined) return
  tree.forRange(from, to, high?.inclusive !== false, (key, postings) => {
    if (low?.inclusive === false && key === low.value) return undefined
    if (!goesOn(key)) return { break: 1 }
    addAll(postings, ids)
    return undefined
  })
}
