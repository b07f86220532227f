import { RpcError, statusName, WildPointerError } from '../base/errors.js'
import {
  ANSWER_OWNED, ANSWER_STATUS, CLIENT_LINE_WORD, LINE_CANCELS, REQUEST_HAS_SCOPE, REQUEST_HAS_TIMEOUT,
  REQUEST_NEXT_SHIFT, REQUEST_RETURNS_RESULT, SERVER_LINE_WORD, SLOT_ANSWER, SLOT_ARGUMENT, SLOT_CANCELLED, SLOT_CHUNK,
  SLOT_METHOD, SLOT_REQUEST, SLOT_RESULT, SLOT_SCOPE, SLOT_TIMEOUT, SLOT_USED, slotWord, WAITING_ASLEEP,
} from '../layout/control-layout.js'
import { CallScope, type HeapSet, type Region } from '../memory/index.js'
import { addon } from '../sys/index.js'
import { End } from './end.js'
import type { CallOptions, ClientMethod } from './method.js'
import { type Poller } from './poller.js'
import { readError, ResultHold, type ResultOwner } from './results.js'
import { FreeSlots, InFlight } from './slots.js'
import { Patience, type QueuedCall, type Waiter } from './waiters.js'
import type { WaitingPolicy } from './waiting.js'
import { YieldGuard } from './yield-guard.js'

/** Calls that wait for a free slot, for each connection: beyond it a caller is told to slow down. */
export const QUEUE_MAX = 65_536
/** Coarse clock of the default deadline: a call is overdue after whole ticks. */
const TICK_MS = 500
/** Every so many polls all calls in flight are looked at, not just the oldest: answers may come out of order. */
const SCAN_POLLS = 16
/** Loads of the answer's word before a synchronous call looks at its CPU, the clock and the doorbell. */
const SYNC_STEP = 64
const BLOCK_MS = 100
const YIELDS_MAX = 8
/** The longest wait that fits into a request. */
const TIMEOUT_MS_MAX = 0x7fff_ffff

export interface ClientEndOptions {
  readonly channel: string
  readonly slots: number
  readonly defaultTimeoutMs: number
  readonly policy: WaitingPolicy
  /** The server lives on the same thread: it cannot answer a synchronous call. */
  readonly sameThread: boolean
  /** The doorbell has ended: once. */
  onGone(crashed: boolean): void
}

/**
 * The client's end of a connection: slots, pipelining, deadlines. Owns nothing but its call scopes.
 *
 * A slot is free, announced as the next one, in flight (awaited, blocked on, or in a pipeline), or in quarantine: timed out or
 * cancelled, its argument untouched until the server has answered or is gone.
 */
export class ClientEnd extends End implements ResultOwner {
  readonly #free: FreeSlots
  readonly #inFlight: InFlight
  /** For each slot: the word that its next request carries while it is free, the word of its answer while it is in flight. */
  readonly #sequence: Int32Array
  readonly #waiters: (Waiter | null)[]
  readonly #ticks: Int32Array
  /** For each slot: REQUEST_RETURNS_RESULT when the next request gives back the result of the last one, else 0. */
  readonly #returned: Int32Array
  readonly #scopePool: CallScope[] = []
  readonly #pipelined = new Map<number, CallScope>()
  readonly #quarantine = new Map<number, CallScope | null>()
  readonly #queue: QueuedCall[] = []
  readonly #cell = new Int32Array(2)
  readonly #guard = new YieldGuard()
  readonly #reading: Region
  /** The slot announced to the server: the next request goes there, and nowhere else. */
  #next: number
  #waiting = 0
  #polls = 0
  #tick = 0
  #tickTimer: NodeJS.Timeout | undefined
  #building = false
  #gone: RpcError | undefined
  /** Why a synchronous call cannot be made at all; checked once for each call. */
  #syncRefused: boolean

