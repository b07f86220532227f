import { addon, errnoCode } from './addon.js'
import { acceptUnix } from './sockets.js'
import { watch, type Watch } from './watch.js'

/** Who knocks faster than he is let in keeps nobody else waiting: the rest is told of again. */
const ACCEPTS_A_TURN = 64
/** Without a descriptor left nobody can be let in, and the backlog stays readable. */
const PAUSE_MS = 50

/** Lets in who connects to a listening socket. */
export class Acceptor {
  readonly #fd: number
  readonly #watch: Watch
  readonly #welcome: (fd: number) => void
  readonly #failed: (error: unknown) => void
  #pause: NodeJS.Timeout | undefined
  #open = true

  /**
   * Takes over the listening descriptor, also when it throws.
   * @param welcome takes over a connected descriptor, also when it throws.
   * @param failed hears of the kernel's refusals, after which nobody is let in for a moment.
   */
  constructor(fd: number, welcome: (fd: number) => void, failed: (error: unknown) => void = () => undefined) {
    this.#fd = fd
    this.#welcome = welcome
    this.#failed = failed
    try {
      this.#watch = watch(fd, () => this.acceptWaiting())
    } catch (error) {
      addon.closeFd(fd)
      throw error
    }
  }

  /** Lets in who waits, a bounded number. */
  acceptWaiting(): void {
    try {
      for (let i = 0; i < ACCEPTS_A_TURN && this.#open; i++) {
        const fd = acceptUnix(this.#fd)
        if (fd === undefined) return
        this.#welcome(fd)
      }
    } catch (error) {
      // Of the welcome, too: the kernel may have no room to watch one more descriptor.
      if (errnoCode(error) === undefined) throw error
      this.#failed(error)
      if (this.#open) this.#rest()
    }
  }

  /** Nobody is let in any more. Idempotent. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    clearTimeout(this.#pause)
    this.#watch.close()
    addon.closeFd(this.#fd)
  }

  #rest(): void {
    this.#watch.setReadable(false)
    this.#pause ??= setTimeout(() => {
      this.#pause = undefined
      this.#watch.setReadable(true)
    }, PAUSE_MS)
  }
}
