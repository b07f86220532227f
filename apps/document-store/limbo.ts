/** One client that may hold pointers to documents. */
export interface Holder {
  /** The greatest ticket of a result that it was sent. */
  readonly sent: number
  /** Results up to this ticket it has given back: its own word for it, read afresh. */
  readonly released: number
  readonly gone: boolean
}

interface Batch<D> {
  readonly documents: readonly D[]
  /** Who may still hold one of them, and up to which of its tickets. */
  holders: ReadonlyArray<readonly [holder: Holder, sent: number]>
  /** `performance.now()`. */
  readonly since: number
}

const BATCH = 64
/** All are looked at again and again. */
const BATCHES_MAX = 256
/** While something waits, so often it is looked whether it may go. */
const LOOK_MS = 50

/**
 * Documents that are no longer in the store, and that a client may still be reading: each is freed once every client has given
 * back all results that it was sent until then. A client that never does cannot keep more than `max` of them: then the oldest go
 * all the same, as they do when there is no room for new documents (see {@link reclaim}), and what it reads there is an error or
 * another document, memory-safe in either case.
 */
export class Limbo<D> {
  #fresh: D[] = []
  #batches: Batch<D>[] = []
  #waiting = 0
  #timer: NodeJS.Timeout | undefined

  /**
   * @param free gives a document's memory back; @param holders the clients of the store now.
   * @param heldMs how long something may be held, as things are now: asked from time to time while something is.
   */
  constructor(
    private readonly free: (document: D) => void, private readonly holders: () => Iterable<Holder>,
    private readonly max: number, private readonly heldMs: () => number = () => Infinity,
  ) {}

  /** Documents that wait to be freed. */
  get size(): number {
    return this.#waiting + this.#fresh.length
  }

  /** Takes over a document. */
  add(document: D): void {
    this.#fresh.push(document)
    if (this.#fresh.length >= BATCH) this.collect()
    this.#lookLater()
  }

  addAll(documents: readonly D[]): void {
    for (const document of documents) this.#fresh.push(document)
    this.collect()
    this.#lookLater()
  }

  /** Frees what nobody can hold any more. */
  collect(): void {
    this.reclaim(Infinity)
  }

  /** Frees also what has waited so long, though somebody still holds it. */
  reclaim(heldMs: number): void {
    if (this.#fresh.length > 0) {
      const holders = [...this.holders()].map((holder) => [holder, holder.sent] as const)
      this.#batches.push({ documents: this.#fresh, holders, since: performance.now() })
      this.#waiting += this.#fresh.length
      this.#fresh = []
      if (this.#batches.length > BATCHES_MAX) this.#mergePairs()
    }
    const now = performance.now()
    this.#batches = this.#batches.filter((batch) => {
      batch.holders = batch.holders.filter(([holder, sent]) => !holder.gone && holder.released < sent)
      if (batch.holders.length > 0 && this.#waiting <= this.max && now - batch.since < heldMs) return true
      for (const document of batch.documents) this.free(document)
      this.#waiting -= batch.documents.length
      return false
    })
  }

  // Who may hold something of the later one has been sent more than of the earlier one, and gives back both when he gives back that.
  #mergePairs(): void {
    const merged: Batch<D>[] = []
    for (let i = 0; i < this.#batches.length; i += 2) {
      const [earlier, later] = [this.#batches[i]!, this.#batches[i + 1]]
      merged.push(later === undefined ? earlier : { ...later, documents: earlier.documents.concat(later.documents) })
    }
    this.#batches = merged
  }

  /** Stops looking; what waits goes with its heap. */
  close(): void {
    clearTimeout(this.#timer)
  }

  #look(): void {
    this.#timer = undefined
    this.reclaim(this.heldMs())
    this.#lookLater()
  }

  #lookLater(): void {
    if (this.size > 0) this.#timer ??= setTimeout(() => this.#look(), LOOK_MS).unref()
  }
}
