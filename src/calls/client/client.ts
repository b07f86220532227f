import { RpcError, statusName, Status, type StatusName } from '../../base/errors.js'
import { roundUp, PAGE_BYTES } from '../../base/numbers.js'
import type { OptionNames } from '../../base/options.js'
import { controlBytes, SLOTS_DEFAULT, SLOTS_MAX, SLOTS_MIN } from '../../layout/control-layout.js'
import { HEAP_BYTES_DEFAULT } from '../../layout/heap-layout.js'
import type { OpenedConnection } from '../../control/index.js'
import { addon, connectUnix, errnoCode, hasEnded, type Mapping, peerCredentials } from '../../sys/index.js'
import { AttachedHeaps, attachControl } from '../heaps/attached-memory.js'
import { ClientEnd } from './client-end.js'
import { attachSeals, requireSealOptions, type SealOptions } from './attach-seals.js'
import { type ConnectionSeals, describeSeals } from '../../safety/index.js'
import { FrameSocket } from '../service/frames.js'
import { sharedIsolate } from '../isolate.js'
import { whenReady } from './ready.js'
import { requireSignal } from './waiters.js'
import { ObjectHeap } from '../heaps/object-heap.js'
import type { ObjectScope, ObjectScopePool } from '../heaps/object-scope.js'
import type { ScopePoolOptions } from '../../memory/index.js'
import type { ServiceDescription } from '../service/service.js'
import { type Waiting, waitingPolicy } from '../waiting/waiting.js'

const CONNECT_MS = 10_000
const CALL_MS = 30_000

/** How a client waits, how much memory and how many slots its connection has. */
export interface ConnectOptions {
  /** Bytes of the connection's own heap: address space; memory is used as objects fill it. 32 MiB by default. */
  readonly heapBytes?: number
  /** Calls in flight at once: a power of two, 64 by default. Further calls wait in this process. */
  readonly slots?: number
  /** How the client waits for answers; `adaptive` by default. */
  readonly waiting?: Waiting
  /** How long a call waits for its answer unless it says otherwise, in milliseconds; 30 s by default. */
  readonly timeoutMs?: number
  /** How long connecting may take, in milliseconds; 10 s by default. */
  readonly connectTimeoutMs?: number
  /** Waits, for `connectTimeoutMs` at most, for a server that is not there yet, instead of failing with NOT_FOUND at once. False by default. */
  readonly waitForReady?: boolean
  /** Ends connecting; a connection that was made does not end by it. */
  readonly signal?: AbortSignal
  /** Asks for huge pages behind the heap. */
  readonly hugePages?: boolean
  /**
   * Copies results to private memory before anybody reads them, so that a server cannot change them afterwards; they need no
   * `using` then, and a pointer out of a result is wild. False by default.
   */
  readonly isolateResults?: boolean
  /**
   * How arguments are sealed, for methods whose isolation is `seal` or `auto`. Where it is left out, a service with a method that demands
   * seals gets them; `auto` alone copies.
   */
  readonly seals?: SealOptions
}

export const CONNECT_OPTIONS: OptionNames<ConnectOptions> = {
  heapBytes: true, slots: true, waiting: true, timeoutMs: true, connectTimeoutMs: true, waitForReady: true, signal: true, hugePages: true, isolateResults: true, seals: true,
}

/** What a client tells about the service it expects. */
export interface ExpectedService {
  readonly fingerprint: string
  readonly description: ServiceDescription | null
  /** The isolations of its methods that may seal arguments. */
  readonly sealing?: ReadonlySet<'seal' | 'auto'>
}

/** A client's connection to a channel. Owns its mapped memory; `close` (or `await using`) ends it. */
export class ClientConnection implements AsyncDisposable {
  readonly heap: ObjectHeap
  /** Resolves when the connection has ended: with nothing after `close`, with the reason otherwise. */
  readonly closed: Promise<RpcError | undefined>
  #resolveClosed!: (reason: RpcError | undefined) => void
  #open = true
  #seals: ConnectionSeals | undefined

  private constructor(
    readonly channel: string,
    /** @internal */
    readonly opened: OpenedConnection,
    /** @internal */
    readonly end: ClientEnd,
    /** @internal */
    readonly heaps: AttachedHeaps,
    /** @internal */
    readonly control: Mapping,
  ) {
    this.heap = new ObjectHeap(heaps.set)
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
  }

