// The client's end of a store.
import { connect, type ConnectOptions, type ObjectHeap, plain, type Result, RpcError, type View } from 'rpcool'
import { bulkPut } from './bulk.js'
import { Link, outcomeOf } from './link.js'
import { Got, Pairs, type Results } from './results.js'
import type { Mode } from './server.js'
import { DocumentService, type DocumentView } from './service.js'
import { type Condition, conditionsOf, type Filter } from './store/filter.js'
import type { IndexKind } from './store/indexes.js'
import type { IndexDescription } from './store/store.js'
import type { Json, Scalar } from './store/values.js'
import { type FindOptions, limitsOf, scalarOf, searchForm } from './wire.js'

export type { FindOptions } from './wire.js'

export interface StoreStats {
  readonly documents: number
  /** Deleted documents that clients may still be reading. */
  readonly awaitingRelease: number
  /** Of the store's heap, and those of them that hold nothing. */
  readonly heapBytes: number
  readonly freeBytes: number
  /** Of what the server itself allocated there: in a trusting store clients allocate their documents. */
  readonly liveBytes: number
}

type Rows = Record<string, Json>[]
type Groups = View<(typeof DocumentService)['methods']['group']['result']>

/**
 * Connects to a store. The client is the caller's to dispose. `Body` is what the program knows about its documents,
 * `openStore<Order>('shop/orders')`; nothing checks that what others put is like that.
 */
export async function openStore<Body = Json>(channel: string, options: ConnectOptions = {}): Promise<StoreClient<Body>> {
  const connection = await connect(channel, DocumentService, options)
  try {
    return new StoreClient<Body>(await Link.open(connection))
  } catch (error) {
    await connection.close()
    throw error
  }
}

/** The store's operations, awaited; the same under {@link sync}, waiting on this thread. */
export class StoreClient<Body = Json> implements AsyncDisposable {
  readonly sync: SyncStore<Body>
  readonly #link: Link

  /** @internal */
  constructor(link: Link) {
    this.#link = link
    this.sync = new SyncStore<Body>(link)
  }

  get mode(): Mode {
    return this.#link.mode
  }

  /** The connection's heap: in a trusting store the one that all share. */
  get heap(): ObjectHeap {
    return this.#link.connection.heap
  }

  /** Resolves when the connection has ended, with the reason when it was not closed here. */
  get closed(): Promise<RpcError | undefined> {
    return this.#link.connection.closed
  }

  /** Stores a document; answers whether it replaced one. */
  async put(key: string, body: Body): Promise<boolean> {
    try {
      return await this.#put(key, body)
    } catch (error) {
      if (!this.#link.canMakeRoom(error)) throw error
      return await this.#put(key, body)
    }
  }

  async #put(key: string, body: Body): Promise<boolean> {
    const handed = this.#link.hand(key, body as Json)
    try {
      const replaced = await this.#link.connection.put(handed.argument)
      handed.settle('taken')
      return replaced
    } catch (error) {
      handed.settle(outcomeOf(error))
      throw error
    }
  }

  /** The document, where it lies; undefined when there is none. */
  async get(key: string): Promise<Got<Body> | undefined> {
    const ticket = this.#link.takeTicket()
    return this.#got(ticket, await this.#or(ticket, this.#link.connection.get({ key, ticket })))
  }

  async delete(key: string): Promise<boolean> {
    return this.#link.connection.delete(key)
  }

  /** Changes one field in place; false when there is no such document. */
  async update(key: string, path: string, value: Json): Promise<boolean> {
    return this.#link.connection.update({ key, path, value })
  }

  async find(filter: Filter, options: FindOptions = {}): Promise<Results<Body>> {
    const where = conditionsOf(filter)
    const { limit, skip } = limitsOf(options)
    const ticket = this.#link.takeTicket()
    const found = await this.#or(ticket, this.#link.connection.find(searchForm(where, ticket, limit, skip)))
    return this.#link.results(found, ticket)
  }

  async count(filter: Filter): Promise<number> {
    return this.#link.connection.count(searchForm(conditionsOf(filter), 0))
  }

