import { tailsOf, type Tails } from './statistics.js'
import { nowNs } from './clock.js'

const PERIOD_NS = 1e6
const SAMPLES_MAX = 200_000

export interface LatenessFigures {
  /** How much later than asked for a 1 ms timer fires. */
  readonly timer: Tails
}

/** Of a process that ran none. */
export const NO_LATENESS: LatenessFigures = { timer: tailsOf(new Float64Array(1)) }

/** A 1 ms timer that records how late it fires: what a busy poll loop costs everything else on the event loop. */
export class LatenessMeter {
  readonly #samples = new Float64Array(SAMPLES_MAX)
  #count = 0
  #asked = Infinity
  #timer: NodeJS.Timeout | undefined

  start(): void {
    this.#ask()
  }

  pause(): void {
    clearTimeout(this.#timer)
    // One that is overdue counts with what it is late by now: else those that never came would be missing.
    if (nowNs() - this.#asked > PERIOD_NS) this.#record()
    this.#asked = Infinity
  }

  /** What was recorded so far does not count: it belongs to the warm-up. */
  forget(): void {
    this.#count = 0
  }

  /** Ends the meter. */
  stop(): LatenessFigures {
    this.pause()
    return { timer: tailsOf(this.#samples.subarray(0, Math.max(1, this.#count))) }
  }

  #ask(): void {
    this.#asked = nowNs()
    this.#timer = setTimeout(() => {
      this.#record()
      this.#ask()
    }, 1)
  }

  #record(): void {
    if (this.#count < SAMPLES_MAX) this.#samples[this.#count++] = Math.max(0, nowNs() - this.#asked - PERIOD_NS)
  }
}
