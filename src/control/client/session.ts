import { unreachable } from '../../base/assert.js'
import { RpcError } from '../../base/errors.js'
import { addon, type Packet } from '../../sys/index.js'
import { OUTSTANDING_MAX, PROTOCOL_VERSION } from '../protocol/limits.js'
import { checkRequest, decodeNotice, descriptorCount, encode, type Notice, type Notices, type Request } from '../protocol/messages.js'
import { PacketSocket } from '../protocol/packet-socket.js'
import type { DaemonIdentity } from '../protocol/types.js'
import { ProtocolError } from '../protocol/validate.js'

type WithId = Extract<Request, { id: number }>
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
/** A request before it has its id. */
export type Question = DistributiveOmit<WithId, 'id'>
export type Answer = Notices['done' | 'registered' | 'opened' | 'grown' | 'prepared']
export type News = Exclude<Notice, Answer | Notices['error' | 'welcome' | 'goodbye']>

export interface SessionHandlers {
  /** News; the descriptors are the handler's. */
  news(notice: News, fds: readonly number[]): void
  /** The daemon is gone, or broke the protocol. All requests were answered before. Called once. */
  ended(error: RpcError): void
}

interface Pending {
  readonly question: Question
  readonly answer: (notice: Answer, fds: readonly number[]) => void
  readonly fail: (error: RpcError) => void
  /** Nothing ends it any more but its answer. */
  readonly stop: () => void
}

/** One living link to one daemon: the hello is done. Requests get exactly one answer, each wait has an end. */
export class Session {
  readonly #socket: PacketSocket
  readonly #handlers: SessionHandlers
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #greet: { resolve(identity: DaemonIdentity): void, reject(error: RpcError): void } | undefined
  #ended: RpcError | undefined
  #referenced = true

  /** Takes over the descriptor. Says hello; resolves when the daemon has answered, rejects with the daemon's reason or UNAVAILABLE. */
  static async start(fd: number, handlers: SessionHandlers, timeoutMs: number): Promise<{ session: Session, identity: DaemonIdentity }> {
    const session = new Session(fd, handlers)
    const timer = setTimeout(() => {
      session.#end(new RpcError('UNAVAILABLE', `the daemon did not answer the hello within ${Math.ceil(timeoutMs)} ms`))
    }, timeoutMs)
    try {
      const identity = await new Promise<DaemonIdentity>((resolve, reject) => {
        session.#greet = { resolve, reject }
        session.#socket.send(encode({ type: 'hello', version: PROTOCOL_VERSION }))
      })
      return { session, identity }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Deals with what has arrived, without a turn of the event loop. */
  attend(): void {
    this.#socket.drain()
  }

  private constructor(fd: number, handlers: SessionHandlers) {
    this.#handlers = handlers
    this.#socket = new PacketSocket(fd, {
      packet: (packet) => this.#packet(packet),
      truncated: () => this.#truncated(),
      closed: (error) => this.#end(error ?? new RpcError('UNAVAILABLE', 'the daemon ended; the next request starts another one')),
    })
  }

  get isOpen(): boolean {
    return this.#ended === undefined
  }

