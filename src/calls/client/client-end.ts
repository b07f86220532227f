import { RpcError } from '../../base/errors.js'
import { loadPublished, pause } from '../../base/ordering.js'
import { slotWord } from '../../layout/control-layout.js'
import type { ArgumentScope, HeapSet } from '../../memory/index.js'
import { ClientRing, type ClientEndOptions } from './client-ring.js'
import type { CallOptions, ClientMethod } from '../service/method.js'
import type { Poller } from '../waiting/poller.js'
import { InFlight } from './slots.js'
import { CallQueue, Patience, QUEUE_MAX, type QueuedCall, type Waiter } from './waiters.js'

/** Coarse clock of the default deadline: a call is overdue after whole ticks. */
const TICK_MS = 500
/** Every so many polls all calls in flight are looked at, not just the oldest: answers may come out of order. */
const SCAN_POLLS = 16
/** The longest wait that fits into a request. */
const TIMEOUT_MS_MAX = 0x7fff_ffff

/**
 * The client's end of a connection: synchronous calls, calls that are awaited, pipelines; deadlines and cancellation.
 * Owns nothing but its call scopes.
 */
export class ClientEnd extends ClientRing {
  readonly #inFlight: InFlight

  readonly #waiters: (Waiter | null)[]

  readonly #ticks: Int32Array

  readonly #queue = new CallQueue()

  #waiting = 0

  #polls = 0

  #tick = 0

  #tickTimer: NodeJS.Timeout | undefined

  /** Why a synchronous call cannot be made at all; checked once for each call. */
  #syncRefused: boolean

  constructor(words: Int32Array, heaps: HeapSet, doorbellFd: number, poller: Poller, options: ClientEndOptions) {
    super(words, heaps, doorbellFd, poller, options)
    const { slots } = options
    this.#inFlight = new InFlight(slots)
    this.#waiters = Array.from({ length: slots }, () => null)
    this.#ticks = new Int32Array(slots)
    this.#syncRefused = options.sameThread
  }

  /** Calls without an answer so far, and calls that wait for a slot. */
  get outstanding(): number {
    return this.#waiting + this.#queue.length
  }

