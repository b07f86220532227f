import { RpcError, statusName, Status, type StatusName, toldHere } from '../../base/errors.js'
import { FOUR_GIB, roundUp, PAGE_BYTES } from '../../base/numbers.js'
import { requireNumber } from '../../base/options.js'
import { controlBytes, SLOTS_DEFAULT } from '../../layout/control-layout.js'
import { HEAP_BYTES_DEFAULT } from '../../layout/heap-layout.js'
import type { OpenedConnection } from '../../control/index.js'
import { addon, connectUnix, errnoCode, hasEnded, type Mapping, peerCredentials } from '../../sys/index.js'
import { AttachedHeaps, attachControl } from '../heaps/attached-memory.js'
import { ClientEnd } from './client-end.js'
import { attachSeals, type SealOptions } from './attach-seals.js'
import { type ConnectOptions, requireConnectOptions } from './connect-options.js'
import { type ConnectionSeals, describeSeals } from '../../safety/index.js'
import { FrameSocket } from '../service/frames.js'
import { sharedIsolate } from '../isolate.js'
import { whenReady } from './ready.js'
import { ObjectHeap } from '../heaps/object-heap.js'
import type { ObjectScope, ObjectScopePool } from '../heaps/object-scope.js'
import type { ScopePoolOptions } from '../../memory/index.js'
import type { ServiceDescription } from '../service/service.js'
import { waitingPolicy } from '../waiting/waiting.js'

const CONNECT_MS = 10_000
const CALL_MS = 30_000

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
    requireConnectOptions(options)
    const { slots = SLOTS_DEFAULT, connectTimeoutMs = CONNECT_MS, waitForReady = false, signal } = options
    try {
      return await whenReady(channel, { timeoutMs: connectTimeoutMs, waitForReady, signal }, (timeoutMs) => ClientConnection.#attempt(channel, expected, options, slots, timeoutMs))
    } catch (error) {
      throw toldHere(error)
    }
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
    // Plain JavaScript leaves it out.
    requireNumber('bytes to grow by', byteLength ?? Number.NaN, 1, FOUR_GIB)
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