  constructor(words: Int32Array, readonly heaps: HeapSet, doorbellFd: number, poller: Poller, readonly options: ClientEndOptions) {
    super(words, CLIENT_LINE_WORD, SERVER_LINE_WORD, doorbellFd, poller, options.policy, options.policy.clientHotMs)
    const { slots } = options
    this.#free = new FreeSlots(slots)
    this.#inFlight = new InFlight(slots)
    this.#sequence = new Int32Array(slots).fill(1)
    this.#waiters = new Array<Waiter | null>(slots).fill(null)
    this.#ticks = new Int32Array(slots)
    this.#returned = new Int32Array(slots)
    this.#reading = heaps.heaps[0]!.region
    this.#syncRefused = options.sameThread
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
    if (this.#syncRefused) this.#refuseSync(method)
    const timeoutMs = options === undefined ? 0 : this.#timeout(options, method)
    const scope = method.argument.isNothing ? null : this.#encode(method, value)
    const slot = this.#free.count > 0 ? this.#next : this.#reclaimSlot()
    if (slot < 0) this.#noSlot(scope, method)
    this.#publish(slot, method, scope, timeoutMs)
    const { words } = this
    const at = slotWord(slot)
    const expected = this.#sequence[slot]!
    let spins = this.policy.firstSpins
    while (spins > 0 && Atomics.load(words, at) !== expected) spins--
    if (spins === 0) this.#block(slot, expected, timeoutMs === 0 ? this.options.defaultTimeoutMs : timeoutMs, method, scope)
    return this.#takeAnswer(slot, method, scope, false)
  }

  /** Calls, and resolves or rejects with the call's RpcError while the event loop goes on. */
  call(method: ClientMethod, value: unknown, options?: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#start(method, value, options, resolve, reject)
    })
  }

  /** @internal For pipelines: sends a call, whose answer {@link finish} takes. -1 when every slot is in flight. */
  submit(method: ClientMethod, value: unknown): number {
    if (this.#gone !== undefined) throw this.#goneError(method)
    const scope = method.argument.isNothing ? null : this.#encode(method, value)
    const slot = this.#free.count > 0 ? this.#next : this.#reclaimSlot()
    if (slot < 0) {
      this.#recycle(scope)
      return -1
    }
    if (scope !== null) this.#pipelined.set(slot, scope)
    this.#publish(slot, method, scope, 0)
    return slot
  }

  /** @internal Takes the answer of a slot for which {@link isAnswered} holds. */
  finish(slot: number, method: ClientMethod): unknown {
    return this.#takeAnswer(slot, method, this.#pipelined.size === 0 ? null : this.#takePipelined(slot), false)
  }

  /** @internal Blocks until the answer of a pipelined call is there. */
  waitFor(slot: number, method: ClientMethod, timeoutMs = this.options.defaultTimeoutMs): void {
    const expected = this.#sequence[slot]!
    if (!this.isAnswered(slot) && !this.#blockUntil(slotWord(slot), expected, timeoutMs)) {
      if (this.#gone !== undefined) throw this.#goneError(method)
      throw this.#error('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`, method)
    }
  }

  /** @internal Whether the answer to the call in a slot is there. */
  isAnswered(slot: number): boolean {
    return Atomics.load(this.words, slotWord(slot)) === this.#sequence[slot]
  }

  /** @internal */
  throwIfGone(method: ClientMethod): void {
    if (this.#gone !== undefined) throw this.#goneError(method)
  }

  poll(): number {
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
      this.#returned[hold.slot] = REQUEST_RETURNS_RESULT
      return
    }
    // The slot is in use again, or was: the server lets, or has let, go of the chunk, it is an ordinary block now.
    const region = this.heaps.locate(hold.chunkHigh, hold.chunkLow, 8)
    if (region !== undefined) this.heaps.freeChunk(region, region.resolve(hold.chunkHigh, hold.chunkLow, 2))
  }

  protected override ready(): boolean {
    return this.#inFlight.some((slot) => this.isAnswered(slot))
  }

  protected override expecting(): boolean {
    return this.#waiting > 0
  }

  protected override rung(): boolean {
    this.awake()
    const handled = this.#scan()
    if (handled > 0) this.#afterAnswers()
    if (this.#waiting > 0) this.#expectAnswer()
    return handled > 0
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
    if (this.#gone !== undefined) {
      reject(this.#goneError(method))
      return
    }
    const scope = method.argument.isNothing ? null : this.#encode(method, value)
    const patience = options === undefined ? null : this.#patience(options, method, scope)
    const waiter = { resolve, reject, method, scope, patience }
    const slot = this.#free.count > 0 ? this.#next : this.#reclaimSlot()
    if (slot < 0) {
      this.#enqueue({ low: this.#cell[0]!, high: this.#cell[1]!, timeoutMs: patience?.timeoutMs ?? 0, tick: this.#tick, waiter })
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
    this.#publish(slot, waiter.method, waiter.scope, timeoutMs)
  }

  #expectAnswer(): void {
    if (this.#tickTimer === undefined) this.#startTicks()
    if (this.hotMs > 0) this.poller.expect(this)
    // When an answer is there already, its promise is resolved after the caller's code.
    else if (!this.asleep && !this.sleep()) this.poller.add(this)
  }

  /** Writes the argument to a scope and its cell to {@link #cell}. Returns the scope when it holds anything, else null. */
  #encode(method: ClientMethod, value: unknown): CallScope | null {
    const { cell } = method.argument
    if (this.#building) {
      throw this.#error('FAILED_PRECONDITION', 'a getter of the argument makes another call on the same connection', method)
    }
    this.#building = true
    const scope = cell.isImmediate ? null : this.#scopePool.pop() ?? new CallScope(this.heaps)
    try {
      cell.write(scope ?? this.heaps, value, this.#cell, 0)
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

  /** The announced slot, when one in quarantine can take its place; else -1: every request must announce the next. */
  #reclaimSlot(): number {
    if (this.#quarantine.size > 0) this.#reclaim()
    return this.#free.count > 0 ? this.#next : -1
  }

  /** Publishes the argument in {@link #cell} in the announced slot, and announces another one. */
  #publish(slot: number, method: ClientMethod, scope: CallScope | null, timeoutMs: number): void {
    const { words } = this
    const at = slotWord(slot)
    let flags = this.#returned[slot]!
    this.#returned[slot] = 0
    words[at + SLOT_METHOD] = method.id
    if (!method.argument.isNothing) {
      words[at + SLOT_ARGUMENT] = this.#cell[0]!
      words[at + SLOT_ARGUMENT + 1] = this.#cell[1]!
      if (scope !== null) {
        flags |= REQUEST_HAS_SCOPE
        const region = scope.firstRegion
        words[at + SLOT_SCOPE] = region.lowOf(scope.firstWord)
        words[at + SLOT_SCOPE + 1] = region.high
        words[at + SLOT_USED] = scope.usedBytes
      }
    }
    if (timeoutMs > 0) {
      flags |= REQUEST_HAS_TIMEOUT
      words[at + SLOT_TIMEOUT] = timeoutMs
    }
    const next = this.#free.take()
    this.#next = next
    words[at + SLOT_REQUEST] = flags | (next << REQUEST_NEXT_SHIFT)
    const sequence = this.#sequence[slot]!
    this.#sequence[slot] = (sequence + 1) | 0
    // Pairs with the server's load of the word it awaits.
    Atomics.store(words, at, sequence)
    this.wakePeer()
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
    if (this.#quarantine.size > 0) this.#reclaim()
    if (this.#queue.length > 0) this.#sendQueued()
    if (this.#waiting === 0) this.poller.remove(this)
    this.poller.interrupt()
  }

  #sendQueued(): void {
    let sent = 0
    while (sent < this.#queue.length) {
      const slot = this.#free.count > 0 ? this.#next : this.#reclaimSlot()
      if (slot < 0) break
      const { low, high, timeoutMs, waiter } = this.#queue[sent++]!
      this.#cell[0] = low
      this.#cell[1] = high
      this.#send(slot, waiter, timeoutMs)
    }
    this.#queue.splice(0, sent)
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
      waiter.resolve(this.#takeAnswer(slot, waiter.method, waiter.scope, true))
    } catch (error) {
      waiter.reject(this.#located(error, waiter.method))
    }
  }

  /**
   * Reads an answer and frees its slot. Throws what the server answered as an error.
   * @param collected a result that is never disposed of is given back when it is garbage.
   */
  #takeAnswer(slot: number, method: ClientMethod, scope: CallScope | null, collected: boolean): unknown {
    const { words } = this
    const at = slotWord(slot)
    const answer = words[at + SLOT_ANSWER]!
    const { result } = method
    if (answer === 0 && result.isNothing) {
      this.#freeSlot(slot, scope)
      return undefined
    }
    const low = words[at + SLOT_RESULT]!
    const high = words[at + SLOT_RESULT + 1]!
    const chunkLow = words[at + SLOT_CHUNK]!
    const chunkHigh = words[at + SLOT_CHUNK + 1]!
    this.#freeSlot(slot, scope)
    this.heaps.refill()
    if ((answer & ANSWER_STATUS) !== 0) {
      this.#returned[slot] = REQUEST_RETURNS_RESULT
      throw this.#located(readError(this.#reading, statusName(answer & ANSWER_STATUS), low, high), method)
    }
    if (result.isCopy) this.#returned[slot] = REQUEST_RETURNS_RESULT
    try {
      const value = result.cell.read(this.#reading, low, high)
      if (!result.isCopy && (answer & ANSWER_OWNED) !== 0) {
        const hold = new ResultHold(this, slot, this.#sequence[slot]!, chunkLow, chunkHigh)
        if (collected) ResultHold.putCollected(value, hold)
        else ResultHold.put(value, hold)
      }
      return value
    } catch (error) {
      throw this.#located(error, method)
    }
  }

  #freeSlot(slot: number, scope: CallScope | null): void {
    if (scope !== null) this.#recycle(scope)
    this.#sequence[slot] = (this.#sequence[slot]! + 1) | 0
    this.#free.give(slot)
  }

  #takePipelined(slot: number): CallScope | null {
    const scope = this.#pipelined.get(slot) ?? null
    this.#pipelined.delete(slot)
    return scope
  }

  // ---- waiting on this thread ----

  #block(slot: number, expected: number, timeoutMs: number, method: ClientMethod, scope: CallScope | null): void {
    if (this.#blockUntil(slotWord(slot), expected, timeoutMs)) return
    if (this.#gone !== undefined) throw this.#goneError(method)
    this.#abandon(slot, scope)
    throw this.#error('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`, method)
  }

  /** Spins, yields and sleeps until the word is there. False when the time is over or the server is gone. */
  #blockUntil(at: number, expected: number, timeoutMs: number): boolean {
    const deadline = performance.now() + timeoutMs
    const { words } = this
    if (this.policy.syncSpins > 0 && this.#yieldToPeer(at, expected)) return true
    for (let spins = this.policy.syncSpins; spins > 0; spins -= SYNC_STEP) {
      for (let i = 0; i < SYNC_STEP; i++) if (Atomics.load(words, at) === expected) return true
      if (spins === Infinity && (performance.now() > deadline || !this.doorbell.block(0))) break
    }
    while (Atomics.load(words, at) !== expected) {
      const left = deadline - performance.now()
      if (left <= 0 || this.#gone !== undefined) return false
      this.#sleepUntilRung(at, expected, Math.min(left, BLOCK_MS))
    }
    return true
  }

  #sleepUntilRung(at: number, expected: number, timeoutMs: number): void {
    const { words } = this
    Atomics.store(words, this.line, WAITING_ASLEEP)
    this.asleep = true
    if (Atomics.load(words, at) !== expected) this.doorbell.block(timeoutMs)
    this.awake()
    // Calls that somebody awaits relied on the doorbell, too.
    if (this.#waiting > 0) this.poller.add(this)
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

  #timeout(options: CallOptions, method: ClientMethod): number {
    const { timeoutMs } = options
    if (timeoutMs === undefined) return 0
    if (!(timeoutMs > 0)) throw this.#error('INVALID_ARGUMENT', `timeoutMs must be a positive number, not ${timeoutMs}`, method)
    return Math.min(Math.ceil(timeoutMs), TIMEOUT_MS_MAX)
  }

  #patience(options: CallOptions, method: ClientMethod, scope: CallScope | null): Patience | null {
    try {
      const timeoutMs = this.#timeout(options, method)
      if (options.signal?.aborted === true) throw this.#error('CANCELLED', 'the signal was aborted before the call', method)
      if (timeoutMs === 0 && options.signal === undefined) return null
      return new Patience(timeoutMs, options.signal, (patience, code) => this.#giveUp(patience, this.#error(code,
        code === 'CANCELLED' ? 'the call was aborted by its signal' : `no answer within ${timeoutMs} ms`, method)))
    } catch (error) {
      this.#recycle(scope)
      throw error
    }
  }

  #enqueue(call: QueuedCall): void {
    if (this.#queue.length < QUEUE_MAX) {
      this.#queue.push(call)
      if (this.#tickTimer === undefined) this.#startTicks()
      return
    }
    const { waiter } = call
    this.#recycle(waiter.scope)
    waiter.patience?.stop()
    waiter.reject(this.#error('RESOURCE_EXHAUSTED',
      `${QUEUE_MAX} calls wait for a slot already; await some before making more`, waiter.method))
  }

  #giveUp(patience: Patience, error: RpcError): void {
    patience.stop()
    const queued = this.#queue.findIndex(({ waiter }) => waiter.patience === patience)
    if (queued >= 0) {
      const { waiter } = this.#queue.splice(queued, 1)[0]!
      this.#recycle(waiter.scope)
      waiter.reject(error)
      return
    }
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
    this.#abandon(slot, waiter.scope)
    waiter.reject(error)
  }

  /** Nobody waits for the slot any more. It is used again when the server has answered. */
  #abandon(slot: number, scope: CallScope | null): void {
    this.#quarantine.set(slot, scope)
    const { words } = this
    Atomics.store(words, slotWord(slot) + SLOT_CANCELLED, (this.#sequence[slot]! - 1) | 0)
    Atomics.add(words, this.line + LINE_CANCELS, 1)
    this.wakePeer()
    if (this.#tickTimer === undefined) this.#startTicks()
  }

  #reclaim(): void {
    for (const [slot, scope] of this.#quarantine) {
      if (!this.isAnswered(slot)) continue
      this.#quarantine.delete(slot)
      this.#returned[slot] = REQUEST_RETURNS_RESULT
      this.#freeSlot(slot, scope)
    }
  }

  #startTicks(): void {
    this.#tickTimer = setInterval(() => this.#onTick(), TICK_MS)
    this.#tickTimer.unref()
  }

  #onTick(): void {
    this.#tick++
    if (this.#quarantine.size > 0) {
      this.#reclaim()
      this.#resumeQueue()
    }
    if (this.outstanding === 0 && this.#quarantine.size === 0) {
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
    this.#giveUpQueued((call) => call.timeoutMs === 0 && call.tick < overdue)
  }

  #giveUpQueued(isOverdue: (call: QueuedCall) => boolean): void {
    const late = this.#queue.filter(isOverdue)
    if (late.length === 0) return
    const patient = this.#queue.filter((call) => !isOverdue(call))
    this.#queue.length = 0
    for (const call of patient) this.#queue.push(call)
    for (const { waiter } of late) {
      waiter.patience?.stop()
      this.#recycle(waiter.scope)
      waiter.reject(this.#overdueError(waiter.method))
    }
  }

  #overdueError(method: ClientMethod): RpcError {
    return this.#error('DEADLINE_EXCEEDED', `no answer within the connection's default of ${this.options.defaultTimeoutMs} ms`, method)
  }

  #fail(error: RpcError): void {
    this.#gone = error
    this.#syncRefused = true
    this.poller.remove(this)
    clearInterval(this.#tickTimer)
    const waiters = [...this.#waiters, ...this.#queue.splice(0).map((call) => call.waiter)]
    this.#waiters.fill(null)
    this.#waiting = 0
    for (const waiter of waiters) {
      if (waiter === null) continue
      waiter.patience?.stop()
      waiter.reject(this.#goneError(waiter.method))
    }
  }

  // ---- errors ----

  #refuseSync(method: ClientMethod): never {
    if (this.#gone !== undefined) throw this.#goneError(method)
    throw this.#error('FAILED_PRECONDITION',
      'the server lives on this thread and cannot answer while it waits; use "await", or a worker thread', method)
  }

  #noSlot(scope: CallScope | null, method: ClientMethod): never {
    this.#recycle(scope)
    throw this.#error('RESOURCE_EXHAUSTED',
      `all ${this.options.slots - 1} calls that the connection can carry are in flight; await some, or ask for more slots when connecting`, method)
  }

  #goneError(method: ClientMethod): RpcError {
    return this.#located(this.#gone, method)
  }

  #error(code: RpcError['code'], sentence: string, method: ClientMethod): RpcError {
    return new RpcError(code, sentence, { channel: this.options.channel, method: method.name })
  }

  /** The same error, naming channel and method. */
  #located(error: unknown, method: ClientMethod): RpcError {
    const place = { channel: this.options.channel, method: method.name }
    if (error instanceof WildPointerError) return new WildPointerError(error.sentence, place)
    if (!RpcError.is(error)) return this.#error('INTERNAL', `the library failed: ${String(error)}`, method)
    return error.method === undefined ? new RpcError(error.code, error.sentence, { ...place, cause: error.cause }) : error
  }
}
