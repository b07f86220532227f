import { RpcError } from '../../../base/errors.js'
import { PAGE_BYTES, type Address } from '../../../base/numbers.js'
import { attachHeader } from '../../../layout/header.js'
import {
  RELEASE_REQUEST, REQUEST_CODE, REQUEST_DESCRIPTOR, REQUEST_PAGE, REQUEST_PAGES, REQUESTS_ASLEEP, REQUESTS_COUNT, REQUESTS_CPU, REQUESTS_POLLING,
  REQUESTS_SEALER_WORD, REQUESTS_SENDER_WORD, REQUESTS_WAITING, requestWord, SEAL_REQUEST, SEAL_REQUESTS_KIND, SEALS_FINGERPRINT,
} from '../../../layout/seal-layout.js'
import { addon } from '../../../sys/index.js'
import { YieldGuard } from '../../../sys/yield-guard.js'
import { SEAL_TIMEOUT_MS, type SealAuthority, type SealTicket } from '../authority.js'
import { SenderState } from './sender-state.js'
import type { Strength } from '../strength.js'

const DONE_WORD = REQUESTS_SEALER_WORD + REQUESTS_COUNT
/** Looks at the sealer's word before anything else is considered: some 5 µs. */
const FIRST_SPINS = 1000
/** How long a sender polls before it sleeps: a sealer that was asleep takes about that long to wake. */
const HOT_MS = 0.15

/** After a yield that went to somebody else the sender sleeps instead, for so long: each seal takes two hand-overs of the CPU. */
const YIELD_BACKOFF_MS = 10

/** The wire to the sealer. */
export interface SealerBell {
  /** Wakes the sealer, which says in its line of the ring how it waits. */
  ring(waiting: number): void
  /** Blocks until the sealer woke this side, at most so long; reads what came. False when the sealer is gone. */
  sleep(timeoutMs: number): boolean
}

/** What the sealer granted. The buffer stays its owner's. */
export interface RequestedGrant {
  readonly requests: ArrayBuffer
  readonly requestCount: number
  readonly descriptorCount: number
  readonly base: Address
  readonly byteLength: number
  readonly strength: Strength
  /** The sealer found this process at something that breaks seals, or the receiver, who can write this too, says so. */
  readonly isBroken: () => boolean
  /** Called once, by `close`. */
  readonly closed: () => void
}

/** Seals by a trusted process, asked over a ring in shared memory. Both sides poll while there is work, then sleep. */
export class RequestedAuthority implements SealAuthority {
  readonly backend = 'userfaultfd'
  readonly strength: Strength
  readonly #words: Int32Array
  readonly #mask: number
  readonly #state: SenderState
  readonly #bell: SealerBell
  readonly #grant: RequestedGrant
  readonly #guard = new YieldGuard(YIELD_BACKOFF_MS)
  /** Private copies of what was asked: the kind, and the descriptor. */
  readonly #codes: Uint8Array
  readonly #indexes: Uint32Array
  /** Counts of requests written, published and settled; they do not wrap, the shared words do. */
  #written = 0
  #posted = 0
  #settled = 0
  #cpu = -1
  #open = true
  #gone = false

