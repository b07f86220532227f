import { loadPublished, pause } from '../../base/ordering.js'
import { slotWord } from '../../layout/control-layout.js'
import type { ArgumentScope, HeapSet } from '../../memory/index.js'
import { SealedArgument } from '../../safety/index.js'
import type { CallOptions, ClientMethod } from '../service/method.js'
import type { Poller } from '../waiting/poller.js'
import type { ClientEndOptions } from './options.js'
import { SealedRing } from './sealed-ring.js'
import { timeoutOf } from './waiters.js'

/** The client's end for calls that are waited for on their thread. */
export abstract class SyncEnd extends SealedRing {
  /** Why a synchronous call cannot be made at all; checked once for each call. */
  #syncRefused: boolean

  protected constructor(words: Int32Array, heaps: HeapSet, doorbellFd: number, poller: Poller, options: ClientEndOptions) {
    super(words, heaps, doorbellFd, poller, options)
    this.#syncRefused = options.sameThread
  }

  /** No synchronous call can be made any more. */
  protected refuseSync(): void {
    this.#syncRefused = true
  }

  /** Leaves a slot in quarantine, and looks at it from time to time. */
  protected abstract giveUpOn(slot: number, scope: ArgumentScope | null): void

  /** Calls and waits on this thread. Throws the call's RpcError. */
  callSync(method: ClientMethod, value: unknown, options?: CallOptions): unknown {
    if (this.#syncRefused) this.#refuseSync(method)
    const timeoutMs = options === undefined ? 0 : this.timeoutOf(options, method)
    const scope = this.argumentOf(method, value)
    let slot = this.free.count > 0 ? this.next : this.reclaimSlot()
    if (slot < 0) slot = this.#awaitSlot(scope, method, timeoutMs === 0 ? this.options.defaultTimeoutMs : timeoutMs)
    if (method.sealing && scope instanceof SealedArgument && scope.isWanted) this.sealAndPublish(slot, method, scope, timeoutMs)
    else this.publish(slot, method, scope, timeoutMs)
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

  /** @internal Nobody waits for a pipelined call any more. */
  giveUpPipelined(slot: number): void {
    const scope = this.takePipelined(slot)
    if (this.gone === undefined) this.giveUpOn(slot, scope)
  }

  // ---- waiting on this thread ----

  protected override attend(): void {
    this.options.attend()
  }

  #block(slot: number, expected: number, timeoutMs: number, method: ClientMethod, scope: ArgumentScope | null): void {
    if (this.blockUntil(slotWord(slot), expected, timeoutMs)) return
    if (this.gone !== undefined) throw this.goneError(method)
    this.giveUpOn(slot, scope)
    throw this.error('DEADLINE_EXCEEDED', `no answer within ${timeoutMs} ms`, method)
  }

  /** Of a call that is to be made now: its own deadline, 0 for none. */
  protected timeoutOf(options: CallOptions, method: ClientMethod): number {
    try {
      return timeoutOf(options)
    } catch (error) {
      throw this.located(error, method)
    }
  }

  #refuseSync(method: ClientMethod): never {
    if (this.gone !== undefined) throw this.goneError(method)
    throw this.error('FAILED_PRECONDITION',
      'the server lives on this thread and cannot answer while it waits; use "await", or a worker thread', method)
  }

  /** A slot that is taken by giving results back comes free as soon as the server looks: that is no call of the user's. */
  #awaitSlot(scope: ArgumentScope | null, method: ClientMethod, timeoutMs: number): number {
    const giving = this.slotGivingBack()
    if (giving >= 0) {
      const isFree = this.blockUntil(slotWord(giving), this.sequence[giving]!, timeoutMs)
      if (this.gone !== undefined) throw this.goneError(method)
      if (isFree) return this.reclaimSlot()
    }
    this.recycle(scope)
    if (giving >= 0) throw this.error('DEADLINE_EXCEEDED', `no slot for the call within ${timeoutMs} ms: the server does not take back the results that were given back`, method)
    throw this.error('RESOURCE_EXHAUSTED',
      `all ${this.options.slots - 1} calls that the connection can carry are in flight; await some, or ask for more slots when connecting`, method)
  }
}