  /**
   * Connects to a channel.
   * @throws RpcError NOT_FOUND when nobody serves it, or DEADLINE_EXCEEDED where that is waited for, FAILED_PRECONDITION when the services differ.
   */
  static async open(channel: string, expected: ExpectedService, options: ConnectOptions = {}): Promise<ClientConnection> {
    const slots = options.slots ?? SLOTS_DEFAULT
    if (!Number.isInteger(slots) || slots < SLOTS_MIN || slots > SLOTS_MAX || (slots & (slots - 1)) !== 0) {
      throw new RpcError('INVALID_ARGUMENT', `slots must be a power of two from ${SLOTS_MIN} to ${SLOTS_MAX}, not ${slots}`)
    }
    requireMs('timeoutMs', options.timeoutMs)
    requireMs('connectTimeoutMs', options.connectTimeoutMs)
    requireSealOptions(options.seals)
    const { connectTimeoutMs = CONNECT_MS, waitForReady = false, signal } = options
    if (typeof waitForReady !== 'boolean') throw new RpcError('INVALID_ARGUMENT', `waitForReady must be true or false, not ${String(waitForReady)}`)
    requireSignal(signal)
    return whenReady(channel, { timeoutMs: connectTimeoutMs, waitForReady, signal }, (timeoutMs) => ClientConnection.#attempt(channel, expected, options, slots, timeoutMs))
  }

  static async #attempt(channel: string, expected: ExpectedService, options: ConnectOptions, slots: number, timeoutMs: number): Promise<ClientConnection> {
    const { sealing = new Set() } = expected
    const sealOptions = options.seals ?? (sealing.has('seal') ? {} : { backend: 'none' as const })
    const policy = waitingPolicy(options.waiting)
    const { daemon, poller } = sharedIsolate()
    let heaps: AttachedHeaps | undefined
    let connection: ClientConnection | undefined
    const opened = await daemon.openConnection(channel, {
      heapBytes: roundUp(options.heapBytes ?? HEAP_BYTES_DEFAULT, PAGE_BYTES),
      controlBytes: controlBytes(slots),
      info: sealOptions.backend === 'cooperative' ? { slots, seals: 'cooperative' } : { slots },
      timeoutMs,
      signal: options.signal,
    }, {
      // A new daemon says so too of a peer that it has not heard of yet.
      peerDied: () => {
        if (connection !== undefined && hasEnded(connection.server.pid)) connection.end.peerDied()
      },
      heapAdded: (grant) => heaps?.addFromPeer(grant),
      memberGone: (attachment, gone) => heaps?.memberGone(attachment, gone),
      livingMembers: (attachment, living) => heaps?.livingMembers(attachment, living),
    })
    let control: Mapping | undefined
    let fd = -1
    try {
      control = attachControl(opened.control, slots)
      heaps = new AttachedHeaps(daemon, opened.heap, options.hugePages === true)
      for (const grant of opened.furtherHeaps) heaps.add(grant)
      fd = await connectDoorbell(opened, expected, timeoutMs, options.signal)
      const identity = await daemon.connect()
      const end = new ClientEnd(new Int32Array(control.buffer), heaps.set, fd, poller, {
        channel,
        slots,
        defaultTimeoutMs: options.timeoutMs ?? CALL_MS,
        policy,
        isolateResults: options.isolateResults === true,
        sameThread: opened.server.participant === identity.participant,
        attend: () => daemon.attend(),
        onGone: (crashed) => connection?.gone(crashed),
      })
      connection = new ClientConnection(channel, opened, end, heaps, control)
      if (sealing.size > 0 && sealOptions.backend !== 'none') await connection.#attachSeals(sealOptions, sealing.has('auto'), timeoutMs, options.signal)
      return connection
    } catch (error) {
      if (fd >= 0) addon.closeFd(fd)
      control?.unmap()
      heaps?.close()
      for (const grant of [opened.control, opened.heap, ...opened.furtherHeaps]) grant.close()
      // Also those that were not attached.
      for (const grant of [opened.heap, ...opened.furtherHeaps]) daemon.releaseHeap(grant)
      daemon.closeConnection(opened)
      throw error
    }
  }

  /** The seals of this connection's arguments, as they were verified; undefined when nothing is sealed. */
  get seals(): ConnectionSeals | undefined {
    return this.#seals
  }

  /** The process that serves the channel. */
  get server(): { readonly pid: number; readonly uid: number; readonly gid: number } {
    const { pid, uid, gid } = this.opened.server
    return { pid, uid, gid }
  }

