import { isMainThread } from 'node:worker_threads'
import { assert, unreachable } from '../../base/assert.js'
import { RpcError } from '../../base/errors.js'
import { addon } from '../../sys/index.js'
import { failureOf } from '../protocol/errors.js'
import { Deliveries, Held, type HeldChannel, type HeldConnection } from './held.js'
import { decodeInfo, encodeInfo } from './info.js'
import { connectOrStart } from '../place/launch.js'
import { DEFAULT_TIMEOUT_MS, TIMEOUT_MS_MAX } from '../protocol/limits.js'
import type { MemoryMessage, Notices } from '../protocol/messages.js'
import { checkName } from '../protocol/names.js'
import { runtimeDirectory } from '../place/runtime-directory.js'
import { closeAll, Session, type News, type Question } from './session.js'
import {
  MemoryGrant, type Attachment, type ChannelEvents, type ChannelOptions, type ConnectionEnd, type ConnectionEvents, type DaemonIdentity,
  type IncomingConnection, type Json, type OpenedConnection, type OpenOptions, type RegisteredChannel,
} from '../protocol/types.js'
import { within } from './within.js'

export interface DaemonClientOptions {
  /** The runtime directory; by default the user's, see `runtimeDirectory`. */
  readonly directory?: string
}

/** Pauses between attempts to reach a daemon again for what is held, each of which has its own bound. */
const FIRST_RETURN_MS = 500
const LAST_RETURN_MS = 30_000

const shared = new Map<string, DaemonClient>()

/**
 * An isolate's link to the daemon, made on first need and shared by all servers and clients of the isolate. It does not
 * keep the process alive by itself (see `ref`). When the daemon dies, what this isolate holds is brought to the next one.
 *
 * Every method may reject with UNAVAILABLE (no daemon, or it ended meanwhile: ask again), DEADLINE_EXCEEDED,
 * RESOURCE_EXHAUSTED (a limit of limits.ts), FAILED_PRECONDITION (unfit directory, other version) or CANCELLED (closed).
 */
export class DaemonClient {
  readonly directory: string
  readonly #held = new Held()
  readonly #undecided = new Set<HeldConnection>()
  #session: Session | undefined
  #ready: Promise<DaemonIdentity> | undefined
  /** The session is there, and the daemon knows all that is held. */
  #claimed = false
  #references = 0
  #closed = false

