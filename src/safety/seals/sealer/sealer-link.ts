import { RpcError } from '../../../base/errors.js'
import { NeedlessCount } from '../../../base/needless.js'
import { failureOf } from '../../../control/protocol/errors.js'
import { HELLO_TIMEOUT_MS } from '../../../control/protocol/limits.js'
import { encodeMessage } from '../../../control/protocol/messages.js'
import { PacketSocket } from '../../../control/protocol/packet-socket.js'
import { PeerProcess } from '../../../control/protocol/peer-process.js'
import { addon, errnoCode, type Packet, type PeerCredentials } from '../../../sys/index.js'
import { decodeSealerRequest, SEALER_VERSION, type SealerNotice, type SealerRequest } from '../messages.js'
import type { SealedHeap } from './sealed-heap.js'

const NEEDLESS_MAX = 1000
const NEEDLESS_WINDOW_MS = 1000
/** Descriptors made for one isolate alone that wait until it reads: the kernel has taken over some hundreds by then. */
const UNREAD_MAX = 64

export interface SealerLinkHandlers {
  /** Descriptors that the handler takes over it removes from the list; the rest is closed. Throws to answer with an error. */
  request(link: SealerLink, request: Exclude<SealerRequest, { type: 'hello' }>, fds: number[]): void
  doorbell(link: SealerLink): void
  gone(link: SealerLink): void
}

/** The sealer's end of one isolate's socket. */
export class SealerLink {
  /** What this isolate sends from and receives. */
  readonly sends = new Set<SealedHeap>()
  readonly receives = new Set<SealedHeap>()
  /** Wake-ups for nothing: a wake-up can be crossed by a look at the ring. */
  readonly needless = new NeedlessCount(NEEDLESS_MAX, NEEDLESS_WINDOW_MS)
  readonly #process: PeerProcess
  readonly #handlers: SealerLinkHandlers
  readonly #socket: PacketSocket
  readonly #timer: NodeJS.Timeout
  #greeted = false
  #open = true
  #unread = 0

  /** Takes over the descriptor, also when it throws. */
  constructor(fd: number, handlers: SealerLinkHandlers) {
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
        closed: () => this.#gone(),
      })
    } catch (error) {
      this.#process.close()
      throw error
    }
    this.#timer = setTimeout(() => this.drop(new RpcError('DEADLINE_EXCEEDED', `no hello came within ${HELLO_TIMEOUT_MS} ms`)), HELLO_TIMEOUT_MS)
  }

  get credentials(): PeerCredentials {
    return this.#process.credentials
  }

  send(notice: SealerNotice, fds: readonly number[] = [], settled?: () => void): void {
    this.#socket.send(encodeMessage(notice), fds, settled)
  }

  /** Takes over the descriptor, which is this isolate's alone: one that reads no answers and asks on is dropped. */
  give(notice: SealerNotice, fd: number): void {
    if (++this.#unread > UNREAD_MAX) this.drop(new RpcError('RESOURCE_EXHAUSTED', `this isolate does not read: ${UNREAD_MAX} descriptors wait for it`))
    this.send(notice, [fd], () => {
      this.#unread--
      addon.closeFd(fd)
    })
  }

  /** Wakes a sender that waits for an outcome. */
  ring(): void {
    this.#socket.send(DOORBELL)
  }

  drop(error: RpcError): void {
    if (!this.#open) return
    this.send({ type: 'goodbye', ...failureOf(error) })
    this.#gone()
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    clearTimeout(this.#timer)
    this.#socket.close()
    this.#process.close()
  }

  #ended(): void {
    // What it sent before its end still counts.
    this.#socket.drain()
    this.#gone()
  }

  #gone(): void {
    if (!this.#open) return
    this.close()
    this.#handlers.gone(this)
  }

  #packet({ bytes, fds }: Packet): void {
    if (bytes.length === 1 && this.#greeted) {
      for (const fd of fds) addon.closeFd(fd)
      return this.#handlers.doorbell(this)
    }
    const left = [...fds]
    let id: number | undefined
    try {
      const request = decodeSealerRequest(bytes)
      if (request.type === 'hello') return this.#hello(request.version)
      if (!this.#greeted) throw new RpcError('INVALID_ARGUMENT', 'the first message must be a hello')
      id = 'id' in request ? request.id : undefined
      this.#handlers.request(this, request, left)
    } catch (error) {
      // Also what the kernel makes of descriptors that came along.
      if (!RpcError.is(error) && errnoCode(error) === undefined) throw error
      // A request that was understood is answered; what cannot be read ends the link.
      if (id === undefined) this.drop(RpcError.is(error) ? error : new RpcError('INVALID_ARGUMENT', String(error)))
      else this.send({ type: 'error', id, ...failureOf(error) })
    } finally {
      for (const fd of left) addon.closeFd(fd)
    }
    return undefined
  }

  #hello(version: number): void {
    if (version !== SEALER_VERSION) throw new RpcError('FAILED_PRECONDITION', `the sealer speaks protocol ${SEALER_VERSION}, not ${version}: use one version of rpcool`)
    this.#greeted = true
    clearTimeout(this.#timer)
    this.send({ type: 'welcome', version: SEALER_VERSION, pid: process.pid })
  }
}

const DOORBELL = new Uint8Array([1])
