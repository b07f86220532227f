import type { ClientEnd } from './client-end.js'
import type { ClientMethod } from '../service/method.js'
import { InFlight } from './slots.js'

/**
 * Many calls in flight without a promise each: `submit` as long as there are slots, `poll` for the answers. The fastest way
 * to make small calls; the caller's code is the loop. Disposing gives up what is still in flight.
 */
export class Pipeline<Argument, Result> implements Disposable {
  /** @internal */
  protected readonly end: ClientEnd
  /** @internal */
  protected readonly method: ClientMethod
  /** @internal */
  protected readonly slots: InFlight

  /** @internal */
  constructor(end: ClientEnd, method: ClientMethod) {
    this.end = end
    this.method = method
    this.slots = new InFlight(end.options.slots)
  }

  get inFlight(): number {
    return this.slots.count
  }

  /** Sends a call. False when every slot is in flight: poll first. */
  submit(argument: Argument): boolean {
    const slot = this.end.submit(this.method, argument)
    if (slot < 0) return false
    this.slots.add(slot)
    return true
  }

  /**
   * Hands over the answers that are there, in the order of the calls; stops at the first that is not. A call that failed
   * throws its RpcError; the next `poll` goes on behind it.
   * @returns how many answers there were.
   */
  poll(onResult: (result: Result) => void): number {
    if (this.end.isUnmapped) this.end.throwIfGone(this.method)
    this.end.flush()
    const inFlight = this.slots
    let count = 0
    while (inFlight.count > 0 && !this.end.isUnmapped) {
      const slot = inFlight.first()
      if (!this.end.isAnswered(slot)) break
      inFlight.removeFirst()
      count++
      onResult(this.end.finish(slot, this.method) as Result)
    }
    if (count === 0) this.end.throwIfGone(this.method)
    return count
  }

  /** Gives up the calls in flight: they are cancelled, and their slots come back when the server has answered. Idempotent; others can follow. */
  [Symbol.dispose](): void {
    const { slots } = this
    while (slots.count > 0) {
      const slot = slots.first()
      slots.removeFirst()
      this.end.giveUpPipelined(slot)
    }
  }

  /** Blocks this thread until an answer is there. @throws RpcError DEADLINE_EXCEEDED, UNAVAILABLE */
  wait(timeoutMs?: number): void {
    if (this.end.isUnmapped) this.end.throwIfGone(this.method)
    this.end.flush()
    if (this.slots.count > 0) this.end.waitFor(this.slots.first(), this.method, timeoutMs)
  }
}
