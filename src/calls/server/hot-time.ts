/** Below this it is not worth to stay awake at all, in milliseconds. */
const LEAST_MS = 0.004
/** A message that wakes the end so soon after it fell asleep was sent soon after, too: waking takes most of it on a busy machine. */
const SOON_MS = 1

/**
 * How long a server's end stays awake after a message: the whole time when messages follow each other soon; half as long after
 * each time that one came alone. Between calls that are far apart the waiting would cost several times what a call does.
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
    if (this.#messages > 1) this.#ms = this.wholeMs
    else if ((this.#ms /= 2) < LEAST_MS) this.#ms = 0
    this.#messages = 0
    this.#sleptAt = now
  }

  /** A message woke the end: one that it might have seen awake shows that the time was too short. */
  woken(now: number): void {
    if (now - this.#sleptAt < SOON_MS) this.#ms = this.wholeMs
  }
}
