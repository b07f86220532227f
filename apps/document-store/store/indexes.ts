// Secondary indexes, in the server's private memory: no client can spoil them, and V8's own tables are the fastest there are.
import sortedBTree from 'sorted-btree'
import type { Bound, Condition } from './filter.js'
import { addAll, countOf, type Postings, withId, withoutId } from './postings.js'
import { COMPOUND, type Found, type Scalar } from './values.js'

const { default: BTree } = sortedBTree
type Tree<K> = InstanceType<typeof BTree<K, Postings>>

export type IndexKind = 'hash' | 'ordered'

/** What an index enters a document under: its scalar, or each different scalar of its array. */
export type IndexKey = Scalar | readonly Scalar[] | undefined

export abstract class Index {
  /** By id: what the document was entered under. Its own memory may have changed since. */
  readonly #entered: IndexKey[] = []
  /** Whether any document was ever entered under the elements of an array. */
  hasArrays = false

  protected constructor(readonly path: string, readonly kind: IndexKind) {}

  /** Enters a document. */
  add(id: number, found: Found): void {
    if (found === undefined || found === COMPOUND) {
      this.#entered[id] = undefined
    } else if (typeof found !== 'object' || found === null) {
      this.enter(found, id)
      this.#entered[id] = found
    } else {
      this.hasArrays = true
      const keys = [...new Set(found)]
      for (const key of keys) this.enter(key, id)
      this.#entered[id] = keys
    }
  }

  /** Takes a document out, wherever it was entered. */
  remove(id: number): void {
    const entered = this.#entered[id]
    if (entered === undefined) return
    this.#entered[id] = undefined
    if (typeof entered !== 'object' || entered === null) this.leave(entered, id)
    else for (const key of entered) this.leave(key, id)
  }

  /** Whether the index knows which documents may fulfil the condition. */
  abstract serves(condition: Condition): boolean
  /** Bounds how many {@link search} gives. */
  abstract estimate(condition: Condition): number
  /** The ids of documents that may fulfil a condition that it {@link serves}: all that do, and those of arrays beside. */
  abstract search(condition: Condition): number[]
  protected abstract enter(key: Scalar, id: number): void
  protected abstract leave(key: Scalar, id: number): void
}

/** Equality. */
export class HashIndex extends Index {
  readonly #table = new Map<Scalar, Postings>()

  constructor(path: string) {
    super(path, 'hash')
  }

  serves({ kind }: Condition): boolean {
    return kind === 'equals' || kind === 'contains'
  }

  estimate(condition: Condition): number {
    return countOf(this.#find(condition))
  }

  search(condition: Condition): number[] {
    const ids: number[] = []
    addAll(this.#find(condition), ids)
    return ids
  }

  #find(condition: Condition): Postings | undefined {
    return condition.kind === 'equals' || condition.kind === 'contains' ? this.#table.get(condition.value) : undefined
  }

  protected enter(key: Scalar, id: number): void {
    this.#table.set(key, withId(this.#table.get(key), id))
  }

  protected leave(key: Scalar, id: number): void {
    const left = withoutId(this.#table.get(key), id)
    if (left === undefined) this.#table.delete(key)
    else this.#table.set(key, left)
  }
}

/** Equality, ranges and prefixes. Numbers and texts are ordered each among themselves. */
export class OrderedIndex extends Index {
  readonly #numbers: Tree<number> = new BTree<number, Postings>(undefined, (a, b) => a - b)
  readonly #texts: Tree<string> = new BTree<string, Postings>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0))
  readonly #others = new Map<Scalar, Postings>()

  constructor(path: string) {
    super(path, 'ordered')
  }

  serves({ kind }: Condition): boolean {
    return kind !== 'exists'
  }

  estimate(condition: Condition): number {
    if (condition.kind === 'equals' || condition.kind === 'contains') return countOf(this.#get(condition.value))
    // Of a range that is not known without walking it.
    return this.#numbers.size + this.#texts.size
  }

  search(condition: Condition): number[] {
    const ids: number[] = []
    if (condition.kind === 'equals' || condition.kind === 'contains') addAll(this.#get(condition.value), ids)
    else if (condition.kind === 'prefix') collect(this.#texts, { value: condition.value, inclusive: true }, undefined, ids, (key) => key.startsWith(condition.value))
    else if (condition.kind === 'range') {
      const { low, high } = condition
      if (typeof (low ?? high)?.value === 'number') collect(this.#numbers, low as NumberBound, high as NumberBound, ids)
      else collect(this.#texts, low as TextBound, high as TextBound, ids)
    }
    return ids
  }

  #get(key: Scalar): Postings | undefined {
    return typeof key === 'number' ? this.#numbers.get(key) : typeof key === 'string' ? this.#texts.get(key) : this.#others.get(key)
  }

  #set(key: Scalar, postings: Postings | undefined): void {
    if (typeof key === 'number') update(this.#numbers, key, postings)
    else if (typeof key === 'string') update(this.#texts, key, postings)
    else update(this.#others, key, postings)
  }

  protected enter(key: Scalar, id: number): void {
    // One walk down the tree for a value that is new, as most are.
    if (typeof key === 'number' && this.#numbers.setIfNotPresent(key, id)) return
    if (typeof key === 'string' && this.#texts.setIfNotPresent(key, id)) return
    this.#set(key, withId(this.#get(key), id))
  }

  protected leave(key: Scalar, id: number): void {
    this.#set(key, withoutId(this.#get(key), id))
  }
}

interface NumberBound extends Bound { readonly value: number }
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
