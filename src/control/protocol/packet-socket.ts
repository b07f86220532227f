import { RpcError } from '../../base/errors.js'
import { addon, duplicateAll, errnoCode, receivePacket, sendPacket, watch, type Packet, type Watch } from '../../sys/index.js'
import { COPIED_MESSAGES_MAX, OUTBOX_BYTES_MAX, OUTBOX_MESSAGES_MAX, PACKETS_PER_TURN } from './limits.js'

export interface PacketHandlers {
  /** A message; its descriptors are the handler's. */
  packet(packet: Packet): void
  /** A message could not be received whole: this process has no descriptor left for what came with it. It is lost. */
  truncated(): void
  /** The other side is gone, or did not read what waited for it. Called once, never after `close`. */
  closed(error: RpcError | undefined): void
}

interface Outgoing {
  readonly bytes: Uint8Array
  fds: readonly number[]
  /** Sent or dropped: the descriptors are not needed any more. */
  settled: () => void
}

// The kernel limits descriptors in flight per user; others of the user may have used them up for a moment.
const RETRY_MS = 5

/** A Unix packet socket that never blocks: what the other side is slow to read waits in a bounded queue. */
export class PacketSocket {
  readonly #fd: number
  readonly #watch: Watch
  readonly #handlers: PacketHandlers
  readonly #outbox: Outgoing[] = []
  #outboxBytes = 0
  /** Messages in the queue that wait with copies of their descriptors. */
  #copied = 0
  #retry: NodeJS.Timeout | undefined
  #open = true
  #failing = false

  /** Takes over the descriptor. */
  constructor(fd: number, handlers: PacketHandlers) {
    this.#fd = fd
    this.#handlers = handlers
    try {
      this.#watch = watch(fd, (readable, writable) => {
        if (writable) this.#flush()
        if (readable) this.drain()
      })
    } catch (error) {
      addon.closeFd(fd)
      throw error
    }
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** Messages that the other side has no room for yet. */
  get waiting(): number {
    return this.#outbox.length
  }

  /**
   * Sends a message, now or when the other side has read some. `settled` is called exactly once, when the descriptors are
   * not needed any more; without it they may be closed at once: a message that waits keeps copies. Beyond the limits of the queue the socket is closed.
   */
  send(bytes: Uint8Array, fds: readonly number[] = [], settled?: () => void): void {
    if (!this.#open || this.#failing) return settled?.()
    const message: Outgoing = { bytes, fds, settled: settled ?? (() => undefined) }
    this.#outbox.push(message)
    this.#outboxBytes += bytes.length
    if (this.#outbox.length === 1) this.#flush()
    if (settled === undefined && fds.length > 0 && this.#outbox.at(-1) === message && !this.#failing) this.#keepCopies(message)
    if (this.#outbox.length > OUTBOX_MESSAGES_MAX || this.#outboxBytes > OUTBOX_BYTES_MAX) {
      this.#failLater(new RpcError('RESOURCE_EXHAUSTED', `the other side does not read: ${this.#outbox.length} messages wait for it`))
    }
  }

  /** Of a message that waits: its descriptors' numbers may be those of other files by the time it leaves. */
  #keepCopies(message: Outgoing): void {
    const copies = duplicateAll(message.fds)
    message.fds = copies ?? []
    message.settled = (): void => {
      this.#copied--
      for (const fd of message.fds) addon.closeFd(fd)
    }
    this.#copied++
    if (copies === undefined) this.#failLater(new RpcError('RESOURCE_EXHAUSTED', 'the other side does not read, and no descriptor is left for what waits for it'))
    else if (this.#copied > COPIED_MESSAGES_MAX) this.#failLater(new RpcError('RESOURCE_EXHAUSTED', `the other side does not read: ${this.#copied} messages with descriptors wait for it`))
  }

  /** Takes what has arrived, a bounded number of messages: level-triggered, the rest has its turn later. */
  drain(): void {
    for (let taken = 0; taken < PACKETS_PER_TURN && this.#open; taken++) {
      let packet: Packet | undefined
      try {
        packet = receivePacket(this.#fd)
      } catch (error) {
        const code = errnoCode(error)
        if (code === 'EMSGSIZE') this.#handlers.truncated()
        // Told once, before what the other side sent last, perhaps the reason why it left.
        else if (code !== 'ECONNRESET') this.#fail(undefined)
        continue
      }
      if (packet === undefined) return
      if (packet.bytes.length === 0) {
        for (const fd of packet.fds) addon.closeFd(fd)
        return this.#fail(undefined)
      }
      this.#handlers.packet(packet)
    }
  }

  /** Whether the socket keeps the process alive; it does at first. */
  setReferenced(referenced: boolean): void {
    if (this.#open) this.#watch.setReferenced(referenced)
  }

  /** Closes at once; messages that wait are dropped. Idempotent. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    clearTimeout(this.#retry)
    this.#watch.close()
    addon.shutdownSocket(this.#fd)
    addon.closeFd(this.#fd)
    for (const { settled } of this.#outbox.splice(0)) settled()
  }

  #fail(error: RpcError | undefined): void {
    if (!this.#open) return
    this.close()
    this.#handlers.closed(error)
  }

  #flush(): void {
    let sent = 0
    if (this.#failing) return
    try {
      while (sent < this.#outbox.length && sendPacket(this.#fd, this.#outbox[sent]!.bytes, this.#outbox[sent]!.fds)) sent++
    } catch (error) {
      if (errnoCode(error) !== 'ETOOMANYREFS') return this.#failLater(undefined)
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined
        this.#flush()
      }, RETRY_MS)
      this.#settle(sent)
      if (this.#open) this.#watch.setWritable(false)
      return
    }
    this.#settle(sent)
    if (this.#open) this.#watch.setWritable(this.#outbox.length > 0)
  }

  #settle(sent: number): void {
    for (const { bytes, settled } of this.#outbox.splice(0, sent)) {
      this.#outboxBytes -= bytes.length
      settled()
    }
  }

  /** Not inside `send`: its caller is in the middle of something. */
  #failLater(error: RpcError | undefined): void {
    if (this.#failing) return
    this.#failing = true
    queueMicrotask(() => {
      // A last word may say why the other side left.
      if (error === undefined) this.drain()
      this.#fail(error)
    })
  }
}
