import { RpcError, toldHere } from '../../base/errors.js'
import { roundUp, PAGE_BYTES } from '../../base/numbers.js'
import { SLOTS_MAX, SLOTS_MIN } from '../../layout/control-layout.js'
import type { Acceptance, DaemonClient, IncomingConnection, RegisteredChannel } from '../../control/index.js'
import { AttachedHeaps, attachControl } from '../heaps/attached-memory.js'
import { serviceDifferences } from '../service/compatibility.js'
import { acquireListener, type Isolate, releaseListener, sharedIsolate } from '../isolate.js'
import type { DoorbellListener, Hello } from './listener.js'
import type { MethodTable } from './method-table.js'
import { ServerConnection } from './server-connection.js'
import { ServerEnd } from './server-end.js'
import { CONNECTIONS_MAX, requireServerOptions, type ServerOptions } from './server-options.js'
import { ServerSeals } from './server-seals.js'
import type { ServiceDescription } from '../service/service.js'
import { ObjectHeap } from '../heaps/object-heap.js'
import { type WaitingPolicy, waitingPolicy } from '../waiting/waiting.js'
import { addon, hasEnded, type Mapping } from '../../sys/index.js'

const DRAIN_MS = 5000

export interface ServedService {
  readonly fingerprint: string
  readonly description: ServiceDescription | null
  readonly methods: MethodTable
}

/**
 * A channel's server: accepts connections and runs handlers, in the isolate that made it.
 * Owns its connections and, when it has one, the channel's shared heap.
 */
export class Server implements AsyncDisposable {
  readonly #isolate: Isolate
  readonly #listener: DoorbellListener
  readonly #policy: WaitingPolicy
  readonly #connections = new Map<ServerConnection, () => void>()
  #sharedHeaps: AttachedHeaps | undefined
  #sharedHeap: ObjectHeap | undefined
  #publishedHeaps: AttachedHeaps | undefined
  #publishedHeap: ObjectHeap | undefined
  #closing: Promise<void> | undefined

  private constructor(readonly channel: string, readonly served: ServedService, readonly options: ServerOptions) {
    requireServerOptions(options)
    this.#policy = waitingPolicy(options.waiting)
    this.#isolate = sharedIsolate()
    this.#listener = acquireListener()
  }

  /** Registers the channel and serves it. @throws RpcError ALREADY_EXISTS when the name is taken. */
  static async start(channel: string, served: ServedService, options: ServerOptions = {}): Promise<Server> {
    const server = new Server(channel, served, options)
    try {
      await server.#register()
      return server
    } catch (error) {
      releaseListener()
      throw toldHere(error)
    }
  }

  /** Clients connected now. */
  get connectionCount(): number {
    return this.#connections.size
  }

