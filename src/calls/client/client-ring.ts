import { RpcError, SealedError, statusName, WildPointerError } from '../../base/errors.js'
import { loadPublished, publishWord } from '../../base/ordering.js'
import { Answer, chunkBytes, ControlWord, Line, Request, Slot, slotWord } from '../../layout/control-layout.js'
import { type ArgumentScope, CallScope, CallScopePool, type HeapSet, ignoringSpoils, keptMaxOf, type Region } from '../../memory/index.js'
import { isView, locationOf } from '../../objects/index.js'
import { IsolatedResults } from '../../safety/index.js'
import { BlockingEnd } from './blocking-end.js'
import { type ClientMethod, GIVING_BACK } from '../service/method.js'
import type { Poller } from '../waiting/poller.js'
import { readError, ResultHold, type ResultOwner } from '../service/results.js'
import { FreeSlots } from './slots.js'
import type { ClientEndOptions } from './options.js'

/**
 * The client's ring: arguments into slots, and answers out of them.
 *
 * A slot is free, announced as the next one, in flight, or in quarantine: timed out or cancelled, its argument untouched until
 * the server has answered or is gone. All book-keeping is private: what a server scribbles in the ring cannot confuse it.
 */
export abstract class ClientRing extends BlockingEnd implements ResultOwner {
  protected readonly free: FreeSlots

  /** For each slot: the word that its next request carries while it is free, the word of its answer while it is in flight. */
  protected readonly sequence: Int32Array

  /** For each slot: Request.RETURNS_RESULT when the next request gives back the result of the last one, else 0. */
  protected readonly returned: Int32Array

  readonly #scopes: CallScopePool

  /** Slot → what the argument was built in; undefined of a request that only gives results back. */
  protected readonly quarantine = new Map<number, ArgumentScope | null | undefined>()

  protected readonly cell: Int32Array = new Int32Array(2)

  readonly #reading: Region

  /** The slot announced to the server: the next request goes there, and nowhere else. */
  protected next: number

  #building = false

  /** For each slot of a pipelined call: what its argument was built in. */
  readonly #pipelined: (ArgumentScope | null)[]

  /** A ring after it was not needless: the server may have looked before its answer was taken. */
  protected calledSinceRung = false

  /** A call was made since answers were last polled for. */
  #inBatch = false

  /** Of the calls made after it, the slot of the last: whether the server slept was looked at without a fence. -1: none. */
  #unfenced = -1

  readonly #results: IsolatedResults | null

  protected constructor(
    words: Int32Array, readonly heaps: HeapSet, doorbellFd: number, poller: Poller, readonly options: ClientEndOptions,
  ) {
    super(words, ControlWord.CLIENT_LINE, ControlWord.SERVER_LINE, doorbellFd, poller, options.policy, options.policy.clientHotMs)
    const { slots } = options
    this.free = new FreeSlots(slots, keptMaxOf(heaps))
    this.sequence = new Int32Array(slots).fill(1)
    this.returned = new Int32Array(slots)
    this.#scopes = new CallScopePool(heaps)
    this.#pipelined = Array.from({ length: slots }, () => null)
    this.#reading = heaps.heaps[0]!.region
    this.#results = options.isolateResults ? new IsolatedResults(heaps) : null
    // The server looks at slot 0 first.
    this.next = this.free.take()
  }

  /** Slots that wait for the server's answer to a call nobody waits for any more. */
  get quarantined(): number {
    return this.quarantine.size
  }

  /** @internal Whether the answer to the call in a slot is there. */
  isAnswered(slot: number): boolean {
    return loadPublished(this.words, slotWord(slot)) === this.sequence[slot]
  }

  /** @internal */
  throwIfGone(method: ClientMethod): void {
    if (this.gone !== undefined) throw this.goneError(method)
  }

  /** Gives back a result's memory. Called by the garbage collector too: whatever the server says is there, it must not throw. */
  release(hold: ResultHold): void {
    if (this.gone !== undefined) return
    if (this.sequence[hold.slot] === hold.sequence) {
      this.#giveBack(hold.slot)
      this.#returnResults()
      return
    }
    // The slot is in use again, or was: the server lets, or has let, go of the chunk, it is an ordinary block now.
    const region = this.heaps.locate(hold.chunkHigh, hold.chunkLow, 8)
    if (region === undefined) return
    ignoringSpoils(() => this.heaps.freeChunk(region, region.resolve(hold.chunkHigh, hold.chunkLow, 2)))
    this.free.freedLate(hold.bytes)
    this.#returnResults()
  }

