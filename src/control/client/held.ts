import { RpcError } from '../../base/errors.js'
import { addon } from '../../sys/index.js'
import type { Question, Session } from './session.js'
import type {
  Attachment, ChannelEvents, ConnectionEnd, ConnectionEvents, HeapEvents, IncomingConnection, MemoryDescription,
} from '../protocol/types.js'

/** Calls that wait until their receiver is ready for them, in order. */
export class Deliveries {
  #waiting: Array<() => void> | undefined = []

  deliver(call: () => void): void {
    if (this.#waiting === undefined) call()
    else this.#waiting.push(call)
  }

  start(): void {
    for (let calls = this.#waiting?.splice(0) ?? []; calls.length > 0; calls = this.#waiting?.splice(0) ?? []) {
      for (const call of calls) call()
    }
    this.#waiting = undefined
  }
}

/** A connection end that this isolate holds. */
export interface HeldConnection extends ConnectionEnd {
  readonly channel: string
  readonly token: string
  readonly control: MemoryDescription
  readonly deliveries: Deliveries
  events: ConnectionEvents
  /** The other end is gone, and this one was told. */
  ended: boolean
}

export interface HeldChannel {
  readonly name: string
  /** As it travels. */
  readonly info: string
  readonly events: ChannelEvents
  readonly deliveries: Deliveries
  /** The channel's heaps, and the descriptors kept for the day when another daemon needs them. */
  readonly heaps: Array<{ readonly memory: MemoryDescription, readonly fd: number }>
}

/** A heap that this isolate, a launcher, mapped into a program. */
export interface HeldPrepared {
  readonly memory: MemoryDescription
  /** Kept for the day when another daemon needs it. */
  readonly fd: number
  readonly pid: number
  readonly uid: number
  /** The user whose servers have had the heap's file, and no others may: what the daemon says, for the one after it. */
  reader: number | undefined
}

interface HeldHeap {
  readonly memory: MemoryDescription
  readonly owner: HeldConnection | HeldChannel
  highestMember: number
}

const CLAIMS_AT_ONCE = 256

/**
 * What this isolate holds of the daemon's: names, connections, attachments. It is where news find their receiver, and what
 * is claimed from a new daemon when the old one died.
 */
export class Held {
  readonly channels = new Map<string, HeldChannel>()
  readonly #prepared = new Map<string, HeldPrepared>()
  readonly #connections = new Map<string, HeldConnection>()
  readonly #heaps = new Map<string, HeldHeap>()

  get isEmpty(): boolean {
    return this.channels.size + this.#connections.size + this.#heaps.size + this.#prepared.size === 0
  }

  connection({ id, end }: ConnectionEnd): HeldConnection | undefined {
    return this.#connections.get(`${id}/${end}`)
  }

  addConnection(connection: HeldConnection, heaps: readonly MemoryDescription[]): void {
    this.#connections.set(`${connection.id}/${connection.end}`, connection)
    for (const memory of [connection.control, ...heaps]) this.addHeap(memory, connection)
  }

  /** Forgets an end and its control region; false when it was not held. Its heaps stay until they are released. */
  removeConnection(end: ConnectionEnd): boolean {
    const connection = this.connection(end)
    if (connection === undefined) return false
    this.#connections.delete(`${end.id}/${end.end}`)
    this.#heaps.delete(heapKey(connection.control))
    return true
  }

