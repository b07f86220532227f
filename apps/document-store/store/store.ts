import type { Documents, Reader } from './documents.js'
import { type Condition, fulfils } from './filter.js'
import { KeyTable } from './key-table.js'
import { HashIndex, type Index, type IndexKind, OrderedIndex } from './indexes.js'
import { type Found, isScalar, type Json, parsePath, type Scalar } from './values.js'

export interface Search {
  readonly where: readonly Condition[]
  /** How many at most; all by default. */
  readonly limit?: number
  /** How many of the first to leave out. */
  readonly skip?: number
}

export interface IndexDescription {
  readonly path: string
  readonly kind: IndexKind
}

/** An index costs memory and time with every document. */
const INDEXES_MAX = 64
/** Group-by and joins keep something for each value they meet. */
const GROUPS_MAX = 1_000_000
/** Pairs that one join finds: a thousand documents with one value are a million of them. */
const PAIRS_MAX = 1_000_000

/**
 * Documents by key, with secondary indexes. It holds documents, and never makes, copies or frees one: `put`, `delete` and
 * `clear` give back those it lets go of, and their owner decides.
 *
 * Fields that are indexed are to be changed through {@link update}. When somebody who may write to a document changes them
 * behind the store's back, searches through an index may miss the document, and nothing else is hurt.
 */
export class DocumentStore<D> {
  readonly #documents: Documents<D>
  readonly #ids = new KeyTable()
  /** By id. Ids of documents that are gone are used again. */
  #stored: D[] = []
  readonly #absent: D
  readonly #free: number[] = []
  readonly #indexes = new Map<string, Index>()
  readonly #readers = new Map<string, Reader>()
  /** The same as `#indexes`, each with its reader: walked for every document. */
  #entering: (readonly [index: Index, read: Reader])[] = []
  /** What they read of the document at hand. */
  readonly #read: Found[] = []

  constructor(documents: Documents<D>) {
    this.#documents = documents
    this.#absent = documents.absent
  }

  get size(): number {
    return this.#ids.size
  }