  get connections(): ServerConnection[] {
    return [...this.#connections.keys()]
  }

  /**
   * The heap that all connections share: what the server makes in it before any client comes, every client can read.
   * @throws RpcError FAILED_PRECONDITION when the server was started without `sharedHeapBytes`.
   */
  get heap(): ObjectHeap {
    if (this.#sharedHeap === undefined) {
      throw new RpcError('FAILED_PRECONDITION', `the connections of ${this.channel} share no heap: give serve() sharedHeapBytes`)
    }
    return this.#sharedHeap
  }

  /**
   * The heap that this server alone writes and every client reads: handlers answer with views of what is in it. An object here
   * must live as long as a client may read it; whoever reads one that was freed meets an error or another object.
   * @throws RpcError FAILED_PRECONDITION when the server was started without `publishedHeapBytes`.
   */
  get published(): ObjectHeap {
    if (this.#publishedHeap === undefined) {
      throw new RpcError('FAILED_PRECONDITION', `the server of ${this.channel} publishes no heap: give serve() publishedHeapBytes`)
    }
    return this.#publishedHeap
  }

  /** Handlers at work now, of all connections. */
  get inHandlers(): number {
    let sum = 0
    for (const connection of this.#connections.keys()) sum += connection.end?.inHandlers ?? 0
    return sum
  }

  /**
   * Ends the server: no new connections, no new calls; handlers at work get `drainMs` to answer, then everything is
   * closed. Idempotent.
   */
  close(drainMs = DRAIN_MS): Promise<void> {
    return (this.#closing ??= this.#close(drainMs))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Server of ${this.channel} (${this.connectionCount} connections)`
  }

  toJSON(): string {
    return `Server of ${this.channel}`
  }

  async #register(): Promise<void> {
    const { sharedHeapBytes, publishedHeapBytes } = this.options
    const { daemon } = this.#isolate
    const registered = await daemon.registerChannel(this.channel, {
      info: { socket: this.#listener.path, fingerprint: this.served.fingerprint },
      ...(sharedHeapBytes === undefined ? {} : { sharedHeapBytes: roundUp(sharedHeapBytes, PAGE_BYTES) }),
      ...(publishedHeapBytes === undefined ? {} : { publishedHeapBytes: roundUp(publishedHeapBytes, PAGE_BYTES) }),
    }, {
      incoming: (request) => this.#incoming(request),
      memberGone: (attachment, gone) => this.#sharedHeaps?.memberGone(attachment, gone),
      livingMembers: (attachment, living) => this.#sharedHeaps?.livingMembers(attachment, living),
    })
    try {
      this.#attachHeaps(daemon, registered)
    } catch (error) {
      this.#sharedHeaps?.close()
      for (const grant of [registered.sharedHeap, registered.publishedHeap]) {
        if (grant === undefined) continue
        grant.close()
        daemon.releaseHeap(grant)
      }
      await daemon.unregisterChannel(this.channel)
      throw error
    }
    daemon.ref()
  }

  /** In the turn in which the channel was registered: no client may have the file of the published heap before it is sealed. */
  #attachHeaps(daemon: DaemonClient, { sharedHeap, publishedHeap }: RegisteredChannel): void {
    const hugePages = this.options.hugePages === true
    if (sharedHeap !== undefined) {
      this.#sharedHeaps = new AttachedHeaps(daemon, sharedHeap, hugePages, false, 'after calls')
      this.#sharedHeap = new ObjectHeap(this.#sharedHeaps.set)
    }
    if (publishedHeap !== undefined) {
      this.#publishedHeaps = new AttachedHeaps(daemon, publishedHeap, hugePages)
      this.#publishedHeap = new ObjectHeap(this.#publishedHeaps.set)
      for (const region of this.#publishedHeaps.regions) this.#sharedHeaps?.lend(region)
    }
  }

  #incoming(request: IncomingConnection): Acceptance {
    if (this.#closing !== undefined) throw new RpcError('UNAVAILABLE', `the server of ${this.channel} is shutting down`)
    if (this.#connections.size >= (this.options.maxConnections ?? CONNECTIONS_MAX)) {
      throw new RpcError('RESOURCE_EXHAUSTED', `the server of ${this.channel} has ${this.#connections.size} connections already`)
    }
    const slots = slotsOf(request.info)
    const { daemon } = this.#isolate
    const own = request.heap === undefined ? undefined : new AttachedHeaps(daemon, request.heap, this.options.hugePages === true, true)
    const heaps = own ?? this.#sharedHeaps
    if (heaps === undefined) throw new RpcError('INTERNAL', 'the daemon sent a connection without a heap')
    for (const region of this.#publishedHeaps?.regions ?? []) own?.lend(region)
    let control: Mapping
    try {
      control = attachControl(request.control, slots)
    } catch (error) {
      own?.close()
      throw error
    }
    const seals = new ServerSeals(request, heaps, this.options.seals ?? {}, own !== undefined && this.served.methods.takeSeals)
    const arriving = new ServerConnection(request, heaps, seals)
    const closeMemory = (crashed = false): void => {
      if (!this.#connections.delete(arriving)) return
      seals.close()
      for (const attachment of request.sharedMembers) this.#sharedHeaps?.callsEnded(attachment, crashed)
      arriving.heap.close()
      control.unmap()
      own?.close()
      daemon.closeConnection(request)
    }
    this.#connections.set(arriving, closeMemory)
    this.#listener.expect(request.token, {
      pid: request.client.pid,
      arrived: (fd, hello) => {
        this.#check(hello)
        this.#start(arriving, fd, new Int32Array(control.buffer), heaps, slots, closeMemory)
      },
      missed: () => closeMemory(),
    })
    return {
      events: {
        peerDied: () => {
          if (arriving.end === undefined) closeMemory()
          // In a turn of its own: the user's code hears of it, and this thread may wait in a call of another connection, which that code could close.
          else if (hasEnded(request.client.pid)) setImmediate(() => arriving.end?.peerDied())
        },
        connectionClosed: () => {
          if (arriving.end === undefined) closeMemory()
        },
        heapAdded: (grant) => grant.kind === 'sealable' || grant.kind === 'prepared' ? void seals.attach(grant, arriving.end) : heaps.addFromPeer(grant),
        memberGone: (attachment, member) => heaps.memberGone(attachment, member),
        livingMembers: (attachment, living) => heaps.livingMembers(attachment, living),
      },
    }
  }

  #check(hello: Hello): void {
    const { description, fingerprint } = this.served
    if (this.#closing !== undefined) throw new RpcError('UNAVAILABLE', `the server of ${this.channel} is shutting down`)
    if (hello.fingerprint === fingerprint) return
    const differences = description === null
      ? ['one side uses a typed service, the other the plain Rpc interface']
      : serviceDifferences(description, hello.description)
    if (differences.length > 0) {
      throw new RpcError('FAILED_PRECONDITION', `client and server of ${this.channel} do not fit: ${differences.join('; ')}`)
    }
  }

  #start(connection: ServerConnection, fd: number, words: Int32Array, heaps: AttachedHeaps, slots: number, closeMemory: (crashed: boolean) => void): void {
    const welcome = Buffer.from(JSON.stringify({ ok: true }), 'utf8')
    const frame = new Uint8Array(4 + welcome.length)
    new DataView(frame.buffer).setUint32(0, welcome.length, true)
    frame.set(welcome, 4)
    if (addon.sendMessage(fd, frame) !== frame.length) throw new RpcError('UNAVAILABLE', 'the client does not read its socket')
    const finish = (crashed: boolean): void => {
      // Handlers at work may still read their arguments.
      const { end } = connection
      if (end !== undefined && end.inHandlers > 0) void end.drain().then(() => closeMemory(crashed))
      else closeMemory(crashed)
      connection.tellClosed(crashed)
    }
    const onError = this.options.onError ?? ((error: unknown, method: string): void => {
      console.error(`rpcool: a handler of ${this.channel}#${method} failed:`, error)
    })
    // Before the first request can be taken.
    try {
      this.options.onConnection?.(connection)
    } catch (error) {
      onError(error, 'onConnection')
    }
    connection.end = new ServerEnd(words, heaps.set, fd, this.#isolate.poller, this.#isolate.hotSet, {
      channel: this.channel,
      caller: connection.caller,
      peer: connection.peer,
      heap: connection.heap,
      slots,
      policy: this.#policy,
      methods: this.served.methods,
      snapshotBytes: this.options.snapshotBytes,
      onGone: finish,
      onHandlerError: onError,
    })
  }

  async #close(drainMs: number): Promise<void> {
    const { daemon } = this.#isolate
    await daemon.unregisterChannel(this.channel).catch((error: unknown) => {
      // The name is gone with the daemon; everything else is still ours to close.
      if (!RpcError.is(error)) throw error
    })
    const ends = [...this.#connections.keys()].flatMap(({ end }) => (end === undefined ? [] : [end]))
    await Promise.race([Promise.all(ends.map((end) => end.drain())), timeUp(drainMs)])
    for (const [connection, closeMemory] of this.#connections) {
      const { end } = connection
      end?.close()
      closeMemory()
      connection.tellClosed(false)
    }
    this.#sharedHeap?.close()
    this.#publishedHeap?.close()
    this.#sharedHeaps?.close()
    this.#publishedHeaps?.close()
    daemon.unref()
    releaseListener()
  }
}

function timeUp(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })
}

/** The number of slots that a client asks for: hostile input. */
function slotsOf(info: unknown): number {
  const slots = typeof info === 'object' && info !== null && 'slots' in info ? info.slots : undefined
  if (typeof slots !== 'number' || !Number.isInteger(slots) || slots < SLOTS_MIN || slots > SLOTS_MAX || (slots & (slots - 1)) !== 0) {
    throw new RpcError('INVALID_ARGUMENT', `a connection has a power of two of slots from ${SLOTS_MIN} to ${SLOTS_MAX}`)
  }
  return slots
}