  /** Calls and waits on this thread. Throws the call's RpcError. */
  callSync(method: ClientMethod, value: unknown, options?: CallOptions): unknown {
    if (this.#syncRefused) this.#refuseSync(method)
    const timeoutMs = options === undefined ? 0 : this.#timeout(options, method)
    if (options?.signal?.aborted === true) throw this.error('CANCELLED', 'the signal was aborted before the call', method)
    const scope = method.argument.isNothing ? this.noArgument(method, value) : this.encode(method, value)
    const slot = this.free.count > 0 ? this.next : this.reclaimSlot()
    if (slot < 0) this.#noSlot(scope, method)
    this.publish(slot, method, scope, timeoutMs)
    this.wakePeer()
    const { words } = this
    const at = slotWord(slot)
    const expected = this.sequence[slot]!
    let spins = this.besidePeer ? 0 : this.policy.firstSpins
    while (spins > 0 && loadPublished(words, at) !== expected) {
      pause()
      spins--
    }
    if (spins === 0) this.#block(slot, expected, timeoutMs === 0 ? this.options.defaultTimeoutMs : timeoutMs, method, scope)
    return this.takeAnswer(slot, method, scope, false)
  }

  /** Calls, and resolves or rejects with the call's RpcError while the event loop goes on. */
  call(method: ClientMethod, value: unknown, options?: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#start(method, value, options, resolve, reject)
    })
  }

  poll(): number {
    this.flush()
    const inFlight = this.#inFlight
    let handled = 0
    while (inFlight.count > 0) {
      const slot = inFlight.first()
      if (!this.isAnswered(slot)) break
      inFlight.removeFirst()
      this.#complete(slot)
      handled++
    }
    if (++this.#polls % SCAN_POLLS === 0 && inFlight.count > 1) handled += this.#scan()
    if (handled > 0) this.#afterAnswers()
    return handled
  }

  override finish(slot: number, method: ClientMethod): unknown {
    if (this.#queue.length === 0) return super.finish(slot, method)
    try {
      return super.finish(slot, method)
    } finally {
      // Its slot is free for a call that somebody awaits.
      this.#resumeQueue()
    }
  }

  /** Ends the connection on this side; calls in flight reject. Idempotent. */
  close(error: RpcError): void {
    if (this.gone !== undefined) return
    this.announceClosing()
    this.doorbell.close()
    this.closeScopes()
    this.#fail(error)
  }

  protected override ready(): boolean {
    return this.#inFlight.some((slot) => this.isAnswered(slot))
  }

  protected override expecting(): boolean {
    return this.#waiting > 0
  }

  protected override rung(): boolean {
    this.awake()
    // While somebody awaits an answer, others ring too: of calls made on this thread, and of those that nobody waits for.
    const quarantined = this.quarantine.size
    let wanted = this.calledSinceRung
    this.calledSinceRung = false
    const handled = this.#scan()
    if (handled > 0 || quarantined > 0) this.#afterAnswers()
    wanted ||= this.quarantine.size < quarantined
    if (this.#waiting > 0) this.#expectAnswer()
    return handled > 0 || wanted
  }

  protected override peerGone(): void {
    const closing = this.peerIsClosing()
    this.#scan()
    this.#fail(new RpcError('UNAVAILABLE',
      closing ? 'the server has closed the connection' : 'the server process has ended', { channel: this.options.channel }))
    this.options.onGone(!closing)
  }

  // ---- sending ----

  #start(
    method: ClientMethod, value: unknown, options: CallOptions | undefined,
    resolve: (value: unknown) => void, reject: (error: RpcError) => void,
  ): void {
    if (this.gone !== undefined) {
      reject(this.goneError(method))
      return
    }
    const scope = method.argument.isNothing ? this.noArgument(method, value) : this.encode(method, value)
    const patience = options === undefined ? null : this.#patience(options, method, scope)
    const waiter = { resolve, reject, method, scope, patience }
    const slot = this.free.count > 0 ? this.next : this.reclaimSlot()
    if (slot < 0) {
      this.#enqueue({ low: this.cell[0]!, high: this.cell[1]!, timeoutMs: patience?.timeoutMs ?? 0, tick: this.#tick, waiter })
      return
    }
    this.#send(slot, waiter, patience === null ? 0 : patience.timeoutMs)
    this.#expectAnswer()
  }

  #send(slot: number, waiter: Waiter, timeoutMs: number): void {
    this.#waiters[slot] = waiter
    this.#inFlight.add(slot)
    this.#waiting++
    this.#ticks[slot] = this.#tick
    this.publish(slot, waiter.method, waiter.scope, timeoutMs)
    if (this.hotMs > 0) this.wakeInBatch(slot)
    else this.wakePeer()
  }

  #expectAnswer(): void {
    if (this.#tickTimer === undefined) this.#startTicks()
    if (this.hotMs > 0) {
      // The time in which an answer is waited for awake begins with the call.
      this.active ||= this.#waiting === 1
      this.poller.expect(this)
    }
    // When an answer is there already, its promise is resolved after the caller's code.
    else if (!this.asleep && !this.sleep()) this.poller.add(this)
  }

  // ---- answers ----

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
    if (this.quarantine.size > 0) this.reclaim()
    if (this.#queue.length > 0) this.#sendQueued()
    if (this.#waiting === 0) this.poller.remove(this)
    this.poller.interrupt()
  }

  #sendQueued(): void {
    this.#queue.takeWhile(({ low, high, timeoutMs, waiter }) => {
      const slot = this.free.count > 0 ? this.next : this.reclaimSlot()
      if (slot < 0) return false
      this.cell[0] = low
      this.cell[1] = high
      this.#send(slot, waiter, timeoutMs)
      return true
    })
  }

  /** Slots have come back outside the poll loop. */
  #resumeQueue(): void {
    if (this.#queue.length === 0) return
    this.#sendQueued()
    if (this.#waiting > 0) this.#expectAnswer()
  }

  /** An answer to a call that somebody awaits. */
  #complete(slot: number): void {
    const waiter = this.#waiters[slot]!
    this.#waiters[slot] = null
    this.#waiting--
    if (waiter.patience !== null) waiter.patience.stop()
    try {
      waiter.resolve(this.takeAnswer(slot, waiter.method, waiter.scope, true))
    } catch (error) {
      waiter.reject(this.located(error, waiter.method))
    }
  }

  // ---- waiting on this thread ----

  #block(slot: number, expected: number, timeoutMs: number, method: ClientMethod, scope: ArgumentScope | null): void {
    if (this.blockUntil(slotWord(slot), expected, timeoutMs)) return
    if (this.gone !== undefined) throw this.goneError(method)
    this.#giveUpOn(slot, scope)
    throw this.error('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`, method)
  }

  // ---- deadlines, cancellation, the end ----

  #timeout(options: CallOptions, method: ClientMethod): number {
    const { timeoutMs } = options
    if (timeoutMs === undefined) return 0
    if (!(timeoutMs > 0)) throw this.error('INVALID_ARGUMENT', `timeoutMs must be a positive number, not ${timeoutMs}`, method)
    return Math.min(Math.ceil(timeoutMs), TIMEOUT_MS_MAX)
  }

  #patience(options: CallOptions, method: ClientMethod, scope: ArgumentScope | null): Patience | null {
    try {
      const timeoutMs = this.#timeout(options, method)
      if (options.signal?.aborted === true) throw this.error('CANCELLED', 'the signal was aborted before the call', method)
      if (timeoutMs === 0 && options.signal === undefined) return null
      return new Patience(timeoutMs, options.signal, (patience, code) => this.#giveUp(patience, code === 'CANCELLED'
        ? this.error(code, 'the call was aborted by its signal', method, options.signal?.reason)
        : this.error(code, `no answer within ${timeoutMs} ms`, method)))
    } catch (error) {
      this.recycle(scope)
      throw error
    }
  }

  #enqueue(call: QueuedCall): void {
    if (this.#queue.add(call)) {
      if (this.#tickTimer === undefined) this.#startTicks()
      return
    }
    this.#dropQueued(call, this.error('RESOURCE_EXHAUSTED',
      `${QUEUE_MAX} calls wait for a slot already; await some before making more`, call.waiter.method))
  }

  #dropQueued({ waiter }: QueuedCall, error: RpcError): void {
    waiter.patience?.stop()
    this.recycle(waiter.scope)
    waiter.reject(error)
  }

  #giveUp(patience: Patience, error: RpcError): void {
    patience.stop()
    const queued = this.#queue.remove(({ waiter }) => waiter.patience === patience)
    for (const call of queued) this.#dropQueued(call, error)
    const slot = this.#waiters.findIndex((waiter) => waiter?.patience === patience)
    if (slot >= 0) this.#giveUpSlot(slot, error)
  }

  #giveUpSlot(slot: number, error: RpcError): void {
    const waiter = this.#waiters[slot]!
    this.#inFlight.keep((one) => one !== slot)
    if (this.isAnswered(slot)) {
      this.#complete(slot)
      this.#resumeQueue()
      return
    }
    this.#waiters[slot] = null
    this.#waiting--
    this.#giveUpOn(slot, waiter.scope)
    waiter.reject(error)
  }

  /** Leaves a slot in quarantine, and looks at it from time to time. */
  #giveUpOn(slot: number, scope: ArgumentScope | null): void {
    this.abandon(slot, scope)
    if (this.#tickTimer === undefined) this.#startTicks()
  }

  #startTicks(): void {
    this.#tickTimer = setInterval(() => this.#onTick(), TICK_MS)
    this.#tickTimer.unref()
  }

  #onTick(): void {
    this.#tick++
    if (this.quarantine.size > 0) this.reclaim()
    this.#resumeQueue()
    if (this.outstanding === 0 && this.quarantine.size === 0) {
      clearInterval(this.#tickTimer)
      this.#tickTimer = undefined
      return
    }
    const overdue = this.#tick - Math.ceil(this.options.defaultTimeoutMs / TICK_MS)
    for (let slot = 0; slot < this.#waiters.length; slot++) {
      const waiter = this.#waiters[slot]!
      if (waiter === null || (waiter.patience?.timeoutMs ?? 0) > 0 || this.#ticks[slot]! >= overdue) continue
      this.#giveUpSlot(slot, this.#overdueError(waiter.method))
    }
    for (const call of this.#queue.remove(({ timeoutMs, tick }) => timeoutMs === 0 && tick < overdue)) {
      this.#dropQueued(call, this.#overdueError(call.waiter.method))
    }
  }

  #overdueError(method: ClientMethod): RpcError {
    return this.error('DEADLINE_EXCEEDED', `no answer within the connection's default of ${this.options.defaultTimeoutMs} ms`, method)
  }

  #fail(error: RpcError): void {
    this.gone = error
    this.#syncRefused = true
    this.poller.remove(this)
    clearInterval(this.#tickTimer)
    const waiters = [...this.#waiters, ...this.#queue.remove(() => true).map((call) => call.waiter)]
    this.#waiters.fill(null)
    this.#waiting = 0
    for (const waiter of waiters) {
      if (waiter === null) continue
      waiter.patience?.stop()
      waiter.reject(this.goneError(waiter.method))
    }
  }

  // ---- errors ----

  #refuseSync(method: ClientMethod): never {
    if (this.gone !== undefined) throw this.goneError(method)
    throw this.error('FAILED_PRECONDITION',
      'the server lives on this thread and cannot answer while it waits; use "await", or a worker thread', method)
  }

  #noSlot(scope: ArgumentScope | null, method: ClientMethod): never {
    this.recycle(scope)
    throw this.error('RESOURCE_EXHAUSTED',
      `all ${this.options.slots - 1} calls that the connection can carry are in flight; await some, or ask for more slots when connecting`, method)
  }
}
