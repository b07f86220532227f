import { RpcError } from '../../base/errors.js'
import { encodeMessage } from '../../control/protocol/messages.js'
import { PacketSocket } from '../../control/protocol/packet-socket.js'
import { addon, duplicateAll, type Packet } from '../../sys/index.js'
import { decodeSealerNotice, noticeDescriptors, SEALER_VERSION, type SealerNotice, type SealerRequest } from './messages.js'

type WithId = Extract<SealerRequest, { id: number }>
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
type Question = DistributiveOmit<WithId, 'id'>

export interface Answer {
  readonly notice: SealerNotice
  /** The asker's to close. */
  readonly fds: readonly number[]
}

export interface SealerSessionHandlers {
  /** News; the descriptors are the handler's. */
  news(notice: SealerNotice, fds: readonly number[]): void
  /** The sealer is gone. All questions were answered before. Called once, never after `close`. */
  ended(): void
}

interface Pending {
  readonly answer: (answer: Answer) => void
  readonly fail: (error: RpcError) => void
  readonly timer: NodeJS.Timeout
  readonly keepsAlive: boolean
}

/** One living link to one sealer. Questions get exactly one answer, each wait has an end. */
export class SealerSession {
  readonly #fd: number
  readonly #socket: PacketSocket
  readonly #handlers: SealerSessionHandlers
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #greet: Pick<Pending, 'fail'> & { answer(): void } | undefined
  #ended: RpcError | undefined

  /** Takes over the descriptor. Says hello; resolves when the sealer has answered. */
  static async start(fd: number, handlers: SealerSessionHandlers, timeoutMs: number): Promise<SealerSession> {
    const session = new SealerSession(fd, handlers)
    const timer = setTimeout(() => session.#end(new RpcError('UNAVAILABLE', `the sealer did not answer the hello within ${timeoutMs} ms`)), timeoutMs)
    try {
      await new Promise<void>((resolve, reject) => {
        session.#greet = { answer: resolve, fail: reject }
        session.#socket.send(encodeMessage({ type: 'hello', version: SEALER_VERSION }))
      })
      session.#socket.setReferenced(false)
      return session
    } finally {
      clearTimeout(timer)
    }
  }

  private constructor(fd: number, handlers: SealerSessionHandlers) {
    this.#fd = fd
    this.#handlers = handlers
    this.#socket = new PacketSocket(fd, {
      packet: (packet) => this.#packet(packet),
      truncated: () => this.#end(new RpcError('RESOURCE_EXHAUSTED', 'this process has no descriptor left for what the sealer sent; raise "ulimit -n"')),
      closed: (error) => this.#end(error ?? new RpcError('UNAVAILABLE', 'the sealer ended')),
    })
  }

  get isOpen(): boolean {
    return this.#ended === undefined
  }

  /**
   * Rejects with the sealer's RpcError, DEADLINE_EXCEEDED, or UNAVAILABLE. The descriptors stay the caller's.
   * @param keepsAlive whether the process waits for the answer before it ends.
   */
  ask(question: Question, timeoutMs: number, fds: readonly number[] = [], keepsAlive = true): Promise<Answer> {
    return this.askFor(question, timeoutMs, (answer) => answer, fds, keepsAlive)
  }

  /**
   * As {@link ask}, for what news may follow the answer about.
   * @param take makes of the answer what the promise resolves to, before any further message is looked at; the descriptors are its own, also when it throws.
   */
  askFor<Result>(question: Question, timeoutMs: number, take: (answer: Answer) => Result, fds: readonly number[] = [], keepsAlive = true): Promise<Result> {
    return new Promise((resolve, reject) => {
      // What a promise's executor throws rejects it.
      const answer = (given: Answer): void => resolve(new Promise((done) => done(take(given))))
      if (this.#ended !== undefined) return reject(this.#ended)
      // What waits in a queue keeps descriptors open by itself.
      const own = duplicateAll(fds)
      if (own === undefined) return reject(new RpcError('RESOURCE_EXHAUSTED', 'this process has no descriptor left to send to the sealer; raise "ulimit -n"'))
      const id = this.#nextId++
      const timer = setTimeout(() => this.#take(id)?.fail(new RpcError('DEADLINE_EXCEEDED', `the sealer did not answer within ${timeoutMs} ms`)), timeoutMs)
      this.#pending.set(id, { answer, fail: reject, timer, keepsAlive })
      if (keepsAlive) this.#socket.setReferenced(true)
      else timer.unref()
      this.#socket.send(encodeMessage({ ...question, id }), own, () => {
        for (const fd of own) addon.closeFd(fd)
      })
      return undefined
    })
  }

  /** Wakes the sealer. */
  ring(): void {
    if (this.#ended === undefined) addon.ringDoorbell(this.#fd)
  }

  /** Blocks this thread until the sealer sends something, at most so long, and reads it. False when the sealer is gone. */
  sleep(timeoutMs: number): boolean {
    if (this.#ended === undefined && addon.pollReadable(this.#fd, timeoutMs)) this.#socket.drain()
    return this.#ended === undefined
  }

  close(): void {
    this.#finish(new RpcError('CANCELLED', 'the link to the sealer was closed'))
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    if (pending === undefined) return undefined
    this.#pending.delete(id)
    clearTimeout(pending.timer)
    if (this.#socket.isOpen && ![...this.#pending.values()].some(({ keepsAlive }) => keepsAlive)) this.#socket.setReferenced(false)
    return pending
  }

  #packet({ bytes, fds }: Packet): void {
    // A doorbell: whoever sleeps looks at its ring.
    if (bytes.length === 1 && fds.length === 0) return undefined
    let notice: SealerNotice
    try {
      notice = decodeSealerNotice(bytes)
      if (noticeDescriptors(notice) !== fds.length) throw new RpcError('INVALID_ARGUMENT', `${notice.type} came with ${fds.length} descriptors`)
    } catch (error) {
      for (const fd of fds) addon.closeFd(fd)
      if (!RpcError.is(error)) throw error
      return this.#end(new RpcError('UNAVAILABLE', `the sealer sent what this version does not understand: ${error.message}`, { cause: error }))
    }
    return this.#notice(notice, fds)
  }

  #notice(notice: SealerNotice, fds: readonly number[]): void {
    if (notice.type === 'welcome') {
      this.#greet?.answer()
      this.#greet = undefined
    } else if (notice.type === 'goodbye') {
      this.#end(new RpcError(notice.code, notice.message))
    } else if (notice.type === 'error') {
      this.#take(notice.id)?.fail(new RpcError(notice.code, notice.message))
    } else if ('id' in notice) {
      const pending = this.#take(notice.id)
      if (pending !== undefined) return pending.answer({ notice, fds })
      for (const fd of fds) addon.closeFd(fd)
    } else {
      this.#handlers.news(notice, fds)
    }
    return undefined
  }

  #end(error: RpcError): void {
    if (this.#ended !== undefined) return
    const greeting = this.#greet !== undefined
    this.#finish(error)
    if (!greeting) this.#handlers.ended()
  }

  #finish(error: RpcError): void {
    if (this.#ended !== undefined) return
    this.#ended = error
    this.#socket.close()
    this.#greet?.fail(error)
    this.#greet = undefined
    for (const { timer, fail } of this.#pending.values()) {
      clearTimeout(timer)
      fail(error)
    }
    this.#pending.clear()
  }
}
