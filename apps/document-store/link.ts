// What every call of a client has to do with the store's book-keeping: hand-overs and tickets.
import { type Connection, type Plain, RpcError, type View } from 'rpcool'
import { Results } from './results.js'
import type { Mode } from './server.js'
import { Document, type DocumentService, HANDING_MAX, Reader } from './service.js'
import type { Json } from './store/values.js'

export type StoreConnection = Connection<(typeof DocumentService)['methods']>

/** A document on its way to the store. */
export interface Handed {
  readonly argument: Plain<typeof Document>
  /** The store has answered, or failed to: what it did not take is freed. */
  settle(): void
}

const NOTHING = (): void => undefined

export class Link {
  readonly #reader: View<typeof Reader>
  /** Places of {@link Reader.handing} that are free. */
  readonly #places = Array.from({ length: HANDING_MAX }, (_, i) => HANDING_MAX - i)
  /** Tickets of results not given back, the oldest first. */
  readonly #held = new Set<number>()
  #ticket = 0
  #mode: Mode = 'isolated'

  private constructor(readonly connection: StoreConnection) {
    this.#reader = connection.heap.new(Reader, { released: 0, handing: Array.from({ length: HANDING_MAX }, () => null) })
  }

  static async open(connection: StoreConnection): Promise<Link> {
    const link = new Link(connection)
    const mode = await connection.open(link.#reader)
    if (mode !== 'trusting' && mode !== 'isolated') throw new RpcError('FAILED_PRECONDITION', `the store has a mode that this client does not know: ${mode}`)
    link.#mode = mode
    return link
  }

  get mode(): Mode {
    return this.#mode
  }

  /** A number for a result that is about to be asked for. It holds documents in the store until {@link giveBack}. */
  takeTicket(): number {
    const ticket = ++this.#ticket
    this.#held.add(ticket)
    return ticket
  }

  giveBack(ticket: number): void {
    if (!this.#held.delete(ticket)) return
    // All before the oldest that is still held have been given back.
    let oldest = this.#ticket + 1
    for (const held of this.#held) {
      oldest = held
      break
    }
    this.#reader.released = oldest - 1
  }

  /** What a search with this ticket answered. */
  results(addresses: Float64Array, ticket: number): Results {
    return new Results(this.connection.heap, addresses, () => this.giveBack(ticket))
  }

  /** Builds a document where the store wants it: in the heap that all share, or in memory that goes with the call. */
  hand(key: string, body: Json): Handed {
    if (this.#mode === 'isolated') return { argument: { place: 0, key, body }, settle: NOTHING }
    const { heap } = this.connection
    const place = this.#places.pop() ?? 0
    const document = heap.new(Document, { place, key, body })
    if (place === 0) return { argument: document, settle: NOTHING }
    const { handing } = this.#reader
    handing.set(place - 1, document)
    return {
      argument: document,
      settle: () => {
        // The server takes out what it takes over.
        if (handing.at(place - 1) !== null) {
          handing.set(place - 1, null)
          heap.free(document)
        }
        this.#places.push(place)
      },
    }
  }
}
