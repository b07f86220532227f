import type { Pollable, Poller } from '../waiting/poller.js'

/**
 * Connections that a server polls at once: a scan of so many words costs a tenth of a microsecond. The others wake it,
 * each by its own doorbell.
 */
export const HOT_MAX = 16

/** The bounded set of a server's connections that are polled. */
export class HotSet {
  readonly #members = new Set<Pollable>()

  constructor(readonly poller: Poller, readonly limit = HOT_MAX) {}

  /** Polls the connection from now on, if there is room. */
  enter(end: Pollable): boolean {
    if (!this.#members.has(end)) {
      if (this.#members.size >= this.limit) return false
      this.#members.add(end)
    }
    this.poller.add(end)
    return true
  }

  leave(end: Pollable): void {
    this.#members.delete(end)
  }
}
