// The store's server: takes over documents, keeps indexes, answers with pointers.
import { getHeapStatistics } from 'node:v8'
import { type Address, addressOf, type ObjectHeap, plain, RpcError, serve, type Server, type ServerConnection, type ServerOptions, type View } from 'rpcool'
import { Limbo, type Holder } from './limbo.js'
import { type DocumentView, DocumentService, HANDING_MAX, placesOf, type Reader, type SearchValue } from './service.js'
import { SharedDocuments, walk } from './shared-documents.js'
import type { IndexKind } from './store/indexes.js'
import { DocumentStore, StoreFull } from './store/store.js'
import { type Json, parsePath } from './store/values.js'
import { conditionsIn, scalarForm, searchOf } from './wire.js'

/**
 * *trusting*: all clients and the server share one heap; a document is taken over where its client built it, and any client may
 * read and change it. *isolated*: a document is copied into a heap that the server alone writes and clients read.
 */
export type Mode = 'trusting' | 'isolated'

export interface StoreOptions extends Omit<ServerOptions, 'sharedHeapBytes' | 'publishedHeapBytes'> {
  readonly mode?: Mode
  /** Room for documents, up to 4 GiB: address space, and memory as it fills. 1 GiB by default. */
  readonly heapBytes?: number
  /** While the store has no room for new documents: how long clients can count on those of their results that were deleted. 10 s by default. */
  readonly heldMs?: number
  /** Keys and indexes take about as much of the process's own memory at most. Half of what Node.js has for objects by default. */
  readonly ownBytes?: number
}

export interface StoreServer extends AsyncDisposable {
  readonly server: Server
  /** Its documents are addresses in {@link heap}. */
  readonly store: DocumentStore<Address>
  readonly mode: Mode
  /** Where the documents lie. */
  readonly heap: ObjectHeap
  /** Documents that were deleted and that clients may still be reading. */
  readonly awaitingRelease: number
}

const HEAP_BYTES_DEFAULT = 2 ** 30
/**
 * Beside its documents a heap that all share holds the arguments of calls: the store takes no more documents when less than this
 * share of it is left, so that it can still be read and emptied.
 */
const RESERVE = 1 / 16
/** With less than this share of its heap a store has no room. */
const LOW = 1 / 8
/** Clients together do not fill a heap faster, in bytes a millisecond: for so long a look at what is left holds. It takes some 0.2 ms a GiB. */
const FILLED_PER_MS = 2 ** 24
const SHARED_BYTES_MAX = 2 ** 32
/** Deleted documents that wait for clients to give their results back. */
const LIMBO_MAX = 100_000
const HELD_MS_DEFAULT = 10_000
/** Of copies that one projection makes, in the server's own memory. */
const PROJECTED_BYTES_MAX = 2 ** 26
const PROJECTED_PATHS_MAX = 256

/** Serves an empty store on a channel. It is the caller's to dispose; its documents go with it. Throws INVALID_ARGUMENT for options that mean nothing. */
export async function serveDocuments(channel: string, options: StoreOptions = {}): Promise<StoreServer> {
  const { mode = 'trusting', heapBytes = HEAP_BYTES_DEFAULT, heldMs = HELD_MS_DEFAULT, ownBytes = getHeapStatistics().heap_size_limit / 2, ...serverOptions } = options
  // Another word would share the documents in the one way or the other, whatever was meant.
  if (mode !== 'trusting' && mode !== 'isolated') throw new RpcError('INVALID_ARGUMENT', `the mode of a store is 'trusting' or 'isolated', not ${String(mode)}`)
  for (const [name, value] of Object.entries({ heldMs, ownBytes })) {
    if (!(value >= 0)) throw new RpcError('INVALID_ARGUMENT', `a store's ${name} is a number from 0 on, not ${String(value)}`)
  }
  const state = new StoreState(mode, heldMs, ownBytes)
  const server = await serve(channel, DocumentService, state.handlers(), {
    ...serverOptions,
    ...(mode === 'trusting' ? { sharedHeapBytes: Math.min(SHARED_BYTES_MAX, heapBytes * (1 + RESERVE)) } : { publishedHeapBytes: heapBytes }),
    onConnection: (connection) => {
      state.connected(connection)
      options.onConnection?.(connection)
    },
  })
  const heap = mode === 'trusting' ? server.heap : server.published
  state.heap = heap
  return {
    server,
    store: state.store,
    mode,
    heap,
    get awaitingRelease() {
      return state.limbo.size
    },
    async [Symbol.asyncDispose]() {
      state.limbo.close()
      await server.close()
    },
  }
}

