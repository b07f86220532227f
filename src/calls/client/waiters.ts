import { RpcError } from '../../base/errors.js'
import { type OptionNames, requireOptions } from '../../base/options.js'
import type { ArgumentScope } from '../../memory/index.js'
import type { CallOptions, ClientMethod } from '../service/method.js'

/** A call that somebody awaits. */
export interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: RpcError) => void
  readonly method: ClientMethod
  /** What the argument was built in, when it took memory. */
  readonly scope: ArgumentScope | null
  /** Its own deadline and signal; null for a call without options. */
  readonly patience: Patience | null
}

const CALL_OPTIONS: OptionNames<CallOptions> = { timeoutMs: true, signal: true }
/** The longest wait that fits into a request, or a timer. */
export const TIMEOUT_MS_MAX = 0x7fff_ffff

type Ended = 'DEADLINE_EXCEEDED' | 'CANCELLED'

/** What a signal that has fired means: that of `AbortSignal.timeout` is a deadline. */
export function endedBy(signal: AbortSignal): Ended {
  const reason: unknown = signal.reason
  return typeof reason === 'object' && reason !== null && 'name' in reason && reason.name === 'TimeoutError' ? 'DEADLINE_EXCEEDED' : 'CANCELLED'
}

/** Not by its class: programs that replace the globals (jsdom, other realms) have one of their own. Throws INVALID_ARGUMENT. */
export function requireSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  const given = signal as Partial<AbortSignal> | null
  if (typeof given?.addEventListener !== 'function' || typeof given.aborted !== 'boolean') {
    throw new RpcError('INVALID_ARGUMENT', `signal must be an AbortSignal, not ${signal === null ? 'null' : typeof signal}`)
  }
}

/** A call's own deadline in whole milliseconds, 0 for none. Throws INVALID_ARGUMENT, or what {@link endedBy} says when its signal is aborted already. */
export function timeoutOf(options: CallOptions): number {
  requireOptions('a call', options, CALL_OPTIONS)
  const { timeoutMs, signal } = options
  if (timeoutMs !== undefined && !(timeoutMs > 0)) throw new RpcError('INVALID_ARGUMENT', `timeoutMs must be a positive number, not ${timeoutMs}`)
  requireSignal(signal)
  if (signal?.aborted === true) throw new RpcError(endedBy(signal), 'the signal was aborted before the call', { cause: signal.reason })
  return timeoutMs === undefined ? 0 : Math.min(Math.ceil(timeoutMs), TIMEOUT_MS_MAX)
}

/** The deadline and the signal of one call. */
export class Patience {
  readonly #timer: NodeJS.Timeout | undefined
  readonly #signal: AbortSignal | undefined
  readonly #onAbort: (() => void) | undefined

  /** Calls `onEnd` once, when the time is over or the signal, which it is given then, fires, unless {@link stop} comes first. */
  constructor(
    readonly timeoutMs: number, signal: AbortSignal | undefined,
    onEnd: (patience: Patience, fired: AbortSignal | undefined) => void,
  ) {
    if (timeoutMs > 0) this.#timer = setTimeout(() => onEnd(this, undefined), timeoutMs)
    if (signal === undefined) return
    this.#signal = signal
    this.#onAbort = (): void => onEnd(this, signal)
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  stop(): void {
    clearTimeout(this.#timer)
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}

/** A call that waits for a free slot, its argument built already. */
export interface QueuedCall {
  readonly low: number
  readonly high: number
  readonly timeoutMs: number
  /** When it was made, by the connection's coarse clock. */
  readonly tick: number
  readonly waiter: Waiter
}

/** Calls that wait for a free slot, for each connection: beyond it a caller is told to slow down. */
export const QUEUE_MAX = 65_536

/** Calls that wait for a free slot, in the order in which they were made. */
export class CallQueue {
  #calls: QueuedCall[] = []

  get length(): number {
    return this.#calls.length
  }

  /** False when the queue is full. */
  add(call: QueuedCall): boolean {
    if (this.#calls.length >= QUEUE_MAX) return false
    this.#calls.push(call)
    return true
  }

  /** Hands over the first calls, as long as they are taken. */
  takeWhile(take: (call: QueuedCall) => boolean): void {
    let taken = 0
    while (taken < this.#calls.length && take(this.#calls[taken]!)) taken++
    this.#calls.splice(0, taken)
  }

  /** Takes out the calls for which the predicate holds. */
  remove(predicate: (call: QueuedCall) => boolean): QueuedCall[] {
    const removed = this.#calls.filter(predicate)
    if (removed.length > 0) this.#calls = this.#calls.filter((call) => !predicate(call))
    return removed
  }
}
