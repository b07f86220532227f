import { addon } from './addon.js'

/** What a wait heard, a bit each; the same in native/bells.cc. */
export const HEARD_LOOP = 1
export const HEARD_TICK = 2
export const HEARD_BELL = 4

/**
 * Blocks this thread until somebody rings, a tick passes or the event loop has something to do: one system call, no timer to set.
 * It owns its descriptors; bells stay their makers'.
 */
export class BellWait {
  readonly #wait: number
  readonly #ticker: number
  #ticking = false

  constructor() {
    this.#wait = addon.createBellWait()
    this.#ticker = this.#wait < 0 ? -1 : addon.createTicker(this.#wait)
  }

  /** False in runtimes whose event loop cannot be heard. */
  get isPossible(): boolean {
    return this.#wait >= 0
  }

  /** Listens to a bell. False when the kernel refuses. */
  add(bell: number): boolean {
    return this.#wait >= 0 && addon.addBell(this.#wait, bell) === 0
  }

  /** Before the bell is closed. */
  remove(bell: number): void {
    if (this.#wait >= 0) addon.removeBell(this.#wait, bell)
  }

  /** Starts ticking, or stops. */
  tick(periodMs: number): void {
    if (this.#wait < 0 || this.#ticking === periodMs > 0) return
    this.#ticking = periodMs > 0
    addon.setTicker(this.#ticker, periodMs)
  }

  /** What it heard; 0 after a signal. */
  wait(): number {
    return addon.waitForBell(this.#wait)
  }

  close(): void {
    if (this.#wait < 0) return
    addon.closeFd(this.#ticker)
    addon.closeFd(this.#wait)
  }
}