/** One client, as the store sees it. */
class Client implements Holder {
  sent = 0
  gone = false
  reader: View<typeof Reader> | undefined

  get released(): number {
    return this.reader?.released ?? 0
  }

  /** Documents that it hands over now, by its own word. */
  get handing(): number {
    const { reader } = this
    let count = 0
    if (reader !== undefined) for (let place = 0; place < HANDING_MAX; place++) if (reader.handing.at(place) !== null) count++
    return count
  }
}

class StoreState {
  readonly #documents = new SharedDocuments()
  readonly store: DocumentStore<Address>
  readonly limbo = new Limbo<Address>((document) => this.#free(document), () => this.#clients.values(), LIMBO_MAX, () => this.#heldNow())
  readonly #clients = new Map<ObjectHeap, Client>()
  /** `performance.now()` from which on what is left is to be looked at again. */
  #lookAt = 0
  #heapBytes = 0
  #reserveBytes = 0

  constructor(readonly mode: Mode, private readonly heldMs: number, ownBytes: number) {
    this.store = new DocumentStore<Address>(this.#documents, ownBytes)
  }

  set heap(heap: ObjectHeap) {
    this.#documents.heap = heap
    // Nothing is in it yet.
    this.#heapBytes = heap.stats().freeBytes
    this.#reserveBytes = this.#heapBytes * RESERVE
  }

  connected(connection: ServerConnection): void {
    const client = new Client()
    this.#clients.set(connection.heap, client)
    connection.onClose = (): void => {
      client.gone = true
      this.#clients.delete(connection.heap)
      if (this.mode === 'trusting') this.#cleanUp(client)
      this.limbo.collect()
    }
  }

  handlers(): Parameters<typeof serve<(typeof DocumentService)['methods']>>[2] {
    const { store } = this
    return {
      open: (reader, { heap }) => {
        this.#client(heap).reader = reader
        return this.mode
      },
      put: (document, { heap }) => refusing(() => this.#put(document, heap)),
      putRun: (run, { heap }) => refusing(() => this.#putRun(run, heap)),
      get: ({ key, ticket }, { heap }) => {
        this.#sends(heap, ticket)
        const address = store.get(key)
        return address === undefined ? null : this.#documents.at(address)
      },
      delete: (key) => {
        const deleted = store.delete(key)
        if (deleted !== undefined) this.limbo.add(deleted)
        return deleted !== undefined
      },
      update: ({ key, path, value }) => refusing(() => store.update(key, path, value ?? null)),
      find: (search, { heap }) => refusing(() => {
        this.#sends(heap, search.ticket)
        return new Float64Array(store.find(searchOf(search)))
      }),
      count: ({ where }) => refusing(() => store.count(conditionsIn(where))),
      group: ({ search, path }) => refusing(() => {
        const groups = store.group(conditionsIn(search.where), path)
        return Array.from(groups, ([value, count]) => ({ value: scalarForm(value), count }))
      }),
      join: ({ search, left, right }, { heap }) => refusing(() => {
        this.#sends(heap, search.ticket)
        return new Float64Array(store.join(searchOf(search), left, right).flat())
      }),
      project: ({ search, paths }) => refusing(() => this.#project(search, paths)),
      createIndex: ({ path, kind }) => refusing(() => store.createIndex(path, indexKind(kind))),
      dropIndex: (path) => store.dropIndex(path),
      indexes: () => store.indexes,
      clear: () => {
        const documents = store.clear()
        this.limbo.addAll(documents)
        return documents.length
      },
      stats: () => {
        const { freeBytes, liveBytes } = this.#open.stats()
        return { documents: store.size, awaitingRelease: this.limbo.size, heapBytes: this.#heapBytes, freeBytes, liveBytes }
      },
    }
  }

  /** Clients of a trusting store whose documents do not fit do not come so far as to ask for room. */
  #heldNow(): number {
    return this.#open.stats().freeBytes < this.#heapBytes * LOW ? this.heldMs : Infinity
  }

  get #open(): ObjectHeap {
    return this.#documents.heap
  }

  #client(heap: ObjectHeap): Client {
    const client = this.#clients.get(heap)
    if (client === undefined) throw new RpcError('INTERNAL', 'a call came from a connection that the store was not told of')
    return client
  }

  /** Pointers go out to this client: what it holds must not be freed before it has given the result back. */
  #sends(heap: ObjectHeap, ticket: number): void {
    const client = this.#client(heap)
    if (ticket > client.sent) client.sent = ticket
  }

  #put(document: DocumentView, heap: ObjectHeap): boolean {
    const { key, body } = document
    if (body === undefined) throw new RangeError('a document has a body: any JSON value')
    if (this.mode === 'isolated') {
      const copy = this.#copy(document)
      return this.#keep(key, copy, copy.body)
    }
    this.#requireRoom(heap, 1)
    const replaces = this.#keep(key, document, body)
    // Ours from here on, also should the client die before it hears of it.
    const { place } = document
    if (place > 0) this.#client(heap).reader?.handing.set(place - 1, null)
    return replaces
  }

  /** One that cannot be put stays where it is, and does not keep the others from being put. */
  #putRun(run: number, heap: ObjectHeap): number {
    const { reader } = this.#client(heap)
    if (this.mode !== 'trusting' || reader === undefined) throw new RpcError('FAILED_PRECONDITION', 'runs of documents are put into an open, trusting store')
    const { handing } = reader
    const { first, end } = placesOf(run)
    this.#requireRoom(heap, end - first)
    let failed: Error | undefined
    let replaced = 0
    for (let place = first; place < end; place++) {
      try {
        const document = handing.at(place)
        const body = document?.body
        if (document === undefined || document === null || body === undefined) throw new RangeError(`there is no document in place ${place}`)
        if (this.#keep(document.key, document, body)) replaced++
        handing.set(place, null)
      } catch (error) {
        if (!RpcError.is(error) && !(error instanceof RangeError)) throw error
        failed ??= error
      }
    }
    if (failed !== undefined) throw failed
    return replaced
  }

  /** Of a heap that clients fill by themselves. Documents of other calls of this client need not stay: they are refused in their turn. */
  #requireRoom(heap: ObjectHeap, documents: number): void {
    const now = performance.now()
    if (now < this.#lookAt) return
    let { freeBytes } = this.#open.stats()
    if (freeBytes < this.#reserveBytes) {
      this.limbo.reclaim(this.heldMs)
      this.#open.collect()
      freeBytes = this.#open.stats().freeBytes
    }
    const left = freeBytes - this.#reserveBytes
    if (left < 0) {
      const others = this.#client(heap).handing - documents
      const othersBytes = (this.#heapBytes - freeBytes) * others / (this.store.size + others + documents)
      if (left + othersBytes < 0) throw new RpcError('RESOURCE_EXHAUSTED', 'the store is full: delete documents, or start it with more heapBytes')
    }
    this.#lookAt = now + left / FILLED_PER_MS
  }

  /** @returns whether it took the place of another document. */
  #keep(key: string, document: DocumentView, body: unknown): boolean {
    const address = addressOf(document)
    const replaced = this.store.put(key, address, body)
    if (replaced === undefined) return false
    if (replaced !== address) this.limbo.add(replaced)
    return true
  }

  #copy(document: DocumentView): DocumentView {
    try {
      return this.#open.copyFrom(document)
    } catch (error) {
      if (!RpcError.is(error) || error.code !== 'RESOURCE_EXHAUSTED' || this.limbo.size === 0) throw error
      this.limbo.reclaim(this.heldMs)
      return this.#open.copyFrom(document)
    }
  }

