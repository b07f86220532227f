import { RpcError } from '../../base/errors.js'
import { SealOutcome } from '../../layout/seal-layout.js'
import { addon } from '../../sys/index.js'
import type { Strength } from './strength.js'

/**
 * How a sender gives up, and gets back, write access to its pages (paper, sections 4.5 and 5.3). One for each heap of a connection
 * whose arguments are sealed. Whoever does it, the receiver finds the same descriptors.
 *
 * Requests are queued, and go out together by `flush`: adjacent ranges cost one kernel call. Nothing here waits but `wait`.
 */
export interface SealAuthority extends Disposable {
  readonly backend: 'userfaultfd' | 'cooperative'
  readonly strength: Strength
  /** Seals that may be in flight. */
  readonly capacity: number
  /** Seals queued or in flight. */
  readonly inFlight: number

  /**
   * Asks for a seal of whole pages; `address` and `byteLength` are multiples of the page size. Returns the index of its descriptor,
   * which goes with the call. The sender must not write there from now on.
   * @throws RpcError INVALID_ARGUMENT (not pages of this authority), RESOURCE_EXHAUSTED (all descriptors are in flight, or the queue is
   * full: flush and wait), FAILED_PRECONDITION (closed, or the seals were broken), UNAVAILABLE (the other end is gone).
   */
  queueSeal(address: number, byteLength: number): number

  /**
   * Asks for a release. The index may be reused as soon as that is done.
   * @throws RpcError INVALID_ARGUMENT (no such seal of this sender: released before, or never made), RESOURCE_EXHAUSTED (the queue is full),
   * FAILED_PRECONDITION (closed), UNAVAILABLE (the other end is gone, and with it every seal).
   */
  queueRelease(index: number): void

  /** Sends what was queued. Returns a ticket for all of it, and for everything before. */
  flush(): SealTicket

  /** Whether everything up to the ticket was dealt with. Never blocks. */
  isDone(ticket: SealTicket): boolean

  /** Whether a descriptor is this sender's still: asked when its seal or release was dealt with, tells which of many was refused. */
  isTaken(index: number): boolean

  /**
   * Waits until everything up to the ticket was dealt with: polling first, then asleep.
   * @throws RpcError the first refusal up to the ticket (that request changed nothing): FAILED_PRECONDITION for a release before the
   * receiver's completion, ABORTED for pages that are sealed already; DEADLINE_EXCEEDED; UNAVAILABLE when the sealer is gone.
   */
  wait(ticket: SealTicket, timeoutMs?: number): void

  /** Gives the descriptors back. What is still sealed stays so until the connection's memory goes. Idempotent. */
  close(): void
}

declare const brand: unique symbol
export type SealTicket = number & { readonly [brand]: 'SealTicket' }

/** How long a seal or release may take, in milliseconds, where nobody says otherwise: a sealer that takes longer hangs. */
export const SEAL_TIMEOUT_MS = 5000

/** Seals ranges of pages, each under a descriptor of its own, in as few kernel calls as possible, and waits. */
export function sealNow(authority: SealAuthority, ranges: ReadonlyArray<{ readonly address: number, readonly byteLength: number }>): number[] {
  const indexes = ranges.map(({ address, byteLength }) => authority.queueSeal(address, byteLength))
  authority.wait(authority.flush())
  return indexes
}

/** Releases seals whose calls are complete, and waits. */
export function releaseNow(authority: SealAuthority, indexes: readonly number[]): void {
  for (const index of indexes) authority.queueRelease(index)
  authority.wait(authority.flush())
}

const MADV_POPULATE_WRITE = 23

/**
 * Makes released pages writable in one go. Without it the first store to each takes a fault of its own, which costs about a third more.
 * Worth it for pages that are rewritten soon; they must not be sealed. Source: madvise(2), MADV_POPULATE_WRITE.
 */
export function warmPages(address: number, byteLength: number): void {
  addon.advise(address, byteLength, MADV_POPULATE_WRITE)
}

/** The error for a request that was not carried out. */
export function refusal(outcome: number, what: 'seal' | 'release', descriptor: number): RpcError {
  const place = `the ${what} with descriptor ${descriptor} was refused`
  switch (outcome) {
    case SealOutcome.NOT_COMPLETE:
      return new RpcError('FAILED_PRECONDITION', `${place}: the receiver has not completed its call; release after the answer`)
    case SealOutcome.OVERLAPS:
      return new RpcError('ABORTED', `${place}: some of its pages are sealed for another call; wait for its release, or use another scope`)
    case SealOutcome.OUT_OF_RANGE:
      return new RpcError('INVALID_ARGUMENT', `${place}: its pages are not sealable memory of this connection`)
    case SealOutcome.BAD_DESCRIPTOR:
      return new RpcError('INVALID_ARGUMENT', `${place}: there is no such descriptor, or it is in use`)
    case SealOutcome.NOT_SEALED:
      return new RpcError('INVALID_ARGUMENT', `${place}: it is not sealed`)
    default:
      return new RpcError('INTERNAL', `${place}: the kernel did not change the protection of the pages (outcome ${outcome})`)
  }
}
