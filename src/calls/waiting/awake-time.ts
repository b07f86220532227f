import { halved } from './hot-time.js'

/**
 * How long a client's end waits awake for an answer: the whole time when answers come within it; half as long after each time
 * that none did, for a server that sleeps between calls, or works on them for long, is waited for in vain.
 */
export class AwakeTime {
  ms: number
  #sentAt = 0

  constructor(readonly wholeMs: number) {
    this.ms = wholeMs
  }

  /** A call is sent whose answer is not waited for awake. */
  sent(now: number): void {
    this.#sentAt = now
  }

  /** The end falls asleep: no answer has come in its time. */
  inVain(now: number): void {
    this.#sentAt = now - this.ms
    this.ms = halved(this.ms)
  }

  /** An answer has come while the end was awake. */
  answered(): void {
    this.ms = this.wholeMs
  }

  /** An answer woke the end: one that it would have seen awake shows that the time was too short. */
  woken(now: number): void {
    if (now - this.#sentAt < this.wholeMs) this.ms = this.wholeMs
  }
}