  #project(search: View<typeof SearchValue>, paths: Iterable<string> & { readonly length: number }): Record<string, Json>[] {
    const count = paths.length
    if (count > PROJECTED_PATHS_MAX) throw new RangeError(`a projection is of ${PROJECTED_PATHS_MAX} paths at most, not ${count}`)
    const keys: (readonly [path: string, keys: readonly string[]])[] = []
    // One after the other: what is too long for a path is not kept.
    for (const path of paths) if (keys.length < count) keys.push([path, parsePath(path)])
    let left = PROJECTED_BYTES_MAX
    return this.store.find(searchOf(search)).map((address) => {
      const { body } = this.#documents.at(address)
      const row = Object.create(null) as Record<string, Json>
      for (const [path, one] of keys) {
        const value = copyOf(walk(body, one), left)
        if (value === undefined) continue
        row[path] = value
        left -= bytesOf(value)
        if (left < 0) throw beyondProjection()
      }
      return row
    })
  }

  /** What a client had made for the store when it died, and nobody took over. A place that it died in storing into costs the others nothing. */
  #cleanUp({ reader }: Client): void {
    if (reader === undefined) return
    for (let place = 0; place < HANDING_MAX; place++) {
      unlessSpoiled(() => {
        const document = reader.handing.at(place)
        if (document !== undefined && document !== null) this.#open.free(document)
      })
    }
    unlessSpoiled(() => this.#open.free(reader))
  }

  #free(document: Address): void {
    unlessSpoiled(() => this.#open.free(this.#documents.at(document)))
  }
}

