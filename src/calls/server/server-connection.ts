import type { IncomingConnection } from '../../control/index.js'
import { type ConnectionSeals, describeSeals } from '../../safety/index.js'
import type { AttachedHeaps } from '../heaps/attached-memory.js'
import { ObjectHeap } from '../heaps/object-heap.js'
import type { ServerEnd } from './server-end.js'
import type { ServerSeals } from './server-seals.js'

/** One client's connection, as the server sees it. */
export class ServerConnection {
  readonly heap: ObjectHeap
  readonly channel: string
  readonly caller: { readonly pid: number; readonly uid: number; readonly gid: number }
  /** @internal */
  end: ServerEnd | undefined
  /** @internal What a layer above makes of the connection; set before its first request is taken. */
  peer: unknown
  /** Told when the connection has ended: closed by the client or by this server (false), or the client died (true). */
  onClose: ((crashed: boolean) => void) | undefined
  readonly #heaps: AttachedHeaps
  readonly #seals: ServerSeals

  /** @internal */
  constructor(request: IncomingConnection, heaps: AttachedHeaps, seals: ServerSeals) {
    this.#seals = seals
    this.channel = request.channel
    this.caller = { pid: request.client.pid, uid: request.client.uid, gid: request.client.gid }
    this.#heaps = heaps
    this.heap = new ObjectHeap(heaps.set)
  }

  /** @internal */
  tellClosed(crashed: boolean): void {
    const { onClose } = this
    this.onClose = undefined
    onClose?.(crashed)
  }

  /** The seals of this client's arguments, as they were verified; undefined when nothing is sealed. */
  get seals(): ConnectionSeals | undefined {
    const { strength } = this.#seals
    return strength === undefined ? undefined : describeSeals(strength)
  }

  /** Bytes of the heaps that the kernel backs with huge pages now. */
  get hugePageBytes(): number {
    return this.#heaps.hugePageBytes()
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Connection on ${this.channel} (client process ${this.caller.pid})`
  }

  toJSON(): string {
    return `Connection on ${this.channel}`
  }
}
