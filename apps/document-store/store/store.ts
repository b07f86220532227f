import type { Documents, Reader } from './documents.js'
import { type Condition, fulfils } from './filter.js'
import { KeyTable } from './key-table.js'
import { HashIndex, type Index, type IndexKind, OrderedIndex } from './indexes.js'
import { Kept } from './tally.js'
import { type Found, isScalar, type Json, parsePath, type Scalar } from './values.js'

export interface Search {
  readonly where: readonly Condition[]
  /** How many at most; all by default. */
  readonly limit?: number
  /** How many of the first to leave out. */
  readonly skip?: number
}

/** A value that a join asks for, and the documents that have it, once they were looked for. */
interface Partners<D> {
  readonly value: Scalar
  found: D[] | undefined
}

export interface IndexDescription {
  readonly path: string
  readonly kind: IndexKind
}

/** A key is kept in memory of the process's own. */
const KEY_LENGTH_MAX = 8192
/** Of a key, beside its characters. */
const KEY_BYTES = 64
/** An index costs memory and time with every document. */
const INDEXES_MAX = 64
/** Pairs that one join finds, or leaves out: a thousand documents with one value are a million of them. */
const PAIRS_MAX = 1_000_000

/** What is asked for would take too much memory beside the documents'. */
export class StoreFull extends RangeError {
  override readonly name = 'StoreFull'
}

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

  #keyBytes = 0

  /** @param ownBytesMax about how much memory keys and indexes take at most; what needs more is refused as {@link StoreFull}. */
  constructor(documents: Documents<D>, private readonly ownBytesMax = Infinity) {
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
    if (key.length > KEY_LENGTH_MAX) throw new RangeError(`a key has at most ${KEY_LENGTH_MAX} characters, not ${key.length}`)
    this.#requireMemory()
    this.#readIndexed(body)
    const entering = this.#entering
    const unused = this.#free.length > 0 ? this.#free.at(-1)! : this.#stored.length
    const id = this.#ids.enter(key, unused)
    let replaced: D | undefined
    if (id === unused) {
      if (this.#free.length > 0) this.#free.pop()
      this.#keyBytes += KEY_BYTES + key.length
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
    this.#keyBytes -= KEY_BYTES + key.length
    return document
  }

  /** Changes one field in place. False when there is no such document; throws RangeError when the path leads nowhere in it. */
  update(key: string, path: string, value: Json): boolean {
    const id = this.#ids.find(key)
    const document = id < 0 ? undefined : this.#stored[id]
    if (document === undefined) return false
    const touched = this.#entering.map(([index], i) => [index, i] as const).filter(([index]) => touches(path, index.path))
    if (touched.length > 0) this.#requireMemory()
    this.#documents.assign(document, path, value)
    // Should somebody have spoiled it in this moment, it is in none of these from here on: what they had of it is true no more.
    for (const [index] of touched) index.remove(id)
    this.#readIndexed(this.#documents.body(document))
    for (const [index, i] of touched) index.add(id, this.#read[i])
    return true
  }

  /** What comes in then may be more than is left: one document's keys and values, whatever these are. */
  #requireMemory(more = 0): void {
    let bytes = this.#keyBytes + more
    for (const [index] of this.#entering) bytes += index.bytes
    if (bytes > this.ownBytesMax) throw new StoreFull('the memory for keys and indexes is full: delete documents, drop an index, or give the server more (node --max-old-space-size)')
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
    this.#keyBytes = 0
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
    for (const [id, document] of this.#stored.entries()) {
      if (document === this.#absent) continue
      this.#requireMemory(index.bytes)
      index.add(id, read(this.#documents.body(document)))
    }
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
    const kept = new Kept()
    this.#each(where, (document) => {
      const value = read(this.#documents.body(document))
      if (!isScalar(value)) return true
      const count = groups.get(value)
      if (count === undefined) kept.add(value)
      groups.set(value, (count ?? 0) + 1)
      return true
    })
    return groups
  }

  /** Pairs of documents: one that fulfils the conditions, and each whose scalar at `right` equals the first one's at `left`. */
  join({ where, limit = Infinity, skip = 0 }: Search, left: string, right: string): (readonly [D, D])[] {
    const read = this.#reader(left)
    const lefts = this.find({ where })
    // Each value once: many documents may have the same, and few or none of them a partner.
    const partners = new Map<Scalar, Partners<D>>()
    const kept = new Kept()
    const asked = lefts.map((document) => {
      const value = read(this.#documents.body(document))
      if (!isScalar(value)) return undefined
      let known = partners.get(value)
      if (known === undefined) {
        kept.add(value)
        known = { value, found: undefined }
        partners.set(value, known)
      }
      return known
    })
    if (!this.#indexes.has(right)) this.#findPartners(partners, right)
    const pairs: (readonly [D, D])[] = []
    let met = 0
    for (const [i, document] of lefts.entries()) {
      const known = asked[i]
      if (known === undefined) continue
      known.found ??= this.find({ where: [{ path: right, kind: 'equals', value: known.value }] })
      for (const partner of known.found) {
        if (pairs.length >= limit) return pairs
        if (met === PAIRS_MAX) throw new RangeError(`there are more than ${PAIRS_MAX} pairs: narrow the search, or give a limit`)
        if (met++ >= skip) pairs.push([document, partner])
      }
    }
    return pairs
  }

  /** By one walk for all values, where no index knows them. */
  #findPartners(partners: ReadonlyMap<Scalar, Partners<D>>, path: string): void {
    for (const one of partners.values()) one.found = []
    const read = this.#reader(path)
    this.#each([], (document) => {
      const value = read(this.#documents.body(document))
      if (isScalar(value)) partners.get(value)?.found?.push(document)
      return true
    })
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