/** Clients of a trusting store may have freed or spoiled what is to go: that costs them the document, and nobody the store. */
function unlessSpoiled(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!RpcError.is(error)) throw error
  }
}

/** @throws RpcError when its copy takes much more than so many bytes. */
function copyOf(value: unknown, bytes: number): Json | undefined {
  if (typeof value !== 'object' || value === null) return value as Json | undefined
  try {
    return plain(value, { maxNodes: bytes / VALUE_BYTES + 1, maxUnits: bytes }) as Json
  } catch (error) {
    if (RpcError.is(error) && error.code === 'RESOURCE_EXHAUSTED') throw beyondProjection(error)
    throw error
  }
}

function beyondProjection(cause?: RpcError): RpcError {
  return new RpcError('RESOURCE_EXHAUSTED', 'a projection copies 64 MiB at most: give a limit, or name fewer paths; find answers without copies', { cause })
}

/** Of a plain value, whatever it is. */
const VALUE_BYTES = 16

/** About what a plain value takes. */
function bytesOf(value: Json): number {
  if (typeof value === 'string') return VALUE_BYTES + value.length
  if (typeof value !== 'object' || value === null) return VALUE_BYTES
  return Object.values(value).reduce<number>((sum, member) => sum + bytesOf(member), 32)
}

function indexKind(kind: string): IndexKind {
  if (kind === 'hash' || kind === 'ordered') return kind
  throw new RangeError(`an index is "hash" or "ordered", not ${JSON.stringify(kind)}`)
}

/** What the store refuses is the client's mistake. */
function refusing<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof RangeError) throw new RpcError(error instanceof StoreFull ? 'RESOURCE_EXHAUSTED' : 'INVALID_ARGUMENT', error.message, { cause: error })
    throw error
  }
}