  constructor(grant: RequestedGrant, bell: SealerBell) {
    this.strength = grant.strength
    this.#bell = bell
    this.#grant = grant
    this.#words = new Int32Array(grant.requests)
    this.#mask = grant.requestCount - 1
    this.#codes = new Uint8Array(grant.requestCount)
    this.#indexes = new Uint32Array(grant.requestCount)
    this.#state = new SenderState(grant.base, grant.byteLength / PAGE_BYTES, grant.descriptorCount)
    attachHeader(this.#words, { kind: SEAL_REQUESTS_KIND, fingerprint: SEALS_FINGERPRINT, geometry: grant.requestCount }, 'ring of seal requests')
  }

  get capacity(): number {
    return this.#state.capacity
  }

  get inFlight(): number {
    return this.#state.inFlight
  }

  queueSeal(address: number, byteLength: number): number {
    const page = this.#state.pageOf(address, byteLength)
    this.#checkRoom()
    if (this.#grant.isBroken()) {
      throw new RpcError('FAILED_PRECONDITION', 'the sealer found that this process mapped the heap a second time or punched it: its seals do not count any more')
    }
    const index = this.#state.take()
    this.#write(SEAL_REQUEST, page, byteLength / PAGE_BYTES, index)
    return index
  }

  isTaken(index: number): boolean {
    return this.#state.isTaken(index)
  }

  queueRelease(index: number): void {
    this.#checkRoom()
    this.#state.startRelease(index)
    this.#write(RELEASE_REQUEST, 0, 0, index)
  }

  flush(): SealTicket {
    if (this.#open && this.#posted !== this.#written) {
      this.#posted = this.#written
      // Pairs with the sealer's load in SenderRequests.take; after it the sealer's flag is looked at, as it looks at this word after
      // it raised the flag.
      Atomics.store(this.#words, REQUESTS_SENDER_WORD + REQUESTS_COUNT, this.#posted | 0)
      const waiting = Atomics.load(this.#words, REQUESTS_SEALER_WORD + REQUESTS_WAITING)
      if (waiting !== REQUESTS_POLLING) this.#bell.ring(waiting)
    }
    return this.#posted as SealTicket
  }

  isDone(ticket: SealTicket): boolean {
    this.#settle()
    return this.#settled >= ticket
  }

  wait(ticket: SealTicket, timeoutMs = SEAL_TIMEOUT_MS): void {
    for (let spins = 0; !this.isDone(ticket) && spins < FIRST_SPINS && !this.#sharesCpu; spins++);
    if (!this.isDone(ticket)) this.#waitLonger(ticket, timeoutMs)
    this.#state.throwRefusal(ticket)
  }

  /** The other end is gone: pages are writable again, nothing is sealed any more. */
  fail(): void {
    this.#gone = true
  }

  /** The ring is about to be unmapped. */
  abandon(): void {
    this.#open = false
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#grant.closed()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  get #sharesCpu(): boolean {
    return this.#cpu === this.#words[REQUESTS_SEALER_WORD + REQUESTS_CPU]
  }

  #checkRoom(): void {
    if (!this.#open) throw new RpcError('FAILED_PRECONDITION', 'the seals of this connection are closed')
    if (this.#gone) throw new RpcError('UNAVAILABLE', 'the other end is gone: nothing can be sealed for it')
    if (this.#written - this.#settled <= this.#mask) return
    this.#settle()
    if (this.#written - this.#settled <= this.#mask) return
    throw new RpcError('RESOURCE_EXHAUSTED', `${this.#mask + 1} seals and releases wait for the sealer already; flush, and wait for some`)
  }

  #write(code: number, page: number, pages: number, index: number): void {
    const i = this.#written++ & this.#mask
    const at = requestWord(i)
    const words = this.#words
    words[at + REQUEST_PAGE] = page
    words[at + REQUEST_PAGES] = pages
    words[at + REQUEST_DESCRIPTOR] = index
    words[at + REQUEST_CODE] = code
    this.#codes[i] = code
    this.#indexes[i] = index
  }

  /** Takes outcomes. Pairs with the sealer's store in SenderRequests.answer. */
  #settle(): void {
    if (!this.#open) return
    // The low halves are compared: no more than a ring full of requests is open, and a sealer that says more is not believed.
    const open = Math.min((Atomics.load(this.#words, DONE_WORD) - this.#settled) | 0, this.#posted - this.#settled)
    if (open <= 0) return
    const [words, codes, indexes, state, mask] = [this.#words, this.#codes, this.#indexes, this.#state, this.#mask]
    const end = this.#settled + open
    for (let number = this.#settled; number < end; number++) {
      const i = number & mask
      state.settle(number + 1, codes[i] === SEAL_REQUEST, indexes[i]!, words[requestWord(i) + REQUEST_CODE]!)
    }
    this.#settled = end
  }

  #waitLonger(ticket: SealTicket, timeoutMs: number): void {
    const start = performance.now()
    if (this.#open) this.#publishCpu()
    for (let now = start; !this.isDone(ticket); now = performance.now()) {
      if (!this.#open) throw new RpcError('CANCELLED', 'the seals of this connection were closed')
      if (this.#gone) throw new RpcError('UNAVAILABLE', 'the other end is gone: nothing can be sealed for it')
      if (now - start >= timeoutMs) throw new RpcError('DEADLINE_EXCEEDED', `the sealer did not answer within ${timeoutMs} ms`)
      if (now - start < HOT_MS && this.#pause(ticket)) continue
      this.#sleep(ticket, timeoutMs - (now - start))
    }
  }

  /** Lets time pass while it is likely that the answer comes soon; false when it is better to sleep. */
  #pause(ticket: SealTicket): boolean {
    if (this.#sharesCpu) return this.#guard.yield()
    for (let i = 0; i < FIRST_SPINS / 10 && !this.isDone(ticket); i++);
    return true
  }

  #publishCpu(): void {
    const cpu = addon.currentCpu() + 1
    if (cpu === this.#cpu) return
    this.#cpu = cpu
    Atomics.store(this.#words, REQUESTS_SENDER_WORD + REQUESTS_CPU, cpu)
  }

  #sleep(ticket: SealTicket, timeoutMs: number): void {
    const flag = REQUESTS_SENDER_WORD + REQUESTS_WAITING
    Atomics.store(this.#words, flag, REQUESTS_ASLEEP)
    try {
      // Once more, after the flag: the sealer looks at the flag after it answered.
      if (this.isDone(ticket)) return
      if (!this.#bell.sleep(Math.ceil(timeoutMs)) && !this.isDone(ticket)) {
        throw new RpcError('UNAVAILABLE', 'the sealer is gone; seals stay as they are, and the next one tries to reach it again')
      }
    } finally {
      Atomics.store(this.#words, flag, REQUESTS_POLLING)
    }
  }
}
