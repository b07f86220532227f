import { RpcError, statusName } from '../base/errors.js'
import {
  ANSWER_OWNED, ANSWER_STATUS, CLIENT_LINE_WORD, LINE_CANCELS, REQUEST_HAS_SCOPE, REQUEST_HAS_TIMEOUT,
  REQUEST_NEXT_SHIFT, REQUEST_RETURNS_RESULT, SERVER_LINE_WORD, SLOT_ANSWER, SLOT_ARGUMENT, SLOT_CANCELLED, SLOT_CHUNK,
  SLOT_METHOD, SLOT_REQUEST, SLOT_RESULT, SLOT_SCOPE, SLOT_TIMEOUT, SLOT_USED, slotWord,
} from '../layout/control-layout.js'
import { CallScope, type HeapSet } from '../memory/index.js'
import { ResultHold, type ResultOwner, readError } from './results.js'
import { addon } from '../sys/index.js'
import { End } from './end.js'
import type { CallOptions, ClientMethod } from './method.js'
import { type Poller } from './poller.js'
import { FreeSlots, InFlight } from './slots.js'
import type { WaitingPolicy } from './waiting.js'
import { YieldGuard } from './yield-guard.js'

/** Calls that wait for a free slot, for each connection: beyond it a caller is told to slow down. */
export const QUEUE_MAX = 65_536
/** Coarse clock of the default deadline: a call is overdue after whole ticks. */
const TICK_MS = 500
/** Every so many polls all calls in flight are looked at, not just the oldest: answers may come out of order. */
const SCAN_POLLS = 16
/** Loads between looks at the CPU, the clock and the doorbell in a synchronous call. */
const SYNC_STEP = 64
const BLOCK_MS = 100
const YIELDS_MAX = 8
/** The longest wait that fits into a request. */
export const TIMEOUT_MS_MAX = 0x7fff_ffff

/** A call that was made with `await`: who is told, and when it is overdue. */
interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: RpcError) => void
  readonly timer: NodeJS.Timeout | undefined
  readonly signal: AbortSignal | undefined
  readonly onAbort: (() => void) | undefined
}

interface QueuedCall {
  readonly method: ClientMethod
  readonly low: number
  readonly high: number
  readonly scope: CallScope | null
  readonly timeoutMs: number
  readonly waiter: Waiter
}

export interface ClientEndOptions {
  readonly channel: string
  readonly slots: number
  readonly defaultTimeoutMs: number
  readonly policy: WaitingPolicy
  /** The server lives on the same thread: it cannot answer a synchronous call. */
  readonly sameThread: boolean
  /** The doorbell has ended: once, with the reason for every later call. */
  onGone(crashed: boolean): void
}

const FREE = 0
const WAITING = 1
/** Timed out or cancelled: its slot and argument stay untouched until the server has answered, or is gone. */
const QUARANTINED = 2
/** A synchronous call waits for it. */
const BLOCKING = 3

/** The client's end of a connection: slots, pipelining, deadlines. Owns nothing but its call scopes. */
export class ClientEnd extends End implements ResultOwner {
  readonly #free: FreeSlots
  readonly #inFlight: InFlight
  /** For each slot: the word that its current or next request carries. */
  readonly #sequence: Int32Array
  readonly #state: Uint8Array
  readonly #methods: (ClientMethod | null)[]
  readonly #waiters: (Waiter | null)[]
  readonly #scopes: (CallScope | null)[]
  readonly #ticks: Int32Array
  /** For each slot: whether the next request gives back the result of the last one. */
  readonly #returned: Uint8Array
  readonly #scopePool: CallScope[] = []
  readonly #queue: QueuedCall[] = []
  readonly #cell = new Int32Array(2)
  readonly #quarantine = new Set<number>()
  readonly #guard = new YieldGuard()
  /** The slot announced to the server as the next one, or -1. */
  #next: number
  #waiting = 0
  #polls = 0
  #tick = 0
  #tickTimer: NodeJS.Timeout | undefined
  #building = false
  #gone: RpcError | undefined

