import { RpcError } from '../../base/errors.js'
import { addon, type Packet, type PeerCredentials } from '../../sys/index.js'
import { HELLO_TIMEOUT_MS } from '../protocol/limits.js'
import { decodeHello, decodeRequest, encode, type Notice, type Request } from '../protocol/messages.js'
import { PacketSocket } from '../protocol/packet-socket.js'
import { PeerProcess } from '../protocol/peer-process.js'
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
  readonly #process: PeerProcess
  readonly #handlers: LinkHandlers
  readonly #socket: PacketSocket
  readonly #helloTimer: NodeJS.Timeout
  #greeted = false
  #open = true

  /** Takes over the descriptor, also when it throws. */
  constructor(fd: number, handlers: LinkHandlers) {
    this.#handlers = handlers
    try {
      this.#process = new PeerProcess(fd, () => this.#ended())
    } catch (error) {
      addon.closeFd(fd)
      throw error
    }
    try {
      this.#socket = new PacketSocket(fd, {
        packet: (packet) => this.#packet(packet),
        truncated: () => this.drop(new RpcError('INVALID_ARGUMENT', 'a message was too long, or brought too many descriptors')),
        closed: (error) => this.#gone(error),
      })
    } catch (error) {
      this.#process.close()
      throw error
    }
    this.#helloTimer = setTimeout(() => {
      this.drop(new RpcError('DEADLINE_EXCEEDED', `no hello came within ${HELLO_TIMEOUT_MS} ms`))
    }, HELLO_TIMEOUT_MS)
  }

  get credentials(): PeerCredentials {
    return this.#process.credentials
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
    this.#process.close()
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
