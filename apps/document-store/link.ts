// What every call of a client has to do with the store's book-keeping: hand-overs and tickets.
import { type Connection, type ObjectHeap, type Plain, RpcError, type View } from 'rpcool'
import { Results } from './results.js'
import type { Mode } from './server.js'
import { Document, type DocumentService, HANDING_MAX, Reader, RUN_PLACES, runOf, RUNS, SINGLE_PLACES } from './service.js'
import type { Json } from './store/values.js'

export type StoreConnection = Connection<(typeof DocumentService)['methods']>

/** A document on its way to the store. */
export interface Handed {
  readonly argument: Plain<typeof Document>
  /** Its call has ended: what the store refused is freed. */
  settle(outcome: Outcome): void
}

/** Of a call that hands over documents. One without an answer may still be carried out: what it handed over is the store's to free. */
export type Outcome = 'taken' | 'refused' | 'unanswered'

export function outcomeOf(error: unknown): Outcome {
  return RpcError.is(error) && UNANSWERED.has(error.code) ? 'unanswered' : 'refused'
}

const UNANSWERED: ReadonlySet<string> = new Set(['DEADLINE_EXCEEDED', 'CANCELLED', 'UNAVAILABLE'])

const NOTHING = (): void => undefined

export class Link {
  readonly #reader: View<typeof Reader>
  readonly #handing: View<typeof Reader>['handing']
  /** Places of {@link Reader.handing} for one document, plus one each, that are free. */
  readonly #places = Array.from({ length: SINGLE_PLACES }, (_, i) => SINGLE_PLACES - i)
  /** The first places of runs that are free. */
  readonly #runs = Array.from({ length: RUNS }, (_, i) => SINGLE_PLACES + i * RUN_PLACES)
  /** Runs, and places as runs of one, whose calls were not answered: free again when the store has taken out what is in them. */
  #undecided: Places[] = []
  /** Tickets of results not given back, the oldest first. */
  readonly #held = new Set<number>()
  #ticket = 0
  #mode: Mode = 'isolated'

  private constructor(readonly connection: StoreConnection) {
    this.#reader = connection.heap.new(Reader, { released: 0, handing: Array.from({ length: HANDING_MAX }, () => null) })
    this.#handing = this.#reader.handing
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
  results<Body>(addresses: Float64Array, ticket: number): Results<Body> {
    return new Results<Body>(this.connection.heap, addresses, () => this.giveBack(ticket))
  }

  /** Builds a document where the store wants it: in the heap that all share, or in memory that goes with the call. */
  hand(key: string, body: Json): Handed {
    if (this.#mode === 'isolated') return { argument: { place: 0, key, body }, settle: NOTHING }
    const { heap } = this.connection
    if (this.#places.length === 0) this.#reclaimPlaces()
    const place = this.#places.pop() ?? 0
    const document = heap.new(Document, { place, key, body })
    // With no place free nobody but this client knows of it.
    if (place === 0) return { argument: document, settle: (outcome) => { if (outcome === 'refused') heap.free(document) } }
    this.#handing.set(place - 1, document)
    return {
      argument: document,
      settle: (outcome) => this.settle({ first: place - 1, end: place }, outcome),
    }
  }

  /**
   * Whether something that failed is worth trying again. A trusting store is full as long as documents that were deleted lie in memory
   * of a client's: it takes that back now.
   */
  canMakeRoom(error: unknown): boolean {
    if (this.#mode !== 'trusting' || !RpcError.is(error) || error.code !== 'RESOURCE_EXHAUSTED') return false
    this.connection.heap.collect()
    return true
  }

  /** A run of places to be filled; undefined when none is free. */
  takeRun(): Run | undefined {
    if (this.#runs.length === 0) this.#reclaimPlaces()
    const first = this.#runs.pop()
    return first === undefined ? undefined : new Run(this.connection.heap, this.#handing, first)
  }

  /** The call that handed over what is in these places has ended, or was refused before it was made. */
  settle(places: Places, outcome: Outcome): void {
    if (outcome === 'unanswered') {
      this.#undecided.push(places)
      return
    }
    if (outcome === 'refused') for (let place = places.first; place < places.end; place++) this.#takeBack(place)
    if (places.first < SINGLE_PLACES) this.#places.push(places.first + 1)
    else this.#runs.push(places.first)
  }

  #reclaimPlaces(): void {
    const undecided = this.#undecided
    this.#undecided = []
    for (const places of undecided) this.settle(places, this.#isEmpty(places) ? 'taken' : 'unanswered')
  }

  #isEmpty({ first, end }: Places): boolean {
    for (let place = first; place < end; place++) if (this.#handing.at(place) !== null) return false
    return true
  }

  /** The server takes out what it takes over. */
  #takeBack(place: number): void {
    const document = this.#handing.at(place)
    if (document === undefined || document === null) return
    this.#handing.set(place, null)
    this.connection.heap.free(document)
  }
}

/** Of {@link Reader.handing}: from `first` to before `end`. */
interface Places {
  readonly first: number
  readonly end: number
}

/** Documents that one call hands over. */
export class Run implements Places {
  end: number

  constructor(private readonly heap: ObjectHeap, private readonly handing: View<typeof Reader>['handing'], readonly first: number) {
    this.end = first
  }

  get isFull(): boolean {
    return this.end === this.first + RUN_PLACES
  }

  /** What the call is given. */
  get argument(): number {
    return runOf(this.first, this.end - this.first)
  }

  add(key: string, body: Json): void {
    this.handing.set(this.end, this.heap.new(Document, { place: this.end + 1, key, body }))
    this.end++
  }
}
