import { RpcError } from '../../base/errors.js'
import type { ArgumentScope, HeapSet } from '../../memory/index.js'
import type { ClientEndOptions } from './options.js'
import { SyncEnd } from './sync-end.js'
import { type SealingCall, SealingCalls } from './sealing-calls.js'
import { type ArgumentSeals, SealedArgument } from '../../safety/index.js'
import type { CallOptions, ClientMethod } from '../service/method.js'
import type { Poller } from '../waiting/poller.js'
import { AwakeTime } from '../waiting/awake-time.js'
import { InFlight } from './slots.js'
import { CallQueue, endedBy, Patience, QUEUE_MAX, type QueuedCall, type Waiter } from './waiters.js'

/** Coarse clock of the default deadline: a call is overdue after whole ticks. */
const TICK_MS = 500
/** Every so many polls all calls in flight are looked at, not just the oldest: answers may come out of order. */
const SCAN_POLLS = 16

/**
 * The client's end of a connection: synchronous calls, calls that are awaited, pipelines; deadlines and cancellation.
 * Owns nothing but its call scopes.
 */
export class ClientEnd extends SyncEnd {
  readonly #inFlight: InFlight
  readonly #waiters: (Waiter | null)[]
  readonly #ticks: Int32Array
  readonly #queue = new CallQueue()

  /** Calls whose arguments are being sealed; null without seals. */
  #sealing: SealingCalls | null = null

  #waiting = 0
  #polls = 0
  #tick = 0
  #tickTimer: NodeJS.Timeout | undefined
  readonly #awake: AwakeTime

  constructor(words: Int32Array, heaps: HeapSet, doorbellFd: number, poller: Poller, options: ClientEndOptions) {
    super(words, heaps, doorbellFd, poller, options)
    const { slots } = options
    this.#inFlight = new InFlight(slots)
    this.#waiters = Array.from({ length: slots }, () => null)
    this.#ticks = new Int32Array(slots)
    this.#awake = new AwakeTime(this.hotMs)
  }

  /** Calls without an answer so far, and calls that wait for a slot. */
  get outstanding(): number {
    return this.#waiting + this.#queue.length + (this.#sealing?.count ?? 0)
  }