  /** Forgets the end with all its memory. */
  dropConnection(end: ConnectionEnd): void {
    const connection = this.connection(end)
    for (const [key, { owner }] of this.#heaps) if (owner === connection) this.#heaps.delete(key)
    this.removeConnection(end)
  }

  addHeap(memory: MemoryDescription, owner: HeldConnection | HeldChannel): void {
    this.#heaps.set(heapKey(memory), { memory, owner, highestMember: Math.max(memory.member, memory.peerMember) })
  }

  removeHeap(attachment: Attachment): boolean {
    return this.#heaps.delete(heapKey(attachment)) || this.#removePrepared(heapKey(attachment))
  }

  /** Takes over the descriptor. */
  addPrepared(prepared: HeldPrepared): void {
    this.#prepared.set(heapKey(prepared.memory), prepared)
  }

  noteReader(attachment: Attachment, reader: number): void {
    const prepared = this.#prepared.get(heapKey(attachment))
    if (prepared !== undefined) prepared.reader = reader
  }

  /** Of the files that are kept for another daemon: this isolate leaves. */
  closeFiles(): void {
    for (const name of this.channels.keys()) this.removeChannel(name)
    for (const key of this.#prepared.keys()) this.#removePrepared(key)
  }

  removeChannel(name: string): HeldChannel | undefined {
    const channel = this.channels.get(name)
    this.channels.delete(name)
    for (const { fd } of channel?.heaps.splice(0) ?? []) addon.closeFd(fd)
    return channel
  }

  /** A heap's receiver of news about other members. */
  tellMembers(attachment: Attachment, gone: number, tell: (events: HeapEvents) => void): void {
    const held = this.#heaps.get(heapKey(attachment))
    if (held === undefined) return
    held.highestMember = Math.max(held.highestMember, gone)
    held.owner.deliveries.deliver(() => tell(held.owner.events))
  }

  /** A server hears of its clients' members of the shared heaps. */
  noteMembers(channel: HeldChannel, request: Pick<IncomingConnection, 'sharedMembers'>): void {
    for (const { heap, member } of request.sharedMembers) {
      const own = channel.heaps.find(({ memory }) => memory.heap === heap)
      const held = own === undefined ? undefined : this.#heaps.get(heapKey(own.memory))
      if (held !== undefined) held.highestMember = Math.max(held.highestMember, member)
    }
  }

  /** The other end is gone; the first news of it counts. */
  endConnection(end: ConnectionEnd, tell: (events: ConnectionEvents) => void): void {
    const connection = this.connection(end)
    if (connection === undefined || connection.ended) return
    connection.ended = true
    connection.deliveries.deliver(() => tell(connection.events))
  }

  /** Connections whose server has not decided cannot survive the daemon that asked it. */
  daemonDied(undecided: Iterable<ConnectionEnd>): void {
    for (const end of undecided) this.endConnection(end, (events) => events.peerDied?.())
  }

  /**
   * Brings everything to a new daemon: heaps, then what refers to them. What it refuses is lost, and its owner told.
   * Rejects when the daemon ends meanwhile.
   */
  async claim(session: Session, timeoutMs: number): Promise<void> {
    const ask = (question: Question, fds: readonly number[] = []): Promise<void> => session.request(question, timeoutMs, () => undefined, fds)
    // Before the first answer: what comes later comes from the new daemon.
    const [heaps, channels, connections, heapsOf] = [[...this.#heaps], [...this.channels.values()], [...this.#connections.values()], this.#heapsByOwner()]
    await inGroups(heaps, async ([key, held]) => {
      if (this.#heaps.get(key) !== held) return
      const { heap, member, proof } = held.memory
      await ask({ type: 'claimHeap', heap, member, highestMember: held.highestMember, proof })
        .catch((error: unknown) => this.#refused(session, error, () => this.#loseOwner(held.owner, error)))
    })
    await inGroups([...this.#prepared], async ([key, prepared]) => {
      if (this.#prepared.get(key) !== prepared) return
      const { memory: { heap, member, byteLength, proof }, fd, pid, uid, reader } = prepared
      await ask({ type: 'claimPrepared', heap, member, byteLength, proof, pid, uid, readers: reader === undefined ? [] : [reader] }, [fd])
        .catch((error: unknown) => this.#refused(session, error, () => this.#removePrepared(key)))
    })
    await inGroups(channels, async (channel) => {
      if (this.channels.get(channel.name) !== channel) return
      const heaps = channel.heaps.map(({ memory: { heap, member, byteLength } }) => ({ heap, member, byteLength }))
      await ask({ type: 'claimChannel', channel: channel.name, info: channel.info, heaps }, channel.heaps.map(({ fd }) => fd))
        .catch((error: unknown) => this.#refused(session, error, () => this.#loseOwner(channel, error)))
    })
    await inGroups(connections, async (connection) => {
      const { id, end, channel, token, control } = connection
      if (this.connection(connection) !== connection) return
      const heaps = (heapsOf.get(connection) ?? []).filter((memory) => memory !== control && this.#heaps.has(heapKey(memory))).map(attachmentOf)
      await ask({ type: 'claimConnection', connection: id, end, channel, token, control: attachmentOf(control), heaps })
        .catch((error: unknown) => this.#refused(session, error, () => this.#loseOwner(connection, error)))
    })
  }

  #removePrepared(key: string): boolean {
    const prepared = this.#prepared.get(key)
    if (prepared !== undefined) addon.closeFd(prepared.fd)
    return this.#prepared.delete(key)
  }

  #heapsByOwner(): Map<HeldConnection | HeldChannel, MemoryDescription[]> {
    const found = new Map<HeldConnection | HeldChannel, MemoryDescription[]>()
    for (const { owner, memory } of this.#heaps.values()) {
      const list = found.get(owner)
      if (list === undefined) found.set(owner, [memory])
      else list.push(memory)
    }
    return found
  }

  #refused(session: Session, error: unknown, lose: () => void): void {
    if (!session.isOpen) throw error
    lose()
  }

  #loseOwner(owner: HeldConnection | HeldChannel, error: unknown): void {
    if ('id' in owner) return this.endConnection(owner, (events) => events.peerDied?.())
    if (this.channels.get(owner.name) !== owner) return undefined
    this.removeChannel(owner.name)
    const why = RpcError.is(error) ? error : new RpcError('UNAVAILABLE', String(error), { channel: owner.name })
    return owner.deliveries.deliver(() => owner.events.channelLost?.(why))
  }
}

function heapKey({ heap, member }: Attachment): string {
  return `${heap}/${member}`
}

function attachmentOf({ heap, member }: Attachment): Attachment {
  return { heap, member }
}

async function inGroups<T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += CLAIMS_AT_ONCE) {
    await Promise.all(items.slice(start, start + CLAIMS_AT_ONCE).map(each))
  }
}
