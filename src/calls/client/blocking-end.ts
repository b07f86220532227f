import type { RpcError } from '../../base/errors.js'
import { loadPublished, pause } from '../../base/ordering.js'
import { WaitingFlag } from '../../layout/control-layout.js'
import { addon } from '../../sys/index.js'
import { YieldGuard } from '../../sys/yield-guard.js'
import { End } from '../waiting/end.js'

/** Loads of the answer's word between looks at the CPU, the clock and the doorbell. */
const SYNC_STEP = 64
/** How long a blocked thread sleeps at once: an upper bound on how long a fault in waking, or a death that the doorbell does not tell, goes unnoticed. */
const BLOCK_MS = 100
const YIELDS_MAX = 8

/** An end that can wait for its peer on this thread. */
export abstract class BlockingEnd extends End {
  /** Why the connection is over. */
  protected gone: RpcError | undefined

  /** Both ends run on one CPU, as far as is known: spinning only keeps the peer from answering. */
  protected besidePeer = false

  readonly #guard = new YieldGuard()

  /** Looks for news of others' deaths: the event loop, which brings them else, has no turn while this thread waits. */
  protected abstract attend(): void

  #cpu = -1

  /** Spins, yields and sleeps until the word is there. False when the time (milliseconds) is over or the peer is gone. */
  protected blockUntil(at: number, expected: number, timeoutMs: number): boolean {
    const start = performance.now()
    const deadline = start + timeoutMs
    let attendAt = start + BLOCK_MS
    const { words } = this
    if (this.policy.syncSpins > 0 && this.#yieldToPeer(at, expected)) return true
    for (let spins = this.policy.syncSpins; spins > 0; spins -= SYNC_STEP) {
      for (let i = 0; i < SYNC_STEP; i++) {
        if (loadPublished(words, at) === expected) return true
        pause()
      }
      if (spins !== Infinity) continue
      const now = performance.now()
      if (now > deadline || !this.doorbell.block(0)) break
      if (now >= attendAt) attendAt = this.#attend(now)
    }
    while (this.isUnmapped || Atomics.load(words, at) !== expected) {
      const now = performance.now()
      if (now >= deadline || this.gone !== undefined) return false
      if (now >= attendAt) attendAt = this.#attend(now)
      else this.#sleepUntilRung(at, expected, Math.min(deadline - now, BLOCK_MS))
    }
    return true
  }

  /** @returns when it is time for it again. */
  #attend(now: number): number {
    this.attend()
    return now + BLOCK_MS
  }

  #sleepUntilRung(at: number, expected: number, timeoutMs: number): void {
    const { words } = this
    Atomics.store(words, this.line, WaitingFlag.ASLEEP)
    this.asleep = true
    if (Atomics.load(words, at) !== expected) this.doorbell.block(timeoutMs)
    this.awake()
    // Calls that somebody awaits relied on the doorbell, too.
    if (this.expecting()) this.poller.add(this)
  }

  /** When both ends run on one CPU, spinning only keeps the peer from answering. True when it has answered. */
  #yieldToPeer(at: number, expected: number): boolean {
    const cpu = addon.currentCpu()
    if (cpu !== this.#cpu) {
      this.#cpu = cpu
      this.publishCpu(cpu)
    }
    this.besidePeer = this.peerCpu() === cpu
    if (!this.besidePeer) return false
    for (let yields = 0; yields < YIELDS_MAX && this.#guard.yield(); yields++) {
      if (Atomics.load(this.words, at) === expected) return true
    }
    return false
  }
}