  /** @internal For pipelines: sends a call, whose answer {@link finish} takes. -1 when every slot is in flight. */
  submit(method: ClientMethod, value: unknown): number {
    if (this.gone !== undefined) throw this.goneError(method)
    const scope = method.argument.isNothing ? null : this.encode(method, value)
    const slot = this.free.count > 0 ? this.next : this.reclaimSlot()
    if (slot < 0) {
      this.recycle(scope)
      return -1
    }
    if (scope !== null) this.#pipelined[slot] = scope
    this.publish(slot, method, scope, 0)
    this.wakeInBatch(slot)
    return slot
  }

  /** @internal Ends a batch of calls: a server that fell asleep between two of them is woken. */
  flush(): void {
    this.#inBatch = false
    const slot = this.#unfenced
    if (slot < 0) return
    this.#unfenced = -1
    // Requests are taken in order: a server that has answered the last of them has slept over none.
    if (!this.isAnswered(slot)) this.wakePeer()
  }

  /** @internal Takes the answer of a slot for which {@link isAnswered} holds. */
  finish(slot: number, method: ClientMethod): unknown {
    return this.takeAnswer(slot, method, this.takePipelined(slot), false)
  }

  /** @internal Blocks until the answer of a pipelined call is there. */
  waitFor(slot: number, method: ClientMethod, timeoutMs = this.options.defaultTimeoutMs): void {
    const expected = this.sequence[slot]!
    if (!this.isAnswered(slot) && !this.blockUntil(slotWord(slot), expected, timeoutMs)) {
      if (this.gone !== undefined) throw this.goneError(method)
      throw this.error('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`, method)
    }
  }

  /** What a pipelined call's argument was built in goes with its answer. */
  protected notePipelined(slot: number, scope: ArgumentScope): void {
    this.#pipelined[slot] = scope
  }

  protected takePipelined(slot: number): ArgumentScope | null {
    const scope = this.#pipelined[slot]!
    if (scope !== null) this.#pipelined[slot] = null
    return scope
  }

  /** Writes the argument to a scope and its cell to {@link cell}. Returns the scope when it holds anything, else null. */
  protected encode(method: ClientMethod, value: unknown): ArgumentScope | null {
    const scope = method.argument.isImmediate ? null : this.#scopes.take()
    try {
      this.encodeInto(scope, method, value)
    } catch (error) {
      // When the connection was closed meanwhile there is nothing to give back to.
      if (scope === null || this.gone !== undefined || !this.#scopes.giveFailed(scope, error)) throw error
      return this.encode(method, value)
    }
    if (scope === null || !scope.isEmpty) return scope
    this.#scopes.give(scope)
    return scopeOf(value)
  }

  /** Writes the argument to a scope, in one chunk where it is isolated, and its cell to {@link cell}. The scope stays the caller's. */
  protected encodeInto(scope: CallScope | null, method: ClientMethod, value: unknown): void {
    const { cell } = method.argument
    if (this.#building) {
      throw this.error('FAILED_PRECONDITION', 'a getter of the argument makes another call on the same connection', method)
    }
    this.#building = true
    try {
      cell.write(scope ?? this.heaps, value, this.cell, 0)
      if (scope !== null && !scope.isOneChunk && method.isolation !== 'none') scope.rebuild(() => cell.write(scope, value, this.cell, 0))
    } catch (error) {
      // A getter of the argument may have closed the connection.
      throw this.gone === undefined ? this.located(error, method) : this.goneError(method)
    } finally {
      this.#building = false
    }
    if (this.gone !== undefined) throw this.goneError(method)
  }

  /** A value where none is taken is a mistake: most often the options. */
  protected noArgument(method: ClientMethod, value: unknown): null {
    if (value === undefined) return null
    throw this.error('INVALID_ARGUMENT', 'the method takes no argument; options come second: f(undefined, { timeoutMs })', method)
  }

  protected recycle(scope: ArgumentScope | null): void {
    // A scope of the user's own is the user's to reset.
    if (scope instanceof CallScope) this.#scopes.give(scope)
  }

  /** Gives back the chunks that wait for the next call: in a heap that outlives the connection they would stay. */
  protected closeScopes(): void {
    this.#scopes.empty()
  }

  /** The announced slot, when one in quarantine can take its place; else -1: every request must announce the next. */
  protected reclaimSlot(): number {
    if (this.quarantine.size > 0) this.reclaim()
    return this.free.count > 0 ? this.next : -1
  }

  /** Publishes the argument in {@link cell} in the announced slot, and announces another one; the caller wakes the server. */
  protected publish(slot: number, method: ClientMethod, scope: ArgumentScope | null, timeoutMs: number): void {
    const { words, cell } = this
    const at = slotWord(slot)
    this.calledSinceRung = true
    const next = this.free.take()
    this.next = next
    const returned = this.returned[slot]!
    let request = returned | (next << Request.NEXT_SHIFT)
    if (returned !== 0) {
      this.returned[slot] = 0
      if ((returned & Request.RETURNS_RESULT) !== 0) this.free.returned(slot)
    }
    const sequence = this.sequence[slot]!
    this.sequence[slot] = (sequence + 1) | 0
    if (timeoutMs > 0) request |= Request.HAS_TIMEOUT
    const isScoped = scope !== null && scope.isWhole
    if (isScoped) request |= Request.HAS_SCOPE
    const { id, argument } = method
    // The server polls the line: written in one go it crosses once, and not back and forth between two stores.
    if (!argument.isNothing) {
      words[at + Slot.ARGUMENT] = cell[0]!
      words[at + Slot.ARGUMENT + 1] = cell[1]!
      if (isScoped) {
        const region = scope.firstRegion
        words[at + Slot.SCOPE] = region.lowOf(scope.firstWord)
        words[at + Slot.SCOPE + 1] = region.high
        words[at + Slot.USED] = scope.usedBytes
      }
    }
    if (timeoutMs > 0) words[at + Slot.TIMEOUT] = timeoutMs
    words[at + Slot.METHOD] = id
    words[at + Slot.ANSWER] = 0
    words[at + Slot.REQUEST] = request
    // Pairs with the server's load of the word it awaits.
    publishWord(words, at, sequence)
  }

  /** Wakes the server after one of several calls that may follow each other: {@link flush} looks once more after the others. */
  protected wakeInBatch(slot: number): void {
    if (this.#inBatch) {
      this.#unfenced = this.wakeSleeper() ? -1 : slot
      return
    }
    this.#inBatch = true
    this.wakePeer()
  }

  /**
   * Reads an answer and frees its slot. Throws what the server answered as an error.
   * @param collected a result that is never disposed of is given back when it is garbage.
   */
  protected takeAnswer(slot: number, method: ClientMethod, scope: ArgumentScope | null, collected: boolean): unknown {
    const { words } = this
    const at = slotWord(slot)
    const answer = words[at + Slot.ANSWER]!
    const { result } = method
    if (answer === 0 && result.isNothing) {
      this.freeSlot(slot, scope)
      return undefined
    }
    const low = words[at + Slot.RESULT]!
    const high = words[at + Slot.RESULT + 1]!
    if (answer === 0 && result.isImmediate) {
      this.freeSlot(slot, scope)
      return result.cell.read(this.#reading, low, high)
    }
    const chunkLow = words[at + Slot.CHUNK]!
    const chunkHigh = words[at + Slot.CHUNK + 1]!
    const used = words[at + Slot.USED]! >>> 0
    const owned = (answer & Answer.OWNED) !== 0
    const bytes = chunkBytes(answer, used)
    if (owned) this.#freeHeld(slot, scope, bytes)
    else this.freeSlot(slot, scope)
    this.heaps.refill()
    if ((answer & Answer.STATUS) !== 0) {
      const error = readError(this.#reading, statusName(answer & Answer.STATUS), low, high)
      if (owned) this.#giveBack(slot)
      throw this.located(error, method)
    }
    const isolated = this.#results !== null && !result.isCopy
    let value: unknown
    try {
      value = isolated ? this.#results.read(result.cell, low, high, chunkLow, chunkHigh, owned ? used : 0) : result.cell.read(this.#reading, low, high)
    } catch (error) {
      if (owned) this.#giveBack(slot)
      throw this.located(error, method)
    }
    if (!owned) return value
    if (isolated || result.isCopy) {
      this.#giveBack(slot)
      this.#returnResults()
      return value
    }
    const hold = new ResultHold(this, slot, this.sequence[slot]!, chunkLow, chunkHigh, bytes)
    if (collected) ResultHold.putCollected(value, hold)
    else ResultHold.put(value, hold)
    return value
  }

  protected freeSlot(slot: number, scope: ArgumentScope | null): void {
    if (scope !== null) this.recycle(scope)
    this.sequence[slot] = (this.sequence[slot]! + 1) | 0
    this.free.give(slot)
  }

  /** Frees a slot whose result is the client's until it is given back. */
  #freeHeld(slot: number, scope: ArgumentScope | null, bytes: number): void {
    if (scope !== null) this.recycle(scope)
    this.sequence[slot] = (this.sequence[slot]! + 1) | 0
    this.free.giveHeld(slot, bytes)
  }

  /** The result that a free slot left is done with: the slot's next request tells the server. */
  #giveBack(slot: number): void {
    this.returned[slot]! |= Request.RETURNS_RESULT
    // The slot that is announced is the next one in any case.
    this.free.giveBack(slot, slot === this.next)
  }

  /** So much was given back that it must not wait for further calls: requests that do nothing else return it, in up to half the slots. */
  #returnResults(): void {
    if (!this.free.returnsTooLate) return
    if (this.quarantine.size > 0) this.reclaim()
    while (this.free.unreturned > 0 && this.free.count >= this.options.slots / 2) {
      const slot = this.next
      if (this.free.tellLate()) this.returned[slot]! |= Request.COLLECT
      this.publish(slot, GIVING_BACK, null, 0)
      this.quarantine.set(slot, undefined)
    }
    this.wakePeer()
  }

  /** Nobody waits for the slot any more. It is used again when the server has answered. */
  protected abandon(slot: number, scope: ArgumentScope | null): void {
    this.quarantine.set(slot, scope)
    const { words } = this
    Atomics.store(words, slotWord(slot) + Slot.CANCELLED, (this.sequence[slot]! - 1) | 0)
    Atomics.add(words, this.line + Line.CANCELS, 1)
    this.wakePeer()
  }

  protected reclaim(): void {
    for (const [slot, scope] of this.quarantine) {
      if (!this.isAnswered(slot)) continue
      this.quarantine.delete(slot)
      const at = slotWord(slot)
      const answer = this.words[at + Slot.ANSWER]!
      if ((answer & Answer.OWNED) === 0) {
        this.freeSlot(slot, scope ?? null)
        continue
      }
      this.#freeHeld(slot, scope ?? null, chunkBytes(answer, this.words[at + Slot.USED]! >>> 0))
      this.#giveBack(slot)
    }
  }

  /** A slot that only waits for the server to hear what was given back; -1 when there is none. The server takes requests in order. */
  protected slotGivingBack(): number {
    for (const [slot, scope] of this.quarantine) if (scope === undefined) return slot
    return -1
  }

  protected goneError(method: ClientMethod): RpcError {
    return this.located(this.gone, method)
  }

  protected error(code: RpcError['code'], sentence: string, method: ClientMethod, cause?: unknown): RpcError {
    return new RpcError(code, sentence, { channel: this.options.channel, method: method.name, cause })
  }

  /** The same error, naming channel and method. */
  protected located(error: unknown, method: ClientMethod): RpcError {
    const place = { channel: this.options.channel, method: method.name }
    if (error instanceof WildPointerError) return new WildPointerError(error.sentence, place)
    if (error instanceof SealedError) return new SealedError(error.sentence, place)
    if (!RpcError.is(error)) return this.error('INTERNAL', `the library failed: ${String(error)}`, method)
    return error.method === undefined ? new RpcError(error.code, error.sentence, { ...place, cause: error.cause }) : error
  }
}

/** The scope that a view's object lies in, if any. */
export function scopeOf(value: unknown): ArgumentScope | null {
  return isView(value) ? locationOf(value as object).region.scope : null
}
