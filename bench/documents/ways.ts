// The ways to reach the store, as the trial drives them.
import type { PlainDocument } from '../../apps/document-store/store/plain-documents.js'
import { conditionsOf } from '../../apps/document-store/store/filter.js'
import type { NoBenchDocument } from '../nobench/generate.js'
import { checked, keyOf, type DataSet, type SearchOrder } from './mix.js'
import type { DocumentClient } from './peers.js'
import { indexedStore, type Projection, type Request } from './requests.js'

/** How work is put in flight: so many items in one request, so many requests at once. */
export interface Setting {
  readonly batch: number
  readonly window: number
  /** Searches answer the three fields that are read, and not whole documents. */
  readonly project?: boolean
}

export const ONE_AT_A_TIME: Setting = { batch: 1, window: 1 }

/** One way to reach a store that is empty at first. Whoever opens it owns it. */
export interface Way extends AsyncDisposable {
  readonly name: string
  /** What is worth trying when many searches may be in flight. */
  readonly settings: readonly Setting[]
  /** The same for documents; as for searches when it is left out. */
  readonly buildSettings?: readonly Setting[]
  clear(): Promise<void>
  /** Stores documents `from` to `to`, all answered when it is done. */
  build(from: number, to: number, setting: Setting): Promise<void> | void
  /** Makes all searches, reads three fields of every result, and answers what {@link checked} sums up to. */
  search(searches: readonly SearchOrder[], setting: Setting): Promise<number> | number
}

/** Who knows which fields it will read may ask for those alone. The searches are NoBench's, which ask for whole documents. */
export const PROJECTED: Setting = { ...ONE_AT_A_TIME, project: true }
const WINDOWS: readonly Setting[] = [
  { batch: 1, window: 32 }, { batch: 1, window: 128 }, { batch: 16, window: 4 }, { batch: 64, window: 2 }, { batch: 64, window: 4 }, { batch: 256, window: 2 },
]
/** A thousand searches in one request would have tens of megabytes of results in one answer. */
const BUILD_WINDOWS: readonly Setting[] = [...WINDOWS, { batch: 1024, window: 2 }]

/** A peer of {@link DOCUMENT_PEERS}. */
export class PeerWay implements Way {
  readonly settings = WINDOWS
  readonly buildSettings = BUILD_WINDOWS
  readonly #client: DocumentClient
  readonly #documents: readonly NoBenchDocument[]

  constructor(readonly name: string, client: DocumentClient, data: DataSet) {
    this.#client = client
    this.#documents = data.documents
  }

  async clear(): Promise<void> {
    await this.#client.ask({ op: 'clear' })
  }

  build(from: number, to: number, { batch, window }: Setting): Promise<void> {
    const document = (i: number): PlainDocument => ({ key: keyOf(i), body: this.#documents[i]! as unknown as PlainDocument['body'] })
    return inFlight(from, to, batch, window, async (start, end) => {
      await this.#client.ask(batch === 1 ? { op: 'put', document: document(start) }
        : { op: 'putAll', documents: Array.from({ length: end - start }, (_, i) => document(start + i)) })
    })
  }

  async search(searches: readonly SearchOrder[], { batch, window, project = false }: Setting): Promise<number> {
    let sum = 0
    await inFlight(0, searches.length, batch, window, async (start, end) => {
      const request: Request = batch === 1 ? { op: 'find', filter: searches[start]!.filter, project }
        : { op: 'findAll', filters: searches.slice(start, end).map(({ filter }) => filter), project }
      const answer = await this.#client.ask(request)
      for (const results of batch === 1 ? [answer] : answer as unknown[]) sum += project ? sumProjected(results as Projection[]) : sumPlain(results as PlainDocument[])
    })
    return sum
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
  }
}

/** No server: the limit of what any way to reach one can come to. */
export class InProcessWay implements Way {
  readonly name = 'in_process'
  readonly settings = [ONE_AT_A_TIME]
  readonly #store = indexedStore()
  readonly #documents: readonly NoBenchDocument[]

  constructor({ documents }: DataSet) {
    this.#documents = documents
  }

  clear(): Promise<void> {
    this.#store.clear()
    return Promise.resolve()
  }

  build(from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const key = keyOf(i)
      this.#store.put(key, { key, body: this.#documents[i]! as unknown as PlainDocument['body'] })
    }
  }

  search(searches: readonly SearchOrder[]): number {
    let sum = 0
    for (const { filter } of searches) sum += sumPlain(this.#store.find({ where: conditionsOf(filter) }))
    return sum
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

function sumPlain(results: readonly PlainDocument[]): number {
  let sum = 0
  for (const { body } of results) {
    const { str1, num, nested_obj } = body as unknown as NoBenchDocument
    sum += checked(str1, num, nested_obj.num)
  }
  return sum
}

function sumProjected(results: readonly Projection[]): number {
  let sum = 0
  for (const [str1, num, nested] of results) sum += checked(str1, num, nested)
  return sum
}

/** Runs `work` over [from, to) in pieces of `batch`, `window` of them at a time. */
async function inFlight(from: number, to: number, batch: number, window: number, work: (start: number, end: number) => Promise<void>): Promise<void> {
  let next = from
  const lane = async (): Promise<void> => {
    while (next < to) {
      const start = next
      next = Math.min(to, start + batch)
      await work(start, next)
    }
  }
  await Promise.all(Array.from({ length: window }, lane))
}