  /** The isolate's own link for the user's runtime directory. */
  static shared(): DaemonClient {
    const directory = runtimeDirectory()
    let client = shared.get(directory)
    if (client === undefined || client.#closed) shared.set(directory, (client = new DaemonClient({ directory })))
    return client
  }

  constructor(options: DaemonClientOptions = {}) {
    this.directory = options.directory ?? runtimeDirectory()
    // A descriptor belongs to the process: it would outlive this thread, and the daemon would think it alive.
    if (!isMainThread) process.once('exit', () => this.close())
  }

  /** Reaches the daemon, and starts one when there is none. */
  async connect(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<DaemonIdentity> {
    if (this.#closed) throw new RpcError('CANCELLED', 'the link to the daemon was closed')
    this.#ready ??= this.#establish(DEFAULT_TIMEOUT_MS)
    return within(this.#ready, timeoutMs)
  }

  /** Hears of deaths now: for a thread that waits for somebody without turning its event loop. */
  attend(): void {
    this.#session?.attend()
  }

  /** A round trip: what was posted before has been dealt with when it resolves. */
  async ping(timeoutMs?: number): Promise<void> {
    await this.#request({ type: 'ping' }, timeoutMs, () => undefined)
  }

  /**
   * Takes a name for a server of this isolate. Throws INVALID_ARGUMENT for a bad name, ALREADY_EXISTS naming the process
   * that has it.
   */
  async registerChannel(name: string, options: ChannelOptions, events: ChannelEvents): Promise<RegisteredChannel> {
    checkName(name)
    const info = encodeInfo(options.info)
    const question = {
      type: 'register', channel: name, info, sharedBytes: options.sharedHeapBytes ?? 0, publishedBytes: options.publishedHeapBytes ?? 0,
    } as const
    return this.#request(question, options.timeoutMs, (answer, fds) => {
      assert(answer.type === 'registered', 'a register is answered by registered')
      const channel: HeldChannel = { name, info, events, deliveries: new Deliveries(), heaps: [] }
      this.#held.channels.set(name, channel)
      setImmediate(() => channel.deliveries.start())
      const grants = answer.heaps.map((memory, index) => this.#keepShared(channel, memory, fds.slice(2 * index)))
      return { name, sharedHeap: grants.find(({ kind }) => kind === 'shared'), publishedHeap: grants.find(({ kind }) => kind === 'published') }
    })
  }

  /** Gives the name back. Connections stay, and attachments to shared heaps too, until they are released. */
  async unregisterChannel(name: string): Promise<void> {
    if (this.#held.removeChannel(name) === undefined) {
      throw new RpcError('NOT_FOUND', `this isolate has registered no channel ${JSON.stringify(name)}`)
    }
    // A daemon that ends forgets the name by itself, and another one never heard of it.
    const session = this.#session
    await session?.request({ type: 'unregister', channel: name }, DEFAULT_TIMEOUT_MS, () => undefined).catch((error: unknown) => {
      if (session.isOpen) throw error
    })
  }

  /**
   * Asks a channel's server for a connection. The grants in the result are the caller's to close; the attachments last until
   * `releaseHeap` and `closeConnection`. Throws NOT_FOUND naming similar channels, or whatever the server's handler threw.
   */
  async openConnection(channel: string, options: OpenOptions, events: ConnectionEvents): Promise<OpenedConnection> {
    checkName(channel)
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const { heapBytes, controlBytes } = options
    const question = {
      type: 'open', channel, heapBytes, controlBytes, info: encodeInfo(options.info), timeoutMs: Math.max(1, Math.min(TIMEOUT_MS_MAX, Math.ceil(timeoutMs))),
    } as const
    return this.#request(question, timeoutMs, (answer, fds) => {
      assert(answer.type === 'opened', 'an open is answered by opened')
      return this.#opened(channel, answer, fds, events)
    }, options.signal)
  }

  /**
   * A further heap for both ends of a connection; the other end hears of it by `heapAdded`. The grant is the caller's.
   * The file of one that is `sealable` takes further seals, until whoever seals its pages closes it (`publishMemoryFile`).
   */
  async growConnection({ id, end }: ConnectionEnd, byteLength: number, kind: 'private' | 'sealable' = 'private'): Promise<MemoryGrant> {
    return this.#request({ type: 'grow', connection: id, end, byteLength, kind }, undefined, (answer, fds) => {
      assert(answer.type === 'grown', 'a grow is answered by grown')
      const connection = this.#held.connection({ id, end })
      if (connection !== undefined) this.#held.addHeap(answer.memory, connection)
      return new MemoryGrant(answer.memory, fds[0]!)
    })
  }

  /**
   * For the client's end of a connection: one of the heaps that a launcher mapped into this process before it began. No file comes
   * along; the server gets it by `heapAdded`. Throws FAILED_PRECONDITION when none was prepared, RESOURCE_EXHAUSTED when all are in use.
   */
  async growPrepared(connection: ConnectionEnd): Promise<MemoryGrant> {
    return this.#request({ type: 'growPrepared', connection: connection.id }, undefined, (answer) => {
      assert(answer.type === 'grown', 'a growPrepared is answered by grown')
      const held = this.#held.connection(connection)
      if (held !== undefined) this.#held.addHeap(answer.memory, held)
      return new MemoryGrant(answer.memory, -1)
    })
  }

  /**
   * A heap for a program that this process, of the daemon's own user, is about to start: to be mapped there, published, and assigned
   * before the program begins. The grant is the caller's. The program's connections get the heap as long as this link lives.
   */
  async prepareHeap(byteLength: number): Promise<MemoryGrant> {
    return this.#request({ type: 'prepare', byteLength }, undefined, (answer, fds) => {
      assert(answer.type === 'prepared', 'a prepare is answered by prepared')
      return new MemoryGrant(answer.memory, fds[0]!)
    })
  }

  /** The heap is mapped in that process, and no program could write to its file any more. The grant stays the caller's. */
  async assignHeap(grant: MemoryGrant, process: { readonly pid: number, readonly uid: number }): Promise<void> {
    const { heap, member, kind, address, byteLength, peerMember, proof } = grant
    const memory = { heap, member, kind, address, byteLength, peerMember, proof }
    const fd = addon.duplicateFd(grant.fd)
    try {
      await this.#request({ type: 'assign', heap, member, ...process }, undefined, () => this.#held.addPrepared({ memory, fd, ...process, reader: undefined }))
    } catch (error) {
      addon.closeFd(fd)
      throw error
    }
  }

  /** A further shared heap for a channel of this isolate; its connections hear of it by `heapAdded`. */
  async growChannel(name: string, byteLength: number): Promise<MemoryGrant> {
    return this.#request({ type: 'growChannel', channel: name, byteLength }, undefined, (answer, fds) => {
      assert(answer.type === 'grown', 'a growChannel is answered by grown')
      const channel = this.#held.channels.get(name)
      if (channel !== undefined) return this.#keepShared(channel, answer.memory, fds)
      closeAll(fds.slice(1))
      return new MemoryGrant(answer.memory, fds[0]!)
    })
  }

  /** Gives back one attachment of a private or shared heap, when nothing of it is mapped here any more. Idempotent. */
  releaseHeap({ heap, member }: Attachment): void {
    if (this.#held.removeHeap({ heap, member })) this.#session?.post({ type: 'release', heap, member })
  }

  /** Asks whether another member of a heap is gone: `memberGone` tells. Costs nothing where there is no daemon to ask. */
  inquire({ heap, member }: Attachment, about: number): void {
    if (this.#session?.isOpen === true) this.#session.post({ type: 'inquire', heap, member, about })
  }

  /** Ends this end of a connection and gives back its control region. Heaps are released one by one. Idempotent. */
  closeConnection({ id, end }: ConnectionEnd): void {
    if (this.#held.removeConnection({ id, end })) this.#session?.post({ type: 'close', connection: id, end })
  }

  /** Keeps the process alive, until as many `unref`. */
  ref(): void {
    this.#references++
    this.#session?.setReferenced(this.#references > 0)
  }

  unref(): void {
    this.#references--
    this.#session?.setReferenced(this.#references > 0)
  }

  /** Leaves the daemon: it takes this for the isolate's death. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#session?.close()
    this.#held.closeFiles()
  }

  async #request<T>(question: Question, timeoutMs: number | undefined, convert: Parameters<typeof Session.prototype.request<T>>[2], signal?: AbortSignal): Promise<T> {
    const end = performance.now() + (timeoutMs ?? DEFAULT_TIMEOUT_MS)
    if (!this.#claimed) await this.connect(end - performance.now())
    if (this.#session === undefined) throw new RpcError('UNAVAILABLE', 'the daemon ended; ask again')
    return this.#session.request(question, Math.max(1, end - performance.now()), convert, [], signal)
  }

  async #establish(timeoutMs: number): Promise<DaemonIdentity> {
    const end = performance.now() + timeoutMs
    const remaining = (): number => end - performance.now()
    try {
      for (;;) {
        const fd = await connectOrStart(this.directory, remaining)
        try {
          return await this.#greet(fd, Math.max(1, remaining()))
        } catch (error) {
          // A daemon may end, for want of participants, between our connect and our hello.
          if (!RpcError.is(error) || error.code !== 'UNAVAILABLE' || remaining() <= 0 || this.#closed) throw error
        }
      }
    } catch (error) {
      this.#ready = undefined
      throw error
    }
  }

  async #greet(fd: number, timeoutMs: number): Promise<DaemonIdentity> {
    const { session, identity } = await Session.start(fd, { news: (news, fds) => this.#news(news, fds), ended: () => this.#ended() }, timeoutMs)
    this.#session = session
    if (this.#closed) session.close()
    await this.#held.claim(session, timeoutMs)
    if (!session.isOpen) throw new RpcError(this.#closed ? 'CANCELLED' : 'UNAVAILABLE', 'the link to the daemon ended at once')
    session.setReferenced(this.#references > 0)
    this.#claimed = true
    return identity
  }

  #ended(): void {
    this.#session = undefined
    this.#held.daemonDied(this.#undecided)
    // While a link is being made, the one who makes it goes on.
    if (!this.#claimed) return
    this.#claimed = false
    this.#ready = undefined
    this.#comeBack(FIRST_RETURN_MS)
  }

  /** At once: whoever looks for our channels must find them, and our addresses must not be given to others. */
  #comeBack(retryMs: number): void {
    if (this.#held.isEmpty || this.#closed) return
    this.connect().catch(() => {
      setTimeout(() => this.#comeBack(Math.min(2 * retryMs, LAST_RETURN_MS)), retryMs).unref()
    })
  }

  /** A server keeps a second descriptor of its channel's heaps. */
  #keepShared(channel: HeldChannel, memory: MemoryMessage, fds: readonly number[]): MemoryGrant {
    channel.heaps.push({ memory, fd: fds[1]! })
    this.#held.addHeap(memory, channel)
    return new MemoryGrant(memory, fds[0]!)
  }

  #opened(channel: string, answer: Notices['opened'], fds: readonly number[], events: ConnectionEvents): OpenedConnection {
    const { connection: id, token, server, control } = answer
    const held: HeldConnection = { id, end: 'client', channel, token, control, events, ended: false, deliveries: new Deliveries() }
    this.#held.addConnection(held, answer.heaps)
    setImmediate(() => held.deliveries.start())
    const [heap, ...furtherHeaps] = answer.heaps.map((memory, index) => new MemoryGrant(memory, fds[1 + index]!))
    assert(heap !== undefined, 'a connection has a heap')
    return {
      id, end: 'client', channel, token, server, serverInfo: decodeInfo(answer.serverInfo), answer: decodeInfo(answer.answer),
      control: new MemoryGrant(control, fds[0]!), heap, furtherHeaps,
    }
  }

  #news(news: News, fds: readonly number[]): void {
    switch (news.type) {
      case 'incoming': {
        const channel = this.#held.channels.get(news.channel)
        if (channel !== undefined) return channel.deliveries.deliver(() => void this.#incoming(channel, news, fds))
        closeAll(fds)
        return this.#session?.post({ type: 'refuse', connection: news.connection, code: 'UNAVAILABLE', message: 'the channel is closing' })
      }
      case 'heapAdded': {
        const held = this.#held.connection({ id: news.connection, end: news.end })
        const grant = new MemoryGrant(news.memory, fds[0]!)
        if (held === undefined) {
          grant.close()
          return this.#session?.post({ type: 'release', heap: grant.heap, member: grant.member })
        }
        this.#held.addHeap(news.memory, held)
        return held.deliveries.deliver(() => {
          held.events.heapAdded?.(grant)
          grant.close()
        })
      }
      case 'peerDied':
        return this.#held.endConnection({ id: news.connection, end: news.end }, (events) => events.peerDied?.())
      case 'closed':
        return this.#held.endConnection({ id: news.connection, end: news.end }, (events) => events.connectionClosed?.())
      case 'memberGone': {
        const { heap, member, gone } = news
        return this.#held.tellMembers(news, gone, (events) => events.memberGone?.({ heap, member }, gone))
      }
      case 'livingMembers': {
        const { heap, member, living } = news
        return this.#held.tellMembers(news, 0, (events) => events.livingMembers?.({ heap, member }, living))
      }
      case 'preparedRead':
        return this.#held.noteReader(news, news.reader)
      default:
        return unreachable(news)
    }
  }

  /** A server of this isolate decides on a client. */
  async #incoming(channel: HeldChannel, news: Notices['incoming'], fds: readonly number[]): Promise<void> {
    const { connection: id, token, client, control } = news
    if (this.#closed) return closeAll(fds)
    const held: HeldConnection = { id, end: 'server', channel: channel.name, token, control, events: {}, ended: false, deliveries: new Deliveries() }
    this.#held.addConnection(held, news.heaps)
    this.#undecided.add(held)
    const grants = [control, ...news.heaps].map((memory, index) => new MemoryGrant(memory, fds[index]!))
    const request: IncomingConnection = {
      id, end: 'server', channel: channel.name, token, client, info: decodeInfo(news.info), control: grants[0]!, heap: grants[1], sharedMembers: news.shared,
    }
    this.#held.noteMembers(channel, request)
    const session = this.#session
    try {
      const { events, info } = await channel.events.incoming(request)
      held.events = events
      this.#accept(session, held, info)
    } catch (error) {
      this.#held.dropConnection(held)
      this.#session?.post({ type: 'refuse', connection: id, ...failureOf(error) })
    } finally {
      this.#undecided.delete(held)
      for (const grant of grants) grant.close()
    }
  }

  #accept(session: Session | undefined, held: HeldConnection, info: Json | undefined): void {
    const { id } = held
    try {
      const answer = encodeInfo(info)
      session?.post({ type: 'accept', connection: id, answer })
      setImmediate(() => held.deliveries.start())
    } catch (error) {
      // The handler holds the memory already: it hears that the connection ended, then the client hears why.
      setImmediate(() => {
        this.#held.endConnection(held, (events) => events.peerDied?.())
        held.deliveries.start()
        this.#session?.post({ type: 'refuse', connection: id, ...failureOf(error) })
      })
    }
  }
}
