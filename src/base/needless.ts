/** Counts what a peer does for nothing, and tells when that is more than an honest one ever does. */
export class NeedlessCount {
  #count = 0
  #windowStart = 0

  /** @param max how much an honest peer may do in a window, in milliseconds. */
  constructor(readonly max: number, readonly windowMs: number) {}

  /** Once more. True when it is too much. */
  add(): boolean {
    const now = performance.now()
    if (now - this.#windowStart > this.windowMs) {
      this.#windowStart = now
      this.#count = 0
    }
    return ++this.#count > this.max
  }
}