  /** Adds a further heap of so many bytes to the connection, for both ends. */
  async grow(byteLength: number): Promise<void> {
    if (!this.#open) throw new RpcError('CANCELLED', 'the connection is closed', { channel: this.channel })
    this.heaps.add(await sharedIsolate().daemon.growConnection(this.opened, roundUp(byteLength, PAGE_BYTES)))
  }

  /** A scope in the connection's heap, for the argument of a call: see {@link ObjectHeap.createScope}. */
  createScope(byteLength: number): ObjectScope {
    return this.heap.createScope(byteLength)
  }

  /** A pool of contiguous scopes in the connection's heap. */
  createScopePool(options: ScopePoolOptions): ObjectScopePool {
    return this.heap.createScopePool(options)
  }

  /** Bytes of the heaps that the kernel backs with huge pages now. */
  get hugePageBytes(): number {
    return this.heaps.hugePageBytes()
  }

  /**
   * Ends the connection: calls in flight reject with CANCELLED, and its memory is unmapped: views of it read as errors or
   * zeros. Idempotent.
   */
  close(): Promise<void> {
    if (this.#open) {
      this.#open = false
      this.end.close(new RpcError('CANCELLED', 'the connection is closed'))
      this.heap.close()
      this.heaps.close()
      this.control.unmap()
      sharedIsolate().daemon.closeConnection(this.opened)
      this.#resolveClosed(undefined)
    }
    return Promise.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Connection to ${this.channel} (server process ${this.opened.server.pid}, ${this.#open ? 'open' : 'closed'})`
  }

  toJSON(): string {
    return `Connection to ${this.channel}`
  }

  /** A connection without seals does everything else; who demands one hears why. */
  async #attachSeals(options: SealOptions, compares: boolean, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { end, heaps, opened } = this
    try {
      const seals = await attachSeals({ daemon: sharedIsolate().daemon, opened, heaps, state: () => end.sealState, compares, timeoutMs, signal }, options)
      end.useSeals(seals)
      this.heap.useSeals(seals)
      this.#seals = describeSeals(seals.authority.strength)
    } catch (error) {
      if (!RpcError.is(error) && errnoCode(error) === undefined) throw error
      end.refuseSeals(RpcError.is(error) ? error.sentence : String(error))
    }
  }

  /** @internal The server is gone. The heap stays readable until `close`. */
  gone(crashed: boolean): void {
    this.#resolveClosed(new RpcError('UNAVAILABLE',
      crashed ? 'the server process has ended; connect again when it is back' : 'the server has closed the connection; connect again',
      { channel: this.channel }))
  }
}

function requireMs(name: string, value: number | undefined): void {
  if (value !== undefined && !(typeof value === 'number' && value > 0)) {
    throw new RpcError('INVALID_ARGUMENT', `${name} must be a positive number of milliseconds, not ${String(value)}`)
  }
}

async function connectDoorbell(opened: OpenedConnection, expected: ExpectedService, timeoutMs: number, signal: AbortSignal | undefined): Promise<number> {
  const { serverInfo } = opened
  const socketPath = typeof serverInfo === 'object' && serverInfo !== null && 'socket' in serverInfo ? serverInfo.socket : undefined
  if (typeof socketPath !== 'string') throw new RpcError('FAILED_PRECONDITION', 'the server registered no doorbell socket')
  const fd = await connectWithRetry(socketPath, timeoutMs, signal)
  try {
    if (peerCredentials(fd).pid !== opened.server.pid) {
      throw new RpcError('PERMISSION_DENIED', 'the doorbell socket belongs to another process than the channel')
    }
    const socket = new FrameSocket(fd, signal)
    await socket.send({ token: opened.token, fingerprint: expected.fingerprint, description: expected.description }, timeoutMs)
    checkWelcome(await socket.receive(timeoutMs), opened.channel)
    return fd
  } catch (error) {
    addon.closeFd(fd)
    throw error
  }
}

function checkWelcome(answer: unknown, channel: string): void {
  if (typeof answer === 'object' && answer !== null && 'ok' in answer && answer.ok === true) return
  const refusal: { readonly code?: unknown; readonly message?: unknown } = typeof answer === 'object' && answer !== null ? answer : {}
  const code: StatusName = typeof refusal.code === 'string' && Object.hasOwn(Status, refusal.code)
    ? refusal.code as StatusName : statusName(Status.UNKNOWN)
  throw new RpcError(code, typeof refusal.message === 'string' ? refusal.message : 'the server refused the connection', { channel })
}

/** A full backlog is a burst of clients: try again for a while. */
async function connectWithRetry(socketPath: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<number> {
  const deadline = performance.now() + timeoutMs
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    try {
      return connectUnix(socketPath, 'stream')
    } catch (cause) {
      const code = errnoCode(cause)
      if (code !== 'EAGAIN' || performance.now() > deadline || signal?.aborted === true) {
        throw new RpcError('UNAVAILABLE', `the server does not take connections (${code ?? 'unknown error'})`, { cause })
      }
      await new Promise((resolve) => {
        setTimeout(resolve, pauseMs)
      })
    }
  }
}
