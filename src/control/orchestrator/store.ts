import { assert } from '../../base/assert.js'

/** A stored record and the revision at which it was last written; revisions only rise. */
export interface Entry {
  readonly value: object
  readonly revision: number
}

/** What a decision was based on: the record's revision when it was read, 0 for a record that was absent. */
export interface Expectation {
  readonly table: string
  readonly key: string
  readonly revision: number
}

export interface Write {
  readonly table: string
  readonly key: string
  /** Undefined deletes. */
  readonly value: object | undefined
}

/**
 * Where the orchestrator's state lives: small immutable JSON records in named tables. A decision reads, then commits all of
 * its writes, or none when something it read has changed meanwhile (etcd: one transaction of compares and puts; reads come
 * from a watched replica). In memory nobody else writes, so a commit always succeeds.
 */
export interface Store {
  read(table: string, key: string): Entry | undefined
  list(table: string): Iterable<readonly [key: string, entry: Entry]>
  /** False, and nothing is written, when an expectation no longer holds. */
  commit(expectations: readonly Expectation[], writes: readonly Write[]): boolean
}

export class MemoryStore implements Store {
  readonly #tables = new Map<string, Map<string, Entry>>()
  #revision = 0

  read(table: string, key: string): Entry | undefined {
    return this.#tables.get(table)?.get(key)
  }

  list(table: string): Iterable<readonly [key: string, entry: Entry]> {
    return this.#tables.get(table) ?? []
  }

  commit(expectations: readonly Expectation[], writes: readonly Write[]): boolean {
    for (const { table, key, revision } of expectations) {
      if ((this.read(table, key)?.revision ?? 0) !== revision) return false
    }
    const revision = ++this.#revision
    for (const { table, key, value } of writes) {
      let records = this.#tables.get(table)
      if (records === undefined) this.#tables.set(table, (records = new Map<string, Entry>()))
      if (value === undefined) records.delete(key)
      else records.set(key, { value, revision })
    }
    return true
  }
}

/** Reads and writes of one decision: reads see its own writes; nothing is stored before `commit`. */
export class Transaction {
  readonly #store: Store
  readonly #reads = new Map<string, Expectation>()
  readonly #writes = new Map<string, Write>()
  #open = true

  constructor(store: Store) {
    this.#store = store
  }

  read(table: string, key: string): object | undefined {
    const id = `${table}/${key}`
    const written = this.#writes.get(id)
    if (written !== undefined) return written.value
    const entry = this.#store.read(table, key)
    if (!this.#reads.has(id)) this.#reads.set(id, { table, key, revision: entry?.revision ?? 0 })
    return entry?.value
  }

  write(table: string, key: string, value: object | undefined): void {
    assert(this.#open, 'a transaction was written to after its commit')
    this.#writes.set(`${table}/${key}`, { table, key, value })
  }

  /** Every record of a table, without this transaction's writes, and without expecting that it stays so. */
  *list(table: string): Iterable<readonly [key: string, value: object]> {
    for (const [key, entry] of this.#store.list(table)) yield [key, entry.value]
  }

  commit(): boolean {
    this.#open = false
    return this.#writes.size === 0 || this.#store.commit([...this.#reads.values()], [...this.#writes.values()])
  }
}
