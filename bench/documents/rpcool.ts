// The store behind RPCool, in both modes, as the trial drives it.
import { openStore, type StoreClient } from '../../apps/document-store/client.js'
import { type Mode, serveDocuments } from '../../apps/document-store/server.js'
import { type DocumentView, RUN_PLACES, RUNS } from '../../apps/document-store/service.js'
import type { Json } from '../../apps/document-store/store/values.js'
import type { NoBenchDocument } from '../nobench/generate.js'
import { startChild } from '../support/child.js'
import { program } from '../support/program.js'
import { checked, type DataSet, INDEXES, keyOf, type SearchOrder } from './mix.js'
import type { Setting, Way } from './ways.js'

/** Room for a million documents of the trial's kind. */
const HEAP_BYTES = 2 ** 30

interface ServeArgument {
  readonly channel: string
  readonly mode: Mode
}

export interface HeapUse {
  readonly live: number
  /** Also what is not in use of spans that somebody has. */
  readonly footprint: number
}

export const serveStore = program<ServeArgument>(import.meta.url, 'serveStore', async ({ channel, mode }, control) => {
  await using server = await serveDocuments(channel, { mode, heapBytes: HEAP_BYTES })
  for (const [path, kind] of INDEXES) server.store.createIndex(path, kind)
  control.ready()
  await control.finish
})

export class RpcoolWay implements Way {
  /** As many calls in flight as the connection carries. */
  readonly settings: readonly Setting[] = [{ batch: 1, window: 63 }]
  readonly buildSettings: readonly Setting[]
  readonly #client: StoreClient
  readonly #documents: readonly NoBenchDocument[]

  constructor(readonly name: string, client: StoreClient, { documents }: DataSet) {
    this.#client = client
    this.#documents = documents
    this.buildSettings = client.mode === 'trusting' ? [{ batch: RUN_PLACES, window: RUNS }] : this.settings
  }

  async clear(): Promise<void> {
    await this.#client.clear()
  }

  build(from: number, to: number, { window }: Setting): void {
    const { sync } = this.#client
    if (window > 1) sync.putAll(this.#entries(from, to))
    else for (let i = from; i < to; i++) sync.put(keyOf(i), this.#documents[i]! as unknown as Json)
  }

  search(searches: readonly SearchOrder[], { window }: Setting): number {
    const { sync } = this.#client
    let sum = 0
    if (window > 1) {
      sync.findAll(searches.map(({ filter }) => filter), (results) => {
        for (const document of results) sum += read(document)
      })
      return sum
    }
    for (const { filter } of searches) {
      using results = sync.find(filter)
      for (const document of results) sum += read(document)
    }
    return sum
  }

  /** Of the heap that documents lie in: bytes of blocks that this client and the server made, and of all spans that somebody has. */
  async heapUse(): Promise<HeapUse> {
    const { liveBytes, heapBytes, freeBytes } = await this.#client.stats()
    return { live: liveBytes + this.#client.heap.stats().liveBytes, footprint: heapBytes - freeBytes }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close()
  }

  *#entries(from: number, to: number): Iterable<readonly [string, Json]> {
    for (let i = from; i < to; i++) yield [keyOf(i), this.#documents[i]! as unknown as Json]
  }
}

function read({ body }: DocumentView): number {
  const { str1, num, nested_obj } = body as unknown as NoBenchDocument
  return checked(str1, num, nested_obj.num)
}

/** A server in a process on a CPU, and a client of it here. Disposing ends both. */
export async function openRpcoolWay(mode: Mode, data: DataSet, cpu: number): Promise<RpcoolWay> {
  const channel = `bench/documents/${mode}`
  const server = startChild(serveStore, { channel, mode }, { label: `the ${mode} document server`, cpu })
  try {
    await server.ready()
    const client = await openStore(channel)
    const way = new RpcoolWay(`rpcool_${mode}`, client, data)
    const close = way[Symbol.asyncDispose].bind(way)
    way[Symbol.asyncDispose] = async () => {
      await close()
      await server[Symbol.asyncDispose]()
    }
    return way
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