  get indexes(): readonly IndexDescription[] {
    return [...this.#indexes.values()].map(({ path, kind }) => ({ path, kind }))
  }

  get(key: string): D | undefined {
    const id = this.#ids.find(key)
    return id < 0 ? undefined : this.#stored[id]
  }

  /** Stores a document, whose body this is, under its key; answers the one that it replaces. */
  put(key: string, document: D, body: unknown = this.#documents.body(document)): D | undefined {
    this.#readIndexed(body)
    const entering = this.#entering
    const unused = this.#free.length > 0 ? this.#free.at(-1)! : this.#stored.length
    const id = this.#ids.enter(key, unused)
    let replaced: D | undefined
    if (id === unused) {
      if (this.#free.length > 0) this.#free.pop()
    } else {
      replaced = this.#stored[id]
      for (const [index] of entering) index.remove(id)
    }
    this.#stored[id] = document
    for (let i = 0; i < entering.length; i++) entering[i]![0].add(id, this.#read[i])
    return replaced
  }

  /** Forgets a document and answers it. */
  delete(key: string): D | undefined {
    const id = this.#ids.delete(key)
    if (id < 0) return undefined
    const document = this.#stored[id]
    for (const [index] of this.#entering) index.remove(id)
    this.#stored[id] = this.#absent
    this.#free.push(id)
    return document
  }

  /** Changes one field in place. False when there is no such document; throws RangeError when the path leads nowhere in it. */
  update(key: string, path: string, value: Json): boolean {
    const id = this.#ids.find(key)
    const document = id < 0 ? undefined : this.#stored[id]
    if (document === undefined) return false
    this.#documents.assign(document, path, value)
    const touched = this.#entering.map(([index], i) => [index, i] as const).filter(([index]) => touches(path, index.path))
    // Should somebody have spoiled it in this moment, it is in none of these from here on: what they had of it is true no more.
    for (const [index] of touched) index.remove(id)
    this.#readIndexed(this.#documents.body(document))
    for (const [index, i] of touched) index.add(id, this.#read[i])
    return true
  }

  /** Before anything is changed: a document that cannot be read must leave the indexes as they were. */
  #readIndexed(body: unknown): void {
    for (let i = 0; i < this.#entering.length; i++) this.#read[i] = this.#entering[i]![1](body)
  }

  /** Forgets all documents and answers them; indexes stay, empty. */
  clear(): D[] {
    const documents = this.#stored.filter((one) => one !== this.#absent)
    const indexes = this.indexes
    this.#ids.clear()
    this.#free.length = 0
    this.#stored = []
    this.#indexes.clear()
    this.#entering = []
    for (const { path, kind } of indexes) this.createIndex(path, kind)
    return documents
  }

  /** Indexes a path, with all documents that are there already. One of the other kind is replaced. */
  createIndex(path: string, kind: IndexKind): void {
    if (this.#indexes.get(path)?.kind === kind) return
    if (!this.#indexes.has(path) && this.#indexes.size >= INDEXES_MAX) throw new RangeError(`a store has at most ${INDEXES_MAX} indexes`)
    const read = this.#reader(path)
    const index = kind === 'hash' ? new HashIndex(path) : new OrderedIndex(path)
    for (const [id, document] of this.#stored.entries()) if (document !== this.#absent) index.add(id, read(this.#documents.body(document)))
    this.#indexes.set(path, index)
    this.#listIndexes()
  }

  dropIndex(path: string): boolean {
    const dropped = this.#indexes.delete(path)
    this.#listIndexes()
    return dropped
  }

  #listIndexes(): void {
    this.#entering = [...this.#indexes.values()].map((index) => [index, this.#reader(index.path)] as const)
  }

  /** The documents that fulfil all conditions: by an ordered index in its order, otherwise in no promised one. */
  find({ where, limit = Infinity, skip = 0 }: Search): D[] {
    const found: D[] = []
    let left = skip
    this.#each(where, (document) => {
      if (found.length >= limit) return false
      if (left > 0) left--
      else found.push(document)
      return found.length < limit
    })
    return found
  }

  count(where: readonly Condition[]): number {
    let count = 0
    this.#each(where, () => {
      count++
      return true
    })
    return count
  }

  /** How many documents there are of each scalar at a path; documents without one are left out. */
  group(where: readonly Condition[], path: string): Map<Scalar, number> {
    const read = this.#reader(path)
    const groups = new Map<Scalar, number>()
    this.#each(where, (document) => {
      const value = read(this.#documents.body(document))
      if (isScalar(value)) groups.set(value, (groups.get(value) ?? 0) + 1)
      if (groups.size > GROUPS_MAX) throw new RangeError(`there are more than ${GROUPS_MAX} groups`)
      return true
    })
    return groups
  }

  /** Pairs of documents: one that fulfils the conditions, and each whose scalar at `right` equals the first one's at `left`. */
  join({ where, limit = Infinity }: Search, left: string, right: string): (readonly [D, D])[] {
    const read = this.#reader(left)
    const lefts = this.find({ where })
    const values = lefts.map((document) => read(this.#documents.body(document)))
    const partners = this.#byValue(values, right)
    const pairs: (readonly [D, D])[] = []
    for (const [i, document] of lefts.entries()) {
      const value = values[i]
      if (!isScalar(value)) continue
      for (const partner of partners(value)) {
        if (pairs.length >= limit) return pairs
        if (pairs.length >= PAIRS_MAX) throw new RangeError(`there are more than ${PAIRS_MAX} pairs: narrow the search, or give a limit`)
        pairs.push([document, partner])
      }
    }
    return pairs
  }

  /** Finds documents by their scalar at a path: through an index, or by one walk for all values that will be asked for. */
  #byValue(values: readonly Found[], path: string): (value: Scalar) => readonly D[] {
    if (this.#indexes.has(path)) return (value) => this.find({ where: [{ path, kind: 'equals', value }] })
    const wanted = new Map<Scalar, D[]>()
    for (const value of values) if (isScalar(value)) wanted.set(value, [])
    const read = this.#reader(path)
    this.#each([], (document) => {
      const value = read(this.#documents.body(document))
      if (isScalar(value)) wanted.get(value)?.push(document)
      return true
    })
    return (value) => wanted.get(value) ?? []
  }

  /** Visits the documents that fulfil the conditions until `visit` answers false. */
  #each(where: readonly Condition[], visit: (document: D) => boolean): void {
    const best = this.#choose(where)
    const tests = where.filter((condition) => condition !== best?.exact).map((condition) => [condition, this.#reader(condition.path)] as const)
    const passes = (document: D): boolean => {
      const body = this.#documents.body(document)
      return tests.every(([condition, read]) => fulfils(condition, read(body)))
    }
    const goesOn = (document: D): boolean => document === this.#absent || (tests.length > 0 && !passes(document)) || visit(document)
    if (best === undefined) {
      for (const document of this.#stored) if (!goesOn(document)) return
    } else {
      for (const id of best.ids) if (!goesOn(this.#stored[id]!)) return
    }
  }

  /** The index that leaves the fewest documents to look at. */
  #choose(where: readonly Condition[]): { readonly ids: number[], readonly exact: Condition | undefined } | undefined {
    let best: { readonly index: Index, readonly condition: Condition, readonly estimate: number } | undefined
    for (const condition of where) {
      const index = this.#indexes.get(condition.path)
      if (index === undefined || !index.serves(condition)) continue
      const estimate = index.estimate(condition)
      if (best === undefined || estimate < best.estimate) best = { index, condition, estimate }
    }
    if (best === undefined) return undefined
    const { index, condition } = best
    return { ids: index.search(condition), exact: index.isExact(condition) ? condition : undefined }
  }

  #reader(path: string): Reader {
    let reader = this.#readers.get(path)
    if (reader === undefined) {
      parsePath(path)
      if (this.#readers.size >= READERS_MAX) this.#readers.clear()
      reader = this.#documents.reader(path)
      this.#readers.set(path, reader)
    }
    return reader
  }
}

/** Readers of paths that somebody asked about: a client's endless stream of new paths must not fill the memory. */
const READERS_MAX = 4096

/** Whether a change at one path can change what lies at another. */
function touches(changed: string, path: string): boolean {
  return path === changed || path.startsWith(`${changed}.`) || changed.startsWith(`${path}.`)
}