  override useSeals(seals: ArgumentSeals): void {
    super.useSeals(seals)
    this.#sealing = new SealingCalls(seals, {
      free: () => this.slotsFree - this.orphans,
      sealed: (call) => this.#sealed(call),
      orphaned: (argument) => this.adopt(argument),
      refused: ({ waiter }, error) => {
        waiter.patience?.stop()
        waiter.reject(this.located(error, waiter.method))
      },
    })
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
    if (++this.#polls % SCAN_POLLS === 0 && (inFlight.count > 1 || this.#queue.length > 0)) handled += this.#lookFurther()
    if (handled > 0) {
      this.#awake.answered()
      this.#afterAnswers()
    }
    return handled
  }

  override rest(now: number): boolean {
    if (!super.rest(now)) return false
    if (this.#waiting > 0) this.#awake.inVain(now === Infinity ? performance.now() : now)
    return true
  }

  protected override timeToStayHot(): number {
    return this.#awake.ms
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
    if (this.gone === undefined) {
      this.announceClosing()
      this.doorbell.close()
      this.closeScopes()
      this.#fail(error)
    }
    // Also when the server went first: what the sealer gave is held until now.
    this.seals?.close()
  }

  protected override ready(): boolean {
    return this.#inFlight.some((slot) => this.isAnswered(slot)) || (this.#awaitsSlot && [...this.quarantine.keys()].some((slot) => this.isAnswered(slot)))
  }

  protected override expecting(): boolean {
    return this.#waiting > 0 || this.#awaitsSlot
  }

  /** A call waits for a slot, and some come back without anybody's call having been answered. */
  get #awaitsSlot(): boolean {
    return this.#queue.length > 0 && this.quarantine.size > 0
  }

  protected override rung(): boolean {
    this.awake()
    this.#awake.woken(performance.now())
    // While somebody awaits an answer, others ring too: of calls made on this thread, and of those that nobody waits for.
    const quarantined = this.quarantine.size
    let wanted = this.calledSinceRung
    this.calledSinceRung = false
    const handled = this.#scan()
    if (handled > 0 || quarantined > 0) this.#afterAnswers()
    wanted ||= this.quarantine.size < quarantined
    if (this.expecting()) this.#expectAnswer()
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
    const scope = this.argumentOf(method, value)
    const patience = options === undefined ? null : this.#patience(options, method, scope)
    const waiter = { resolve, reject, method, scope, patience }
    if (method.sealing && scope instanceof SealedArgument && scope.isWanted) {
      const call = { low: this.cell[0]!, high: this.cell[1]!, timeoutMs: patience?.timeoutMs ?? 0, tick: this.#tick, waiter, argument: scope }
      if (this.#queue.length > 0 || !this.#sealing!.add(call)) this.#enqueue(call)
      return
    }
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
    const { method, scope } = waiter
    if (method.sealing && scope instanceof SealedArgument && scope.isAsked) this.publishSealed(slot, method, scope, timeoutMs)
    else this.publish(slot, method, scope, timeoutMs)
    if (this.#awake.ms > 0) this.wakeInBatch(slot)
    else this.wakePeer()
  }

  #sealed(call: SealingCall): void {
    const slot = this.free.count > 0 ? this.next : this.reclaimSlot()
    if (slot < 0) {
      // Others took the slots meanwhile: it is sent when there is one.
      this.#enqueue(call)
      return
    }
    this.cell[0] = call.low
    this.cell[1] = call.high
    this.#send(slot, call.waiter, call.timeoutMs)
    this.#expectAnswer()
  }

  #expectAnswer(): void {
    if (this.#tickTimer === undefined) this.#startTicks()
    if (this.#awake.ms > 0) {
      // The time in which an answer is waited for awake begins with the call.
      this.active ||= this.#waiting === 1
      this.poller.expect(this)
    }
    // When an answer is there already, its promise is resolved after the caller's code.
    else if (!this.asleep) {
      if (this.sleep()) this.#awake.sent(performance.now())
      else this.poller.add(this)
    }
  }

  // ---- answers ----

  /** Slots that come back are for the calls that wait, but not at once: a call that is being made has its argument in {@link cell}. */
  protected override reclaim(): void {
    const quarantined = this.quarantine.size
    super.reclaim()
    if (this.#queue.length > 0 && this.quarantine.size < quarantined) queueMicrotask(() => this.#resumeQueue())
  }

  /** Looks for what has come out of order: answers, and slots in quarantine that a call waits for. */
  #lookFurther(): number {
    if (this.#awaitsSlot) this.reclaim()
    return this.#inFlight.count > 1 ? this.#scan() : 0
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
    if (this.quarantine.size > 0) this.reclaim()
    if (this.orphans > 0) this.giveSealsBack()
    if (this.#queue.length > 0) this.#sendQueued()
    if (this.#waiting === 0 && !this.#awaitsSlot) this.poller.remove(this)
    this.poller.interrupt()
  }

  #sendQueued(): void {
    this.#queue.takeWhile((call) => {
      const { low, high, timeoutMs, waiter } = call
      const { scope } = waiter
      if (scope instanceof SealedArgument && scope.isWanted && !scope.isAsked) return this.#sealing!.add({ ...call, argument: scope })
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

  // ---- deadlines, cancellation, the end ----

  #patience(options: CallOptions, method: ClientMethod, scope: ArgumentScope | null): Patience | null {
    try {
      const timeoutMs = this.timeoutOf(options, method)
      if (timeoutMs === 0 && options.signal === undefined) return null
      return new Patience(timeoutMs, options.signal, (patience, fired) => this.#giveUp(patience, fired === undefined
        ? this.error('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`, method)
        : this.error(endedBy(fired), 'the call was aborted by its signal', method, fired.reason)))
    } catch (error) {
      this.recycle(scope)
      throw error
    }
  }

  #enqueue(call: QueuedCall): void {
    if (this.#queue.add(call)) {
      if (this.#tickTimer === undefined) this.#startTicks()
      if (this.#waiting === 0 && this.#awaitsSlot) this.#expectAnswer()
      return
    }
    this.#dropQueued(call, this.error('RESOURCE_EXHAUSTED',
      `${QUEUE_MAX} calls wait for a slot already; await some before making more`, call.waiter.method))
  }

  #dropQueued({ waiter }: QueuedCall, error: RpcError): void {
    waiter.patience?.stop()
    this.dropPrepared(waiter.scope)
    waiter.reject(error)
  }

  #giveUp(patience: Patience, error: RpcError): void {
    patience.stop()
    const queued = this.#queue.remove(({ waiter }) => waiter.patience === patience)
    for (const call of queued) this.#dropQueued(call, error)
    const sealing = this.#sealing?.giveUp(patience)
    if (sealing !== undefined) sealing.waiter.reject(error)
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
    this.giveUpOn(slot, waiter.scope)
    waiter.reject(error)
  }

  protected override giveUpOn(slot: number, scope: ArgumentScope | null): void {
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
    if (this.orphans > 0) this.giveSealsBack()
    this.#resumeQueue()
    if (this.outstanding === 0 && this.quarantine.size === 0 && this.orphans === 0) {
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
    this.refuseSync()
    this.poller.remove(this)
    clearInterval(this.#tickTimer)
    const unsent = [...this.#queue.remove(() => true), ...this.#sealing?.fail() ?? []]
    const waiters = [...this.#waiters, ...unsent.map((call) => call.waiter)]
    this.seals?.lost()
    this.#waiters.fill(null)
    this.#waiting = 0
    for (const waiter of waiters) {
      if (waiter === null) continue
      waiter.patience?.stop()
      waiter.reject(this.goneError(waiter.method))
    }
  }
}