  constructor(words: Int32Array, readonly heaps: HeapSet, doorbellFd: number, poller: Poller, readonly options: ClientEndOptions) {
    super(words, CLIENT_LINE_WORD, SERVER_LINE_WORD, doorbellFd, poller, options.policy, options.policy.clientHotMs)
    const { slots } = options
    this.#free = new FreeSlots(slots)
    this.#inFlight = new InFlight(slots)
    this.#sequence = new Int32Array(slots).fill(1)
    this.#state = new Uint8Array(slots)
    this.#methods = new Array<ClientMethod | null>(slots).fill(null)
    this.#waiters = new Array<Waiter | null>(slots).fill(null)
    this.#scopes = new Array<CallScope | null>(slots).fill(null)
    this.#ticks = new Int32Array(slots)
    this.#returned = new Uint8Array(slots)
    // The server looks at slot 0 first.
    this.#next = this.#free.take()
  }

  /** Calls without an answer so far, and calls that wait for a slot. */
  get outstanding(): number {
    return this.#waiting + this.#queue.length
  }

  /** Slots that wait for the server's answer to a call nobody waits for any more. */
  get quarantined(): number {
    return this.#quarantine.size
  }

  /** Calls and waits on this thread. Throws the call's RpcError. */
  callSync(method: ClientMethod, value: unknown, options?: CallOptions): unknown {
    if (this.#gone !== undefined) throw this.#goneError(method)
    if (this.options.sameThread) {
      throw this.#error('FAILED_PRECONDITION',
        'the server lives on this thread and cannot answer while it waits; use "await", or a worker thread', method)
    }
    const timeoutMs = this.#timeout(options, method)
    const scope = this.#encode(method, value)
    const slot = this.#takeSlot()
    if (slot < 0) {
      this.#recycle(scope)
      throw this.#error('RESOURCE_EXHAUSTED',
        `all ${this.options.slots} slots of the connection are in flight; await some, or ask for more slots when connecting`, method)
    }
    this.#state[slot] = BLOCKING
    this.#publish(slot, method, this.#cell[0]!, this.#cell[1]!, scope, options?.timeoutMs === undefined ? 0 : timeoutMs)
    const at = slotWord(slot)
    const expected = (this.#sequence[slot]! + 1) | 0
    const words = this.words
    for (let spins = this.policy.syncSpins > SYNC_STEP ? SYNC_STEP : 0; spins > 0; spins--) {
      if (Atomics.load(words, at) === expected) return this.#finishSync(slot, method)
    }
    this.#block(slot, expected, timeoutMs, method)
    return this.#finishSync(slot, method)
  }

