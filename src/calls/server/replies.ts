import { RpcError } from '../../base/errors.js'
import { Answer, Slot } from '../../layout/control-layout.js'
import { type CallScope, CallScopePool, closeScope, type HeapSet, ignoringSpoils } from '../../memory/index.js'
import type { Cell } from '../../objects/index.js'

/** How often a result is built again that grows. */
const REBUILDS_MAX = 3
/** The share of its time that the server collects memory at a client's word, which walks all spans it owns in the heap, and so much at once. */
const COLLECTING_SHARE = 0.1
const COLLECTING_MS = 50

/** The memory of a connection's results: each in a scope, which the client may hold until the next request of its slot. */
export class Replies {
  /** For each slot: what the client holds the last result in. */
  readonly #lent: (CallScope | null)[]
  readonly #pool: CallScopePool
  readonly #openedAt = performance.now()
  #collectingMs = 0

  constructor(heaps: HeapSet, slots: number) {
    this.#lent = Array.from({ length: slots }, () => null)
    this.#pool = new CallScopePool(heaps)
  }

  /** The slot's next request has come, and says whether it gives the last result back; else that is the client's for good. */
  takeBack(slot: number, returned: boolean): void {
    const scope = this.#lent[slot]!
    if (scope === null) return
    this.#lent[slot] = null
    if (!returned) scope.detach()
    this.#pool.give(scope)
  }

  /** Builds a reply, in one chunk, and its cell in `out`. @returns whether it took any memory. */
  write(slot: number, cell: Cell, value: unknown, out: Int32Array): boolean {
    const scope = this.#pool.take()
    try {
      writeInOneChunk(scope, cell, value, out)
    } catch (error) {
      if (!this.#pool.giveFailed(scope, error)) throw error
      return this.write(slot, cell, value, out)
    }
    if (scope.isEmpty) {
      this.#pool.give(scope)
      return false
    }
    this.#lent[slot] = scope
    return true
  }

  /** Names the memory of a reply, which took some, to the client: in the slot's line at word `at`. @returns its bits of the answer. */
  name(slot: number, words: Int32Array, at: number): number {
    const scope = this.#lent[slot]!
    const region = scope.firstRegion
    words[at + Slot.CHUNK] = region.lowOf(scope.firstWord)
    words[at + Slot.CHUNK + 1] = region.high
    words[at + Slot.USED] = scope.isWhole ? scope.usedBytes : 0
    return Math.min(scope.capacity + 1023 >>> 10, Answer.CHUNK_MAX) << Answer.CHUNK_SHIFT
  }

  /** Takes back what the client has freed, which stays this side's until somebody looks, and frees what is kept for later results. */
  collect(): void {
    const start = performance.now()
    if (this.#collectingMs > COLLECTING_MS + (start - this.#openedAt) * COLLECTING_SHARE) return
    this.#pool.empty()
    ignoringSpoils(() => this.#pool.heaps.collect())
    this.#collectingMs += performance.now() - start
  }

  /** In a heap that outlives the connection they would stay. */
  close(): void {
    for (const scope of this.#lent) if (scope !== null) closeScope(scope)
    this.#pool.empty()
  }
}

/** The client gives a result back as one chunk: it is built again where it fits. What it is made of may grow meanwhile. */
function writeInOneChunk(scope: CallScope, cell: Cell, value: unknown, out: Int32Array): void {
  cell.write(scope, value, out, 0)
  for (let times = 0; !scope.isOneChunk; times++) {
    if (times === REBUILDS_MAX) throw new RpcError('ABORTED', 'the result grew whenever it was about to be written')
    scope.rebuild(() => cell.write(scope, value, out, 0))
  }
}
