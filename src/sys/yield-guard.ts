import { addon } from './addon.js'

/** A yield that takes longer has given the CPU to a third process, not to the peer. */
const SLOW_YIELD_MS = 1
const BACKOFF_MIN_MS = 10
const BACKOFF_MAX_MS = 1000
/** Good yields after which the memory of bad ones fades. */
const GOOD_YIELDS = 256

/**
 * Yields the CPU to a peer that shares it, as long as that helps: beside a third busy process one yield costs that
 * process's whole time slice, and sleeping is better.
 */
export class YieldGuard {
  readonly #backoffMaxMs: number
  #quietUntil = 0
  #backoffMs = BACKOFF_MIN_MS
  #good = 0

  /** @param backoffMaxMs the longest that bad yields keep it from trying again */
  constructor(backoffMaxMs = BACKOFF_MAX_MS) {
    this.#backoffMaxMs = backoffMaxMs
  }

  /** Yields once. False when yielding is no use now. */
  yield(): boolean {
    const start = performance.now()
    if (start < this.#quietUntil) return false
    addon.yieldCpu()
    const end = performance.now()
    if (end - start > SLOW_YIELD_MS) {
      this.#quietUntil = end + this.#backoffMs
      this.#backoffMs = Math.min(this.#backoffMs * 2, this.#backoffMaxMs)
      this.#good = 0
      return false
    }
    if (++this.#good % GOOD_YIELDS === 0) this.#backoffMs = Math.max(this.#backoffMs / 2, BACKOFF_MIN_MS)
    return true
  }
}
