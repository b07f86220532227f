import { RpcError } from '../../base/errors.js'
import type { Isolation, Sandbox } from '../../safety/index.js'
import { Request, Slot, slotWord } from '../../layout/control-layout.js'
import { makeAddress } from '../../base/numbers.js'
import type { PageRange, Region } from '../../memory/index.js'
import type { ObjectHeap } from '../heaps/object-heap.js'

/** Who calls, as the kernel and the daemon know it. */
export interface CallerIdentity {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** What the context asks of its connection. */
export interface CallHost {
  readonly channel: string
  /** The heaps of the connection. */
  readonly heap: ObjectHeap
  readonly caller: CallerIdentity
  /** Tells the context when its call is cancelled or the client is gone. */
  watchCancellation(call: ServerCall): void
}

/** What a handler may ask about the call that it handles. Valid until the handler has answered. */
export class ServerCall {
  readonly #receivedAt: number
  readonly #timeoutMs: number
  #controller: AbortController | undefined
  #timer: NodeJS.Timeout | undefined
  #finished = false
  #scopeHigh = 0
  #scopeLow = 0
  #scopeUsed = 0
  #isolation: Exclude<Isolation, 'auto'> = 'none'

  /** @internal Of the request in a slot of the ring, whose word of flags was read: each further word is read once. */
  constructor(readonly host: CallHost, readonly method: string, readonly slot: number, words: Int32Array, request: number) {
    const at = slotWord(slot)
    const timeoutMs = (request & Request.HAS_TIMEOUT) === 0 ? 0 : words[at + Slot.TIMEOUT]! & 0x7fff_ffff
    this.#timeoutMs = timeoutMs
    if ((request & Request.HAS_SCOPE) !== 0) {
      this.#scopeLow = words[at + Slot.SCOPE]!
      this.#scopeHigh = words[at + Slot.SCOPE + 1]! >>> 0
      this.#scopeUsed = words[at + Slot.USED]! >>> 0
    }
    this.#receivedAt = timeoutMs > 0 ? performance.now() : 0
  }

  get channel(): string {
    return this.host.channel
  }

  /** The heaps of the connection: what a handler makes here can be returned without a copy. */
  get heap(): ObjectHeap {
    return this.host.heap
  }

  /**
   * The range of memory that the client says its argument lies in; undefined where it said nothing. Whether it is true is for a
   * sandbox to find out: what lies outside of it is wild there. Of a sealed argument the range that is sealed. Undefined, too, where the argument is a private copy: the client goes on
   * writing to that range, and a sandbox over it would show what the copy protects from. A sandbox over the argument itself shows the copy.
   */
  get scope(): PageRange | undefined {
    return this.#scopeUsed === 0 ? undefined : { address: makeAddress(this.#scopeHigh, this.#scopeLow), byteLength: this.#scopeUsed }
  }

  /** Runs functions that reach one range of the connection's memory and nothing else. */
  get sandbox(): Sandbox {
    return this.host.heap.sandbox
  }

  /** The process that calls. */
  get caller(): CallerIdentity {
    return this.host.caller
  }

  /**
   * How the argument is kept from changing under the handler: what was done, where the method says `auto`. `none` for a number or nothing,
   * which came with the request itself.
   */
  get isolation(): Exclude<Isolation, 'auto'> {
    return this.#isolation
  }

  /** Whether the client cannot write to the argument's scope until the handler has answered: verified for this call. */
  get isSealed(): boolean {
    return this.#isolation === 'seal'
  }

  /** @internal Seen through a private copy: of where the original lies nothing is told. */
  copied(): void {
    this.#isolation = 'snapshot'
    this.#scopeUsed = 0
  }

  /** @internal Seen where it lies, in the range that was found sealed: what the request says of it may be another by now. */
  sealed({ high, low, words }: Region): void {
    this.#isolation = 'seal'
    this.#scopeHigh = high
    this.#scopeLow = low
    this.#scopeUsed = words * 4
  }

  /** Milliseconds until the client gives up; Infinity when it named no deadline for this call. */
  get remainingMs(): number {
    return this.#timeoutMs === 0 ? Infinity : this.#receivedAt + this.#timeoutMs - performance.now()
  }

  /** Aborts when the client cancels the call, its deadline passes, or it is gone. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      // A handler may keep the context and look at it after it has answered: nothing is to be told then.
      if (!this.#finished) this.host.watchCancellation(this)
      if (!this.#finished && this.#timeoutMs > 0) {
        this.#timer = setTimeout(
          () => this.abort(new RpcError('DEADLINE_EXCEEDED', 'the deadline of the call has passed')), Math.max(0, this.remainingMs))
        this.#timer.unref()
      }
    }
    return this.#controller.signal
  }

  /** @internal Why the handler was told to stop, if it was. */
  get abortReason(): RpcError | undefined {
    const reason: unknown = this.#controller?.signal.reason
    return RpcError.is(reason) ? reason : undefined
  }

  /** @internal */
  abort(reason: RpcError): void {
    this.#controller?.abort(reason)
    this.finish()
  }

  /** @internal The call has been answered. */
  finish(): void {
    this.#finished = true
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

