import { NeedlessCount } from '../../base/needless.js'
import { addon, watch, type Watch } from '../../sys/index.js'

/** Needless wake-ups an honest peer may cause in a second: a wake-up can be crossed by a message that was seen by polling. */
const NEEDLESS_MAX = 1000
const NEEDLESS_WINDOW_MS = 1000

export interface DoorbellEvents {
  /** The peer has published something while we slept. @returns whether anything was there. */
  rung(): boolean
  /** The peer has closed its end, or died. */
  ended(): void
}

/**
 * The connection's own Unix socket: one byte wakes the peer, its end tells that the peer is gone. It is read and written
 * without ever blocking, whatever the peer does to it.
 * Owns the descriptor.
 */
export class Doorbell {
  readonly #watch: Watch
  #open = true
  readonly #needless = new NeedlessCount(NEEDLESS_MAX, NEEDLESS_WINDOW_MS)

  constructor(readonly fd: number, readonly events: DoorbellEvents) {
    this.#watch = watch(fd, () => this.#readable())
  }

  /** Wakes the peer. A full socket has woken it already; a broken one is noticed by its end. */
  ring(): void {
    if (this.#open) addon.ringDoorbell(this.fd)
  }

  /**
   * Blocks this thread until the doorbell rings, the peer is gone (then `ended` was called) or the time is over.
   * @returns whether the peer is still there.
   */
  block(timeoutMs: number): boolean {
    if (this.#open && addon.pollReadable(this.fd, Math.max(0, Math.ceil(timeoutMs)))) this.#take()
    return this.#open
  }

  /** The peer has died, which this socket need not tell: a child of it may hold the other end. */
  peerDied(): void {
    this.#end()
  }

  setReferenced(referenced: boolean): void {
    this.#watch.setReferenced(referenced)
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#watch.close()
    addon.shutdownSocket(this.fd)
    addon.closeFd(this.fd)
  }

  #readable(): void {
    if (!this.#open || !this.#take()) return
    // A flood costs us a wake-up a byte: whoever sends one has no business here.
    if (!this.events.rung() && this.#needless.add()) this.#end()
  }

  /** Empties the socket. False when the peer is gone. */
  #take(): boolean {
    const got = addon.drainDoorbell(this.fd)
    if (got > 0 || got === -1) return true
    this.#end()
    return false
  }

  #end(): void {
    if (!this.#open) return
    this.close()
    this.events.ended()
  }
}
