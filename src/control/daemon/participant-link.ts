import { RpcError } from '../../base/errors.js'
import { addon, peerCredentials, peerPidfd, watch, type Packet, type PeerCredentials, type Watch } from '../../sys/index.js'
import { HELLO_TIMEOUT_MS } from '../protocol/limits.js'
import { decodeHello, decodeRequest, encode, type Notice, type Request } from '../protocol/messages.js'
import { PacketSocket } from '../protocol/packet-socket.js'
import { failureOf } from '../protocol/errors.js'

export interface LinkHandlers {
  /** The first message: throws to refuse. */
  hello(version: number): void
  /** A request. Descriptors that the handler takes over it removes from the list; the rest is closed. Throws to drop the sender. */
  request(request: Request, fds: number[]): void
  /** The participant is gone or was dropped. Called once. */
  gone(why: RpcError | undefined): void
}

/** The daemon's end of one participant's socket. What it sends is judged here; a liar is told why and dropped. */
export class ParticipantLink {
  readonly credentials: PeerCredentials
  readonly #handlers: LinkHandlers
  readonly #socket: PacketSocket
  readonly #pidfd: number
  readonly #pidfdWatch: Watch | undefined
  readonly #helloTimer: NodeJS.Timeout
  #greeted = false
  #open = true

  /** Takes over the descriptor, also when it throws. */
  constructor(fd: number, handlers: LinkHandlers) {
    this.#handlers = handlers
    let pidfd: number | undefined
    try {
      this.credentials = peerCredentials(fd)
      pidfd = peerPidfd(fd)
    } catch (error) {
      addon.closeFd(fd)
      throw error
    }
    this.#pidfd = pidfd ?? -1
    try {
      this.#socket = new PacketSocket(fd, {
        packet: (packet) => this.#packet(packet),
        truncated: () => this.drop(new RpcError('INVALID_ARGUMENT', 'a message was too long, or brought too many descriptors')),
        closed: (error) => this.#gone(error),
      })
      // The stream ends with the process, unless a child inherited the socket: the process's own descriptor cannot err.
      this.#pidfdWatch = pidfd === undefined ? undefined : watch(pidfd, () => this.#ended())
    } catch (error) {
      if (this.#pidfd >= 0) addon.closeFd(this.#pidfd)
      throw error
    }
    this.#helloTimer = setTimeout(() => {
      this.drop(new RpcError('DEADLINE_EXCEEDED', `no hello came within ${HELLO_TIMEOUT_MS} ms`))
    }, HELLO_TIMEOUT_MS)
  }

  send(notice: Notice, fds: readonly number[] = [], settled?: () => void): void {
    this.#socket.send(encode(notice), fds, settled)
  }

  /** Reads what has arrived, perhaps the end of the stream. */
  drain(): void {
    this.#socket.drain()
  }

  /** Tells why, as far as the participant reads, and ends the link. */
  drop(error: RpcError): void {
    if (!this.#open) return
    this.send({ type: 'goodbye', ...failureOf(error) })
    this.#gone(error)
  }

  /** Ends the link without a word. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    clearTimeout(this.#helloTimer)
    this.#socket.close()
    this.#pidfdWatch?.close()
    if (this.#pidfd >= 0) addon.closeFd(this.#pidfd)
  }

  #ended(): void {
    // What it sent before its end still counts.
    this.#socket.drain()
    this.#gone(undefined)
  }

  #gone(why: RpcError | undefined): void {
    if (!this.#open) return
    this.close()
    this.#handlers.gone(why)
  }

  #packet({ bytes, fds }: Packet): void {
    const left = [...fds]
    try {
      if (this.#greeted) this.#handlers.request(decodeRequest(bytes), left)
      else this.#hello(bytes)
    } catch (error) {
      if (!RpcError.is(error)) throw error
      this.drop(error)
    } finally {
      for (const fd of left) addon.closeFd(fd)
    }
  }

  #hello(bytes: Uint8Array): void {
    this.#handlers.hello(decodeHello(bytes).version)
    this.#greeted = true
    clearTimeout(this.#helloTimer)
  }
}
