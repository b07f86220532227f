import { RpcError } from '../../base/errors.js'
import type { ArgumentScope } from '../../memory/index.js'
import type { SealTicket } from '../../safety/index.js'
import { Pipeline } from './pipeline.js'

/** A call that was built and not sent. */
interface Submitted {
  readonly scope: ArgumentScope | null
  readonly low: number
  readonly high: number
}

/**
 * A pipeline of calls whose arguments are sealed: the seals of all that were submitted between two polls go out together, and their
 * calls follow when they are in force. Meanwhile the calls before them are at work.
 */
export class SealedPipeline<Argument, Result> extends Pipeline<Argument, Result> {
  /** Their seals are queued. */
  #asked: Submitted[] = []
  /** Their seals were asked for together, under the ticket. */
  #sealing: Submitted[] = []
  #ticket: SealTicket | undefined
  /** Sealed, and for want of a slot not sent. */
  #ready: Submitted[] = []
  #problem: Error | undefined

  override get inFlight(): number {
    return super.inFlight + this.#unsent
  }

  get #unsent(): number {
    return this.#asked.length + this.#sealing.length + this.#ready.length
  }

  override submit(argument: Argument): boolean {
    const { end, method } = this
    if (end.isUnmapped) end.throwIfGone(method)
    if (end.slotsFree <= this.#unsent) return false
    const scope = this.#prepare(argument)
    if (scope === undefined) return false
    const [low, high] = end.cellWords
    this.#asked.push({ scope, low, high })
    return true
  }

  /** Undefined when there is no room for it before others are answered: seals, or pages, may be fewer than slots. */
  #prepare(argument: Argument): ArgumentScope | null | undefined {
    const { end, method } = this
    const waits = this.inFlight > 0
    if (waits && end.sealsFree === 0) return undefined
    try {
      return end.prepareSealed(method, argument)
    } catch (error) {
      if (waits && RpcError.is(error) && error.code === 'RESOURCE_EXHAUSTED') return undefined
      throw error
    }
  }

  override poll(onResult: (result: Result) => void): number {
    this.#advance(false)
    this.#throwProblem()
    return super.poll(onResult)
  }

  override wait(timeoutMs?: number): void {
    this.#advance(super.inFlight === 0, timeoutMs)
    // The next poll throws it.
    if (this.#problem === undefined) super.wait(timeoutMs)
  }

  /** Waits for the seals that were asked for: only one in force can be given back. */
  override [Symbol.dispose](): void {
    const { end } = this
    const asked = [...this.#sealing.splice(0), ...this.#asked.splice(0)]
    const ready = this.#ready.splice(0)
    if (!end.isUnmapped) {
      // The later ticket stands for the earlier one, too.
      const isDone = asked.length === 0 || end.sealsDone(end.flushSeals() ?? this.#ticket, true)
      for (const { scope } of asked) if (!isDone || end.isSealed(scope)) end.dropPrepared(scope)
      for (const { scope } of ready) end.dropPrepared(scope)
    }
    this.#ticket = undefined
    this.#problem = undefined
    super[Symbol.dispose]()
  }

  /** Sends what is sealed, and has sealed what was submitted. `block`: waits for seals, since no answer is to come. */
  #advance(block: boolean, timeoutMs?: number): void {
    const { end } = this
    if (end.isUnmapped) return
    if (this.#sealing.length > 0) this.#settle(block, timeoutMs)
    if (this.#sealing.length === 0 && this.#asked.length > 0) {
      this.#sealing = this.#asked
      this.#asked = []
      this.#ticket = end.flushSeals()
      this.#settle(block && this.#ready.length === 0 && super.inFlight === 0, timeoutMs)
    }
    this.#send()
  }

  #settle(block: boolean, timeoutMs: number | undefined): void {
    const { end, method } = this
    if (!end.sealsDone(this.#ticket, block, timeoutMs)) return
    const sealing = this.#sealing
    this.#sealing = []
    // All at once: what was refused may be used by others after this.
    for (const one of sealing) {
      if (end.isSealed(one.scope)) this.#ready.push(one)
      else this.#problem ??= end.refusal(this.#ticket, method)
    }
    this.#ticket = undefined
    this.#send()
  }

  #send(): void {
    const ready = this.#ready
    let sent = 0
    for (; sent < ready.length; sent++) {
      const { scope, low, high } = ready[sent]!
      const slot = this.end.sendPrepared(this.method, scope, low, high)
      if (slot < 0) break
      this.slots.add(slot)
    }
    this.#ready = sent === ready.length ? [] : ready.slice(sent)
  }

  #throwProblem(): void {
    const problem = this.#problem
    this.#problem = undefined
    if (problem !== undefined) throw problem
  }
}
