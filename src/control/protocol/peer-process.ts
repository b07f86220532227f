import { addon, peerCredentials, peerPidfd, watch, type PeerCredentials, type Watch } from '../../sys/index.js'

/**
 * The process at the other end of a socket, as the kernel names it, and its end: a stream ends with its process, unless a child inherited the
 * socket or another process was given it.
 */
export class PeerProcess {
  readonly credentials: PeerCredentials
  readonly #pidfd: number
  readonly #watch: Watch | undefined

  /** The socket stays the caller's. `ended` is called when the process has ended. Throws the kernel's error. */
  constructor(socket: number, ended: () => void) {
    this.credentials = peerCredentials(socket)
    // Before Linux 6.5 there is none.
    this.#pidfd = peerPidfd(socket) ?? -1
    try {
      this.#watch = this.#pidfd < 0 ? undefined : watch(this.#pidfd, ended)
    } catch (error) {
      addon.closeFd(this.#pidfd)
      throw error
    }
  }

  /** Watches it no more. Once. */
  close(): void {
    this.#watch?.close()
    if (this.#pidfd >= 0) addon.closeFd(this.#pidfd)
  }
}
