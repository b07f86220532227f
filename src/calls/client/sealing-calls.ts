import { RpcError } from '../../base/errors.js'
import { type ArgumentSeals, SEAL_TIMEOUT_MS, type SealedArgument, type SealTicket } from '../../safety/index.js'
import type { Patience, QueuedCall } from './waiters.js'

/** How long seals are looked at in every turn of the event loop; after that, once in a millisecond. */
const HOT_MS = 1
const PAUSE_MS = 1
/** Seals that nobody waits for any more are still looked at, so that they can be given back. */
const LATE_PAUSE_MS = 100

/** A call that somebody awaits and whose argument is to be sealed before it is sent. */
export interface SealingCall extends QueuedCall {
  readonly argument: SealedArgument
}

/** What becomes of a call whose seal was asked for. */
export interface SealingEvents {
  /** Calls that could be sent now. */
  free(): number
  /** Its argument is sealed. */
  sealed(call: SealingCall): void
  /** Nobody waits for it any more, and its argument is sealed: the seal must be given back. */
  orphaned(argument: SealedArgument): void
  /** Its argument is not sealed, and is not to be. */
  refused(call: SealingCall, error: RpcError): void
}

interface Batch {
  readonly ticket: SealTicket
  readonly calls: readonly SealingCall[]
  readonly since: number
  timedOut: boolean
}

/**
 * Calls between their building and their sending: the seals of all that were made in one turn go out together, and nobody blocks
 * until they are in force. Every one of them ends by one of the events, unless {@link fail} comes first.
 */
export class SealingCalls {
  #asked: SealingCall[] = []
  #batches: Batch[] = []
  /** Given up by those who awaited them. */
  readonly #givenUp = new Set<SealingCall>()
  readonly #seals: ArgumentSeals
  readonly #events: SealingEvents
  #scheduled = false
  #failed = false

  constructor(seals: ArgumentSeals, events: SealingEvents) {
    this.#seals = seals
    this.#events = events
  }

  /** Calls that will be sent, or refused. */
  get count(): number {
    let sum = this.#asked.length
    for (const { calls } of this.#batches) sum += calls.length
    return sum
  }

  /**
   * Takes a call, unless there would be no slot for it: no more seals are asked for than calls can be sent, since one that is asked for
   * and not sent can only be given back by a slot.
   */
  add(call: SealingCall): boolean {
    if (this.#events.free() <= this.count) return false
    try {
      this.#seals.ask(call.argument)
    } catch (error) {
      call.argument.end()
      this.#events.refused(call, RpcError.is(error) ? error : new RpcError('INTERNAL', `sealing failed: ${String(error)}`))
      return true
    }
    this.#asked.push(call)
    if (this.#asked.length === 1) queueMicrotask(() => this.#flush())
    return true
  }

  /** Whoever awaits the call gives up; it is the caller's to reject. */
  giveUp(patience: Patience): SealingCall | undefined {
    const call = this.#all().find(({ waiter }) => waiter.patience === patience)
    if (call !== undefined) this.#givenUp.add(call)
    return call
  }

  /** The connection is over: gives the calls that somebody still awaits. */
  fail(): SealingCall[] {
    this.#failed = true
    const calls = this.#all().filter((call) => !this.#givenUp.has(call))
    this.#asked = []
    this.#batches = []
    return calls
  }

  #all(): SealingCall[] {
    return [...this.#batches.flatMap(({ calls }) => calls), ...this.#asked]
  }

  #flush(): void {
    if (this.#failed || this.#asked.length === 0) return
    const calls = this.#asked
    this.#asked = []
    this.#batches.push({ ticket: this.#seals.flush(), calls, since: performance.now(), timedOut: false })
    this.#look()
  }

  #look(): void {
    this.#scheduled = false
    for (let first = this.#batches[0]; first !== undefined && this.#seals.isDone(first.ticket); first = this.#batches[0]) {
      this.#batches.shift()
      this.#settle(first)
    }
    const first = this.#batches[0]
    if (first === undefined || this.#scheduled) return
    this.#scheduled = true
    const waited = performance.now() - first.since
    if (waited >= SEAL_TIMEOUT_MS && !first.timedOut) this.#timeOut(first)
    if (waited < HOT_MS) setImmediate(() => this.#look())
    else setTimeout(() => this.#look(), first.timedOut ? LATE_PAUSE_MS : PAUSE_MS).unref()
  }

  #settle({ ticket, calls }: Batch): void {
    const refused = this.#seals.wait(ticket)
    for (const call of calls) {
      if (this.#failed) return
      const givenUp = this.#givenUp.delete(call)
      if (this.#seals.isInForce(call.argument)) {
        if (givenUp) this.#events.orphaned(call.argument)
        else this.#events.sealed(call)
      } else if (!givenUp) this.#events.refused(call, refused ?? new RpcError('INTERNAL', 'the argument was not sealed, and nobody says why'))
    }
  }

  #timeOut(batch: Batch): void {
    batch.timedOut = true
    const late = new RpcError('DEADLINE_EXCEEDED', `the sealer did not answer within ${SEAL_TIMEOUT_MS} ms`)
    for (const call of batch.calls) {
      if (this.#givenUp.has(call)) continue
      this.#givenUp.add(call)
      this.#events.refused(call, late)
    }
  }
}