  /** Calls, and resolves or rejects with the call's RpcError while the event loop goes on. */
  call(method: ClientMethod, value: unknown, options?: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#start(method, value, options, resolve, reject)
    })
  }

  /** @internal For pipelines: sends a call, whose answer {@link finish} takes. -1 when every slot is in flight. */
  submit(method: ClientMethod, value: unknown): number {
    this.throwIfGone(method)
    const scope = this.#encode(method, value)
    const slot = this.#takeSlot()
    if (slot < 0) {
      this.#recycle(scope)
      return -1
    }
    this.#state[slot] = BLOCKING
    this.#publish(slot, method, this.#cell[0]!, this.#cell[1]!, scope, 0)
    return slot
  }

  /** @internal Takes the answer of a slot for which {@link isAnswered} holds. */
  finish(slot: number, method: ClientMethod): unknown {
    return this.#finishSync(slot, method)
  }

  /** @internal */
  waitFor(slot: number, method: ClientMethod, timeoutMs = this.options.defaultTimeoutMs): void {
    if (!this.isAnswered(slot)) this.#block(slot, (this.#sequence[slot]! + 1) | 0, timeoutMs, method)
  }

  /** @internal */
  throwIfGone(method: ClientMethod): void {
    if (this.#gone !== undefined) throw this.#goneError(method)
  }

  poll(): number {
    const { words } = this
    const inFlight = this.#inFlight
    let handled = 0
    while (inFlight.count > 0) {
      const slot = inFlight.first()
      if (Atomics.load(words, slotWord(slot)) !== ((this.#sequence[slot]! + 1) | 0)) break
      inFlight.removeFirst()
      this.#complete(slot)
      handled++
    }
    if (++this.#polls % SCAN_POLLS === 0 && inFlight.count > 1) handled += this.#scan()
    if (handled > 0) this.#afterAnswers()
    return handled
  }

  /** Ends the connection on this side; calls in flight reject. Idempotent. */
  close(error: RpcError): void {
    if (this.#gone !== undefined) return
    this.announceClosing()
    this.doorbell.close()
    this.#fail(error)
  }

  /** Gives back a result's memory. */
  release(hold: ResultHold): void {
    if (this.#gone !== undefined) return
    if (this.#sequence[hold.slot] === hold.sequence) {
      this.#returned[hold.slot] = 1
      return
    }
    // The slot was used again: the server has let go of the chunk, it is an ordinary block now.
    const region = this.heaps.locate(hold.chunkHigh, hold.chunkLow, 8)
    if (region !== undefined) this.heaps.freeChunk(region, region.resolve(hold.chunkHigh, hold.chunkLow, 2))
  }

  protected override ready(): boolean {
    let found = false
    this.#inFlight.keep((slot) => {
      found ||= this.isAnswered(slot)
      return true
    })
    return found
  }

  protected override expecting(): boolean {
    return this.#waiting > 0
  }

  protected override rung(): boolean {
    this.awake()
    const handled = this.poll() + this.#scan()
    if (handled > 0) this.#afterAnswers()
    if (this.#waiting > 0) this.poller.add(this)
    return handled > 0
  }

  protected override peerGone(): void {
    const closing = this.peerIsClosing()
    this.#scan()
    this.#fail(new RpcError('UNAVAILABLE',
      closing ? 'the server has closed the connection' : 'the server process has ended', { channel: this.options.channel }))
    this.options.onGone(!closing)
  }

  #start(
    method: ClientMethod, value: unknown, options: CallOptions | undefined,
    resolve: (value: unknown) => void, reject: (error: RpcError) => void,
  ): void {
    if (this.#gone !== undefined) {
      reject(this.#goneError(method))
      return
    }
    if (options?.signal?.aborted === true) {
      reject(this.#error('CANCELLED', 'the signal was aborted before the call', method))
      return
    }
    const timeoutMs = this.#timeout(options, method)
    const scope = this.#encode(method, value)
    const precise = options?.timeoutMs === undefined ? 0 : timeoutMs
    const waiter = this.#makeWaiter(method, options, precise, resolve, reject)
    const slot = this.#takeSlot()
    if (slot < 0) {
      this.#enqueue({ method, low: this.#cell[0]!, high: this.#cell[1]!, scope, timeoutMs: precise, waiter })
      return
    }
    this.#send(slot, method, this.#cell[0]!, this.#cell[1]!, scope, precise, waiter)
    this.#expectAnswer()
  }

  #send(slot: number, method: ClientMethod, low: number, high: number, scope: CallScope | null, timeoutMs: number, waiter: Waiter): void {
    this.#state[slot] = WAITING
    this.#waiters[slot] = waiter
    this.#inFlight.add(slot)
    this.#waiting++
    this.#ticks[slot] = this.#tick
    this.#publish(slot, method, low, high, scope, timeoutMs)
  }

  #expectAnswer(): void {
    if (this.hotMs > 0) {
      this.poller.expect(this)
    } else if (!this.asleep && !this.sleep()) {
      // An answer is there already; resolve its promise after the caller's code.
      this.poller.add(this)
    }
    if (this.#tickTimer === undefined) this.#startTicks()
  }

  /** Writes the argument to a scope and to {@link #cell}. Returns the scope when it holds anything, else null. */
  #encode(method: ClientMethod, value: unknown): CallScope | null {
    const { argument } = method
    if (argument.isNothing) {
      this.#cell[0] = 0
      this.#cell[1] = 0
      return null
    }
    if (this.#building) {
      throw this.#error('FAILED_PRECONDITION', 'a getter of the argument makes another call on the same connection', method)
    }
    this.#building = true
    const scope = argument.cell.isImmediate ? null : this.#scopePool.pop() ?? new CallScope(this.heaps)
    try {
      argument.cell.write(scope ?? this.heaps, value, this.#cell, 0)
    } catch (error) {
      this.#recycle(scope)
      throw this.#located(error, method)
    } finally {
      this.#building = false
    }
    if (scope === null || !scope.isEmpty) return scope
    this.#scopePool.push(scope)
    return null
  }

  #recycle(scope: CallScope | null): void {
    if (scope === null) return
    scope.reset()
    this.#scopePool.push(scope)
  }

  #takeSlot(): number {
    if (this.#next >= 0) {
      const slot = this.#next
      this.#next = -1
      return slot
    }
    if (this.#free.count === 0 && this.#quarantine.size > 0) this.#reclaim()
    return this.#free.take()
  }

  #publish(slot: number, method: ClientMethod, low: number, high: number, scope: CallScope | null, timeoutMs: number): void {
    const { words } = this
    const at = slotWord(slot)
    let flags = this.#returned[slot] === 1 ? REQUEST_RETURNS_RESULT : 0
    this.#returned[slot] = 0
    this.#methods[slot] = method
    this.#scopes[slot] = scope
    words[at + SLOT_METHOD] = method.id
    words[at + SLOT_ARGUMENT] = low
    words[at + SLOT_ARGUMENT + 1] = high
    if (timeoutMs > 0) {
      flags |= REQUEST_HAS_TIMEOUT
      words[at + SLOT_TIMEOUT] = timeoutMs
    }
    if (scope !== null) {
      flags |= REQUEST_HAS_SCOPE
      const region = scope.firstRegion
      words[at + SLOT_SCOPE] = region.lowOf(scope.firstWord)
      words[at + SLOT_SCOPE + 1] = region.high
      words[at + SLOT_USED] = scope.usedBytes
    }
    this.#next = this.#free.take()
    words[at + SLOT_REQUEST] = flags | ((this.#next + 1) << REQUEST_NEXT_SHIFT)
    // Pairs with the server's load of the word it awaits.
    Atomics.store(words, at, this.#sequence[slot]!)
    this.wakePeer()
  }

  /** @internal Whether the answer to the call in a slot is there. */
  isAnswered(slot: number): boolean {
    return Atomics.load(this.words, slotWord(slot)) === ((this.#sequence[slot]! + 1) | 0)
  }

  #scan(): number {
    let handled = 0
    this.#inFlight.keep((slot) => {
      if (!this.isAnswered(slot)) return true
      this.#complete(slot)
      handled++
      return false
    })
    return handled
  }

  #afterAnswers(): void {
    if (this.#quarantine.size > 0) this.#reclaim()
    while (this.#queue.length > 0) {
      const slot = this.#takeSlot()
      if (slot < 0) break
      const { method, low, high, scope, timeoutMs, waiter } = this.#queue.shift()!
      this.#send(slot, method, low, high, scope, timeoutMs, waiter)
    }
    if (this.#waiting === 0) this.poller.remove(this)
    this.poller.interrupt()
  }

  /** An answer to a call that somebody awaits. */
  #complete(slot: number): void {
    const waiter = this.#waiters[slot]!
    const method = this.#methods[slot]!
    this.#waiters[slot] = null
    this.#waiting--
    if (waiter.timer !== undefined) clearTimeout(waiter.timer)
    if (waiter.onAbort !== undefined) waiter.signal!.removeEventListener('abort', waiter.onAbort)
    try {
      waiter.resolve(this.#takeAnswer(slot, method))
    } catch (error) {
      waiter.reject(this.#located(error, method))
    }
  }

  #finishSync(slot: number, method: ClientMethod): unknown {
    try {
      return this.#takeAnswer(slot, method)
    } catch (error) {
      throw this.#located(error, method)
    }
  }

  /** Reads an answer and frees its slot. Throws what the server answered as an error. */
  #takeAnswer(slot: number, method: ClientMethod): unknown {
    const { words } = this
    const at = slotWord(slot)
    const answer = words[at + SLOT_ANSWER]!
    const low = words[at + SLOT_RESULT]!
    const high = words[at + SLOT_RESULT + 1]!
    const owned = (answer & ANSWER_OWNED) !== 0
    const chunkLow = owned ? words[at + SLOT_CHUNK]! : 0
    const chunkHigh = owned ? words[at + SLOT_CHUNK + 1]! : 0
    this.#freeSlot(slot)
    const status = answer & ANSWER_STATUS
    if (status !== 0) {
      this.#returned[slot] = 1
      throw readError(this.#fresh(), statusName(status), low, high)
    }
    const { result } = method
    if (result.isCopy) {
      this.#returned[slot] = 1
      return result.isNothing ? undefined : result.cell.read(this.#fresh(), low, high)
    }
    const value = result.cell.read(this.#fresh(), low, high)
    if (owned) ResultHold.put(value, new ResultHold(this, slot, this.#sequence[slot]!, chunkLow, chunkHigh))
    return value
  }

  /** The region through which a result is read, with a fresh budget. */
  #fresh(): HeapSet['region'] {
    this.heaps.refill()
    return this.heaps.heaps[0]!.region
  }

  #freeSlot(slot: number): void {
    const scope = this.#scopes[slot]!
    if (scope !== null) {
      this.#scopes[slot] = null
      scope.reset()
      this.#scopePool.push(scope)
    }
    this.#sequence[slot] = (this.#sequence[slot]! + 2) | 0
    this.#state[slot] = FREE
    this.#free.give(slot)
  }

  // ---- synchronous waiting ----

  #block(slot: number, expected: number, timeoutMs: number, method: ClientMethod): void {
    const deadline = performance.now() + timeoutMs
    const at = slotWord(slot)
    const { words } = this
    if (this.policy.syncSpins > 0 && this.#yieldToPeer(at, expected)) return
    for (let spins = this.policy.syncSpins; spins > 0; spins -= SYNC_STEP) {
      for (let i = 0; i < SYNC_STEP; i++) if (Atomics.load(words, at) === expected) return
      if (spins === Infinity) {
        if (performance.now() > deadline) break
        if (!this.doorbell.block(0)) break
      }
    }
    while (Atomics.load(words, at) !== expected) {
      const left = deadline - performance.now()
      if (this.#gone !== undefined) {
        this.#state[slot] = QUARANTINED
        throw this.#goneError(method)
      }
      if (left <= 0) {
        this.#abandon(slot)
        throw this.#error('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`, method)
      }
      const wasAsleep = this.asleep
      Atomics.store(words, this.line, 1)
      this.asleep = true
      if (Atomics.load(words, at) !== expected) this.doorbell.block(Math.min(left, BLOCK_MS))
      this.awake()
      // Calls in flight that relied on the doorbell are polled for again.
      if (wasAsleep && this.#waiting > 0) this.poller.add(this)
    }
  }

  /** When both ends run on one CPU, spinning only keeps the server from answering. True when it has answered. */
  #yieldToPeer(at: number, expected: number): boolean {
    const cpu = addon.currentCpu()
    this.publishCpu(cpu)
    if (this.peerCpu() !== cpu) return false
    for (let yields = 0; yields < YIELDS_MAX && this.#guard.yield(); yields++) {
      if (Atomics.load(this.words, at) === expected) return true
    }
    return false
  }

  // ---- deadlines, cancellation, the end ----

  #timeout(options: CallOptions | undefined, method: ClientMethod): number {
    const timeoutMs = options?.timeoutMs
    if (timeoutMs === undefined) return this.options.defaultTimeoutMs
    if (!(timeoutMs > 0)) throw this.#error('INVALID_ARGUMENT', `timeoutMs must be a positive number, not ${timeoutMs}`, method)
    return Math.min(Math.ceil(timeoutMs), TIMEOUT_MS_MAX)
  }

  #makeWaiter(
    method: ClientMethod, options: CallOptions | undefined, timeoutMs: number,
    resolve: (value: unknown) => void, reject: (error: RpcError) => void,
  ): Waiter {
    const signal = options?.signal
    if (timeoutMs === 0 && signal === undefined) {
      return { resolve, reject, timer: undefined, signal: undefined, onAbort: undefined }
    }
    const giveUp = (code: 'DEADLINE_EXCEEDED' | 'CANCELLED', message: string): void => {
      this.#giveUp(waiter, this.#error(code, message, method))
    }
    const waiter: Waiter = {
      resolve,
      reject,
      timer: timeoutMs === 0 ? undefined
        : setTimeout(() => giveUp('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`), timeoutMs),
      signal,
      onAbort: signal === undefined ? undefined : (): void => giveUp('CANCELLED', 'the call was aborted by its signal'),
    }
    if (waiter.onAbort !== undefined) signal!.addEventListener('abort', waiter.onAbort, { once: true })
    return waiter
  }

  #enqueue(call: QueuedCall): void {
    if (this.#queue.length < QUEUE_MAX) {
      this.#queue.push(call)
      return
    }
    this.#recycle(call.scope)
    this.#settleWaiter(call.waiter)
    call.waiter.reject(this.#error('RESOURCE_EXHAUSTED',
      `${QUEUE_MAX} calls wait for a slot already; await some before making more`, call.method))
  }

  #settleWaiter(waiter: Waiter): void {
    if (waiter.timer !== undefined) clearTimeout(waiter.timer)
    if (waiter.onAbort !== undefined) waiter.signal!.removeEventListener('abort', waiter.onAbort)
  }

  #giveUp(waiter: Waiter, error: RpcError): void {
    const queued = this.#queue.findIndex((call) => call.waiter === waiter)
    this.#settleWaiter(waiter)
    if (queued >= 0) {
      this.#recycle(this.#queue.splice(queued, 1)[0]!.scope)
    } else {
      const slot = this.#waiters.indexOf(waiter)
      if (slot < 0) return
      if (this.isAnswered(slot)) {
        this.#inFlight.keep((one) => one !== slot)
        this.#complete(slot)
        return
      }
      this.#waiters[slot] = null
      this.#waiting--
      this.#inFlight.keep((one) => one !== slot)
      this.#abandon(slot)
    }
    waiter.reject(error)
  }

  /** Nobody waits for the slot any more. It is used again when the server has answered. */
  #abandon(slot: number): void {
    this.#state[slot] = QUARANTINED
    this.#quarantine.add(slot)
    const { words } = this
    Atomics.store(words, slotWord(slot) + SLOT_CANCELLED, this.#sequence[slot]!)
    Atomics.add(words, this.line + LINE_CANCELS, 1)
    this.wakePeer()
  }

  #reclaim(): void {
    for (const slot of this.#quarantine) {
      if (!this.isAnswered(slot)) continue
      this.#quarantine.delete(slot)
      this.#returned[slot] = 1
      this.#freeSlot(slot)
    }
  }

  #startTicks(): void {
    this.#tickTimer = setInterval(() => this.#onTick(), TICK_MS)
    this.#tickTimer.unref()
  }

  #onTick(): void {
    this.#tick++
    if (this.#quarantine.size > 0) this.#reclaim()
    if (this.#waiting === 0 && this.#queue.length === 0 && this.#quarantine.size === 0) {
      clearInterval(this.#tickTimer)
      this.#tickTimer = undefined
      return
    }
    const ticks = Math.ceil(this.options.defaultTimeoutMs / TICK_MS)
    for (let slot = 0; slot < this.#state.length; slot++) {
      const waiter = this.#waiters[slot] ?? null
      if (waiter === null || waiter.timer !== undefined || this.#tick - this.#ticks[slot]! <= ticks) continue
      this.#giveUp(waiter, this.#error('DEADLINE_EXCEEDED',
        `no answer within the connection's default of ${this.options.defaultTimeoutMs} ms`, this.#methods[slot]!))
    }
  }

  #fail(error: RpcError): void {
    this.#gone = error
    this.poller.remove(this)
    if (this.#tickTimer !== undefined) clearInterval(this.#tickTimer)
    for (let slot = 0; slot < this.#waiters.length; slot++) {
      const waiter = this.#waiters[slot] ?? null
      if (waiter === null) continue
      this.#waiters[slot] = null
      this.#settleWaiter(waiter)
      waiter.reject(this.#goneError(this.#methods[slot]!))
    }
    for (const { waiter, method } of this.#queue.splice(0)) {
      this.#settleWaiter(waiter)
      waiter.reject(this.#goneError(method))
    }
    this.#waiting = 0
  }

  #goneError(method: ClientMethod): RpcError {
    const { code, cause } = this.#gone!
    const sentence = this.#gone!.sentence
    return new RpcError(code, sentence, { channel: this.options.channel, method: method.name, ...(cause === undefined ? {} : { cause }) })
  }

  #error(code: RpcError['code'], sentence: string, method: ClientMethod): RpcError {
    return new RpcError(code, sentence, { channel: this.options.channel, method: method.name })
  }

  /** The same error, naming channel and method. */
  #located(error: unknown, method: ClientMethod): RpcError {
    if (!RpcError.is(error)) return this.#error('INTERNAL', `the library failed: ${String(error)}`, method)
    return new RpcError(error.code, error.sentence, { channel: this.options.channel, method: method.name, cause: error.cause })
  }
}