  /**
   * Asks and resolves with what `convert` makes of the answer, in the very turn in which it arrives; descriptors are
   * `convert`'s. Rejects with the daemon's RpcError, DEADLINE_EXCEEDED after `timeoutMs`, CANCELLED by the signal, or UNAVAILABLE when the
   * daemon ends.
   */
  request<T>(question: Question, timeoutMs: number, convert: (answer: Answer, fds: readonly number[]) => T, fds: readonly number[] = [], signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended)
      if (signal?.aborted === true) return reject(givenUp())
      if (this.#pending.size >= OUTSTANDING_MAX) {
        return reject(new RpcError('RESOURCE_EXHAUSTED', `${OUTSTANDING_MAX} requests to the daemon wait for an answer already`))
      }
      const id = this.#takeId()
      checkRequest({ ...question, id })
      const message = encode({ ...question, id })
      const who = question.type === 'open' ? 'the server' : 'the daemon'
      const what = 'channel' in question ? { channel: question.channel } : {}
      const timer = setTimeout(() => this.#giveUp(id, new RpcError('DEADLINE_EXCEEDED', `${who} did not answer within ${Math.ceil(timeoutMs)} ms`, what)), timeoutMs)
      const onAbort = (): void => this.#giveUp(id, givenUp())
      signal?.addEventListener('abort', onAbort)
      const stop = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      this.#pending.set(id, { question, stop, fail: reject, answer: (notice, fds) => resolve(convert(notice, fds)) })
      this.#updateReference()
      this.#socket.send(message, fds)
      return undefined
    })
  }

  /** Sends what has no answer. Nothing when the daemon is gone. */
  post(message: Exclude<Request, WithId>): void {
    if (this.#ended === undefined) this.#socket.send(encode(message))
  }

  /** Whether the session keeps the process alive also when no request is outstanding. */
  setReferenced(referenced: boolean): void {
    this.#referenced = referenced
    this.#updateReference()
  }

  /** Leaves the daemon. Outstanding requests are rejected; `ended` is not called. */
  close(): void {
    this.#finish(new RpcError('CANCELLED', 'the link to the daemon was closed'))
  }

  #updateReference(): void {
    this.#socket.setReferenced(this.#referenced || this.#pending.size > 0)
  }

  #takeId(): number {
    while (this.#pending.has(this.#nextId)) this.#nextId = (this.#nextId % 0xffff_ffff) + 1
    const id = this.#nextId
    this.#nextId = (id % 0xffff_ffff) + 1
    return id
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    if (pending === undefined) return undefined
    this.#pending.delete(id)
    pending.stop()
    this.#updateReference()
    return pending
  }

  #giveUp(id: number, why: RpcError): void {
    const pending = this.#take(id)
    if (pending === undefined) return
    this.#takeBack(id, pending.question)
    pending.fail(why)
  }

  /** What the daemon may have done, or may still do, for a request that was given up. */
  #takeBack(id: number, question: Question): void {
    if (question.type === 'open') this.post({ type: 'cancel', request: id })
    // The answer to this finds nobody waiting.
    if (question.type === 'register') this.#socket.send(encode({ type: 'unregister', id: this.#takeId(), channel: question.channel }))
  }

  /** An answer or news with descriptors was lost: which one is unknown, so all that may have been meant fail. */
  #truncated(): void {
    for (const [id, { question }] of this.#pending) {
      if (!['open', 'register', 'grow', 'growChannel', 'prepare'].includes(question.type)) continue
      const pending = this.#take(id)
      this.#takeBack(id, question)
      pending?.fail(new RpcError('RESOURCE_EXHAUSTED', 'this process has no descriptor left for the memory that the daemon sent; raise "ulimit -n"'))
    }
  }

  #packet({ bytes, fds }: Packet): void {
    let notice: Notice
    try {
      notice = decodeNotice(bytes)
      if (descriptorCount(notice) !== fds.length) throw new ProtocolError(`${notice.type} came with ${fds.length} descriptors`)
    } catch (error) {
      closeAll(fds)
      if (!RpcError.is(error)) throw error
      return this.#end(new RpcError('UNAVAILABLE', `the daemon sent what this version does not understand: ${error.message}`, { cause: error }))
    }
    return this.#notice(notice, fds)
  }

  #notice(notice: Notice, fds: readonly number[]): void {
    switch (notice.type) {
      case 'welcome':
        this.#greet?.resolve({ pid: notice.pid, participant: notice.participant, boundary: notice.boundary })
        this.#greet = undefined
        return
      case 'goodbye':
        return this.#end(new RpcError(notice.code, notice.message))
      case 'error': {
        const pending = this.#take(notice.id)
        const place = pending !== undefined && 'channel' in pending.question ? { channel: pending.question.channel } : {}
        return pending?.fail(new RpcError(notice.code, notice.message, place))
      }
      case 'done': case 'registered': case 'opened': case 'grown': case 'prepared': {
        const pending = this.#take(notice.id)
        if (pending !== undefined) return pending.answer(notice, fds)
        closeAll(fds)
        const unwanted = notice.type === 'grown' || notice.type === 'prepared' ? [notice.memory] : notice.type === 'registered' ? notice.heaps : []
        for (const { heap, member } of unwanted) this.post({ type: 'release', heap, member })
        return
      }
      case 'incoming': case 'heapAdded': case 'peerDied': case 'closed': case 'memberGone': case 'livingMembers': case 'preparedRead':
        return this.#handlers.news(notice, fds)
      default:
        return unreachable(notice)
    }
  }

  #end(error: RpcError): void {
    if (this.#ended !== undefined) return
    const greet = this.#greet
    this.#finish(error)
    // Before the welcome nobody else knows of the session.
    if (greet === undefined) this.#handlers.ended(error)
  }

  #finish(error: RpcError): void {
    if (this.#ended !== undefined) return
    this.#ended = error
    this.#socket.close()
    this.#greet?.reject(error)
    this.#greet = undefined
    for (const { stop, fail } of this.#pending.values()) {
      stop()
      fail(error)
    }
    this.#pending.clear()
  }
}

function givenUp(): RpcError {
  return new RpcError('CANCELLED', 'whoever asked the daemon has given up')
}

export function closeAll(fds: readonly number[]): void {
  for (const fd of fds) addon.closeFd(fd)
}