  /** How many documents there are of each scalar at a path. */
  async group(filter: Filter, path: string): Promise<Map<Scalar, number>> {
    return groupsOf(await this.#link.connection.group({ search: searchForm(conditionsOf(filter), 0), path }))
  }

  /** Each document that fulfils the filter, with each whose scalar at `right` equals its own at `left`. */
  async join(filter: Filter, left: string, right: string, options: FindOptions = {}): Promise<Pairs<Body>> {
    const where = conditionsOf(filter)
    const { limit, skip } = limitsOf(options)
    const ticket = this.#link.takeTicket()
    const found = await this.#or(ticket, this.#link.connection.join({ search: searchForm(where, ticket, limit, skip), left, right }))
    return new Pairs<Body>(this.#link.results(found, ticket))
  }

  /** Copies of some fields of each document found. */
  async project(filter: Filter, paths: readonly string[], options: FindOptions = {}): Promise<Record<string, Json>[]> {
    const { limit, skip } = limitsOf(options)
    using rows = await this.#link.connection.project({ search: searchForm(conditionsOf(filter), 0, limit, skip), paths }) as Rows & Disposable
    return plain(rows) as unknown as Rows
  }

  /** Indexes a path: `hash` for equality, `ordered` for ranges and prefixes too. Documents that are there already are entered. */
  async createIndex(path: string, kind: IndexKind): Promise<void> {
    await this.#link.connection.createIndex({ path, kind })
  }

  async dropIndex(path: string): Promise<boolean> {
    return this.#link.connection.dropIndex(path)
  }

  async indexes(): Promise<IndexDescription[]> {
    using list = await this.#link.connection.indexes()
    return list.map(({ path, kind }) => ({ path, kind: kind as IndexKind }))
  }

  /** Deletes all documents; answers how many there were. */
  async clear(): Promise<number> {
    return this.#link.connection.clear()
  }

  async stats(): Promise<StoreStats> {
    using stats = await this.#link.connection.stats()
    const { documents, awaitingRelease, heapBytes, freeBytes, liveBytes } = stats
    return { documents, awaitingRelease, heapBytes, freeBytes, liveBytes }
  }

  async close(): Promise<void> {
    await this.#link.connection.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #got(ticket: number, document: DocumentView | null): Got<Body> | undefined {
    if (document !== null) return new Got(document as DocumentView<Body>, () => this.#link.giveBack(ticket))
    this.#link.giveBack(ticket)
    return undefined
  }

  async #or<T>(ticket: number, answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      this.#link.giveBack(ticket)
      throw error
    }
  }
}

/** The store's operations that are worth a blocked thread: a microsecond or so each. */
export class SyncStore<Body = Json> {
  readonly #link: Link

  /** @internal */
  constructor(link: Link) {
    this.#link = link
  }

  /** See {@link StoreClient.put}. */
  put(key: string, body: Body): boolean {
    try {
      return this.#put(key, body)
    } catch (error) {
      if (!this.#link.canMakeRoom(error)) throw error
      return this.#put(key, body)
    }
  }

  #put(key: string, body: Body): boolean {
    const handed = this.#link.hand(key, body as Json)
    try {
      const replaced = this.#link.connection.sync.put(handed.argument)
      handed.settle('taken')
      return replaced
    } catch (error) {
      handed.settle(outcomeOf(error))
      throw error
    }
  }

  /**
   * Stores many documents, as many in flight as the connection carries; answers how many took the place of one. Throws the first
   * error, when all are answered; of a body that is no document, such as one nested too deep, `refused` is told instead, when
   * there is one, and the others are stored.
   */
  putAll(entries: Iterable<readonly [key: string, body: Body]>, refused?: (error: RpcError) => void): number {
    const bulk = bulkPut(this.#link)
    try {
      for (const [key, body] of entries) {
        try {
          bulk.put(key, body as Json)
        } catch (error) {
          if (refused === undefined || !RpcError.is(error) || error.code !== 'INVALID_ARGUMENT') throw error
          refused(error)
        }
      }
    } catch (error) {
      bulk.end()
      throw error
    }
    const failed = bulk.end()
    if (failed === undefined) return bulk.replaced
    this.#link.canMakeRoom(failed)
    throw failed
  }

  /** See {@link StoreClient.get}. */
  get(key: string): Got<Body> | undefined {
    const ticket = this.#link.takeTicket()
    const document = this.#or(ticket, () => this.#link.connection.sync.get({ key, ticket }))
    if (document !== null) return new Got(document as DocumentView as DocumentView<Body>, () => this.#link.giveBack(ticket))
    this.#link.giveBack(ticket)
    return undefined
  }

  delete(key: string): boolean {
    return this.#link.connection.sync.delete(key)
  }

  /** See {@link StoreClient.update}. */
  update(key: string, path: string, value: Json): boolean {
    return this.#link.connection.sync.update({ key, path, value })
  }

  /** See {@link StoreClient.find}. */
  find(filter: Filter, options: FindOptions = {}): Results<Body> {
    const where = conditionsOf(filter)
    const { limit, skip } = limitsOf(options)
    const ticket = this.#link.takeTicket()
    const found = this.#or(ticket, () => this.#link.connection.sync.find(searchForm(where, ticket, limit, skip)))
    return this.#link.results(found, ticket)
  }

  /**
   * Makes many searches, as many in flight as the connection carries; `read` is given each one's results, in order, and they are
   * given back when it returns.
   */
  findAll(filters: Iterable<Filter>, read: (results: Results<Body>, index: number) => void): void {
    using pipeline = this.#link.connection.pipeline('find')
    const tickets: number[] = []
    let index = 0
    const take = (): void => {
      pipeline.wait()
      pipeline.poll((found) => {
        using results = this.#link.results<Body>(found, tickets.shift()!)
        read(results, index++)
      })
    }
    try {
      for (const filter of filters) {
        const where: readonly Condition[] = conditionsOf(filter)
        const ticket = this.#link.takeTicket()
        tickets.push(ticket)
        while (!pipeline.submit(searchForm(where, ticket))) take()
      }
      while (tickets.length > 0) take()
    } finally {
      for (const ticket of tickets) this.#link.giveBack(ticket)
    }
  }

  count(filter: Filter): number {
    return this.#link.connection.sync.count(searchForm(conditionsOf(filter), 0))
  }

  #or<T>(ticket: number, ask: () => T): T {
    try {
      return ask()
    } catch (error) {
      this.#link.giveBack(ticket)
      throw error
    }
  }
}

function groupsOf(held: Result<(typeof DocumentService)['methods']['group']['result']>): Map<Scalar, number> {
  using groups = held
  return new Map((groups as Groups).map(({ value, count }) => [scalarOf(value), count]))
}
