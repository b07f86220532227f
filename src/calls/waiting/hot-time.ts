/** Below this it is not worth to stay awake at all, in milliseconds. */
const LEAST_MS = 0.004
/** A message that wakes the end so soon after it fell asleep was sent soon after, too: waking takes most of it on a busy machine. */
const SOON_MS = 1
/** No client's pause between two calls is waited for longer, in milliseconds: four times what a wake-up costs. */
const LONGEST_MS = 0.2

/** A time awake that was spent in vain is half as long the next time; none, when that is not worth it. */
export function halved(ms: number): number {
  return ms / 2 < LEAST_MS ? 0 : ms / 2
}

/**
 * How long a server's end stays awake after a message: the whole time when messages follow each other soon; half as long after
 * each time that one came alone. Between calls that are far apart the waiting would cost several times what a call does.
 *
 * A client that looks at each answer for a little longer than that would have to wake the end for each call: its pause is
 * learned when it does, and waited for until it calls no more.
 */
export class HotTime {
  #ms: number
  #messages = 0
  #sleptAt = -Infinity

  constructor(readonly wholeMs: number) {
    this.#ms = wholeMs
  }

  get ms(): number {
    return this.#ms
  }

  message(): void {
    this.#messages++
  }

  /** The end falls asleep after its time. */
  sleeps(now: number): void {
    if (this.#messages > 1) this.#ms = Math.max(this.#ms, this.wholeMs)
    else this.#ms = halved(this.#ms)
    this.#messages = 0
    this.#sleptAt = now
  }

  /** A message woke the end: one that it might have seen awake shows that the time was too short. */
  woken(now: number): void {
    const asleep = now - this.#sleptAt
    const pause = this.#ms + asleep
    if (pause < LONGEST_MS) this.#ms = Math.max(pause, this.wholeMs)
    else if (asleep < SOON_MS) this.#ms = this.wholeMs
    else if (this.#ms > this.wholeMs) this.#ms = this.wholeMs
  }
}
