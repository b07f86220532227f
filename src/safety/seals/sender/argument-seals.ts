import { RpcError, SealedError } from '../../../base/errors.js'
import { PAGE_BYTES, roundUp } from '../../../base/numbers.js'
import {
  type ArgumentScope, CallScope, HeapScopes, type PageHeap, type Region, RELEASE_BATCH, Scope, type ScopeSealer, type SealReleaser,
} from '../../../memory/index.js'
import { type SealAuthority, type SealTicket, warmPages } from '../authority.js'
import { PageRuns } from '../page-runs.js'

/** Seals whose calls are answered are released at the latest so long after, in milliseconds: whoever writes to a page waits no longer. */
const RELEASE_MS = 20

/** Fewer pages than that are not worth the search for runs, nor shorter runs a system call. */
const WARM_MIN = 64
const WARM_RUN_MIN = 8

const enum Stage {
  /** Not asked for yet. */
  BUILT,
  /** Asked for, perhaps in force. */
  ASKED,
  /** Its call is answered: the receiver has marked it complete. */
  ANSWERED,
  /** Its release is asked for. */
  RELEASING,
  ENDED,
}

/** The argument of one call that is sealed: pages of the connection's sealable heap. */
export class SealedArgument implements ArgumentScope {
  /** @internal */
  stage = Stage.BUILT
  /** Its descriptor, from {@link ArgumentSeals.ask} on. */
  index = -1
  /** Whether it is to be sealed: one that is cheaper to copy, or leads out of its scope, is not. */
  readonly isWanted: boolean

  /** @internal */
  constructor(readonly seals: ArgumentSeals, readonly scope: CallScope | Scope, isWanted: boolean) {
    this.isWanted = isWanted && scope.isWhole
  }

  get isWhole(): boolean {
    return this.scope.isWhole
  }

  get firstRegion(): Region {
    return this.scope.firstRegion
  }

  get firstWord(): number {
    return this.scope.firstWord
  }

  get usedBytes(): number {
    return this.scope.usedBytes
  }

  /** Whether its seal was asked for, and not refused: then only the receiver's answer ends it. */
  get isAsked(): boolean {
    return this.stage === Stage.ASKED
  }

  /** The call is over, or was never made. */
  end(): void {
    this.seals.end(this)
  }
}

/**
 * The sender's seals of one connection: which argument is sealed under which descriptor, and when its pages come back. Seals are
 * queued and go out together; releases wait for each other. Owns the authority.
 */
export class ArgumentSeals implements ScopeSealer, SealReleaser {
  /** The scopes that an application makes. */
  readonly scopes: HeapScopes
  readonly #byIndex: (SealedArgument | undefined)[] = []
  /** For plain values; those here are not sealed. */
  readonly #free: CallScope[] = []
  #answered: SealedArgument[] = []
  /** Released pages of plain values: they are written again soon. */
  readonly #rewritten = new PageRuns()
  #releasing: { readonly ticket: SealTicket, readonly batch: readonly SealedArgument[] } | null = null
  #timer: NodeJS.Timeout | undefined
  #open = true

  /** @param crossover pages from which on sealing is cheaper than a private copy. */
  constructor(readonly authority: SealAuthority, readonly heap: PageHeap, readonly crossover: number) {
    this.scopes = new HeapScopes(heap)
  }

  /** Seals in force, asked for, or not yet released. */
  get inFlight(): number {
    return this.authority.inFlight
  }

  /** Seals that could be made, counting those of answered calls. */
  get available(): number {
    return this.authority.capacity - this.authority.inFlight + this.#answered.length + (this.#releasing?.batch.length ?? 0)
  }

  /** Empty memory for an argument that is built from a plain value. */
  take(): CallScope {
    if (this.#free.length === 0) this.#settle(false)
    return this.#free.pop() ?? new CallScope(this.heap)
  }

  /** Memory that was taken and not sealed. */
  giveBack(scope: CallScope): void {
    scope.reset()
    this.#free.push(scope)
  }

  /** Whether a scope can be sealed: it lies here. */
  holds(scope: ArgumentScope): boolean {
    const { region } = this.heap
    const first = scope.firstRegion
    return region.resolve(first.high, first.lowOf(scope.firstWord), 1) >= 0
  }

  /**
   * An argument in one of {@link take}'s or {@link scopes}' scopes.
   * @param always also when a private copy costs less than its seal.
   */
  argument(scope: CallScope | Scope, always: boolean): SealedArgument {
    return new SealedArgument(this, scope, always || scope.usedBytes >= this.crossover * PAGE_BYTES)
  }

  /**
   * Queues the argument's seal; {@link flush} sends it. Its pages must not be written from now on.
   * @throws SealedError when the scope is in another call already; RpcError RESOURCE_EXHAUSTED when all descriptors are in flight,
   * FAILED_PRECONDITION when seals do not count any more, UNAVAILABLE when the other end is gone.
   */
  ask(argument: SealedArgument): void {
    const { scope } = argument
    if (scope instanceof Scope && scope.sealed) scope.unseal('pass')
    const address = scope.firstRegion.addressOf(scope.firstWord)
    const byteLength = roundUp(scope.usedBytes, PAGE_BYTES)
    argument.index = this.#queue(address, byteLength)
    argument.stage = Stage.ASKED
    this.#byIndex[argument.index] = argument
    if (scope instanceof Scope) scope.sealedBy(this, argument.index + 1)
  }

  flush(): SealTicket {
    return this.authority.flush()
  }

  /** Whether the seals up to the ticket are in force or refused. Never blocks. */
  isDone(ticket: SealTicket): boolean {
    return this.authority.isDone(ticket)
  }

  /** Of a seal that was dealt with: whether it is in force. One that was refused changed nothing, and can be written again. */
  isInForce(argument: SealedArgument): boolean {
    if (this.authority.isTaken(argument.index)) return true
    this.#ended(argument)
    return false
  }

  /**
   * Waits on this thread until everything up to the ticket was dealt with. Returns what was refused first, which need not be what the
   * caller asked for; throws when it takes too long, or the sealer is gone.
   */
  wait(ticket: SealTicket, timeoutMs?: number): RpcError | undefined {
    try {
      this.authority.wait(ticket, timeoutMs)
      return undefined
    } catch (error) {
      if (!RpcError.is(error) || !this.isDone(ticket)) throw error
      return error
    }
  }

  /** @internal The argument's call is answered, or it was never sealed. */
  end(argument: SealedArgument): void {
    if (argument.stage === Stage.BUILT) return this.#ended(argument)
    if (argument.stage !== Stage.ASKED || !this.#open) return undefined
    argument.stage = Stage.ANSWERED
    this.#answered.push(argument)
    if (this.#answered.length >= RELEASE_BATCH) this.#release()
    this.#timer ??= setTimeout(() => this.#late(), RELEASE_MS)
    return undefined
  }

  /** Gets the pages of all answered calls back, and waits. */
  releaseAll(): void {
    this.#settle(true)
    this.#release()
    this.#settle(true)
  }

  // ---- what scopes ask for ----

  isInFlight(scope: Scope): boolean {
    return this.#byIndex[scope.seal - 1]?.stage === Stage.ASKED
  }

  unseal(scope: Scope): void {
    this.releaseSeals([scope])
  }

  /** Those of others that are answered come along: it is one kernel call. */
  releaseSeals(scopes: readonly Scope[]): void {
    for (const scope of scopes) {
      if (this.isInFlight(scope)) throw new SealedError('cannot release the seal of a scope whose call is in flight')
    }
    this.releaseAll()
    // What was refused before is tried once more: by now its receiver may have done with it.
    for (const scope of scopes) {
      const argument = this.#byIndex[scope.seal - 1]
      if (argument === undefined) continue
      this.authority.queueRelease(argument.index)
      const refused = this.wait(this.flush())
      if (this.authority.isTaken(argument.index)) throw refused ?? new RpcError('INTERNAL', 'a seal was not released')
      this.#ended(argument)
    }
  }

  /** The other end is gone, and with it every seal: pages are writable again. */
  lost(): void {
    this.#open = false
    clearTimeout(this.#timer)
    for (const argument of this.#byIndex) if (argument?.scope instanceof Scope) argument.scope.released()
  }

  close(): void {
    this.lost()
    this.authority.close()
  }

  #queue(address: number, byteLength: number): number {
    // A descriptor that a release has freed is noticed before it can be taken again.
    this.#settle(false)
    try {
      return this.authority.queueSeal(address, byteLength)
    } catch (error) {
      if (!RpcError.is(error) || error.code !== 'RESOURCE_EXHAUSTED' || (this.#answered.length === 0 && this.#releasing === null)) throw error
      this.releaseAll()
      return this.authority.queueSeal(address, byteLength)
    }
  }

  #late(): void {
    this.#timer = undefined
    this.#settle(false)
    this.#release()
    if (this.#answered.length > 0 || this.#releasing !== null) this.#timer = setTimeout(() => this.#late(), RELEASE_MS)
  }

  /**
   * Asks for the release of all that is answered, unless a release is under way. Nobody waits for it: what cannot be asked for, because the
   * other end is gone, is told to whoever needs the pages.
   */
  #release(): void {
    if (this.#releasing !== null) this.#settle(false)
    if (this.#releasing !== null || this.#answered.length === 0 || !this.#open) return
    const answered = this.#answered
    const batch: SealedArgument[] = []
    try {
      for (const argument of answered) {
        this.authority.queueRelease(argument.index)
        argument.stage = Stage.RELEASING
        batch.push(argument)
      }
    } catch (error) {
      if (!RpcError.is(error)) throw error
      // With the other end every seal has gone.
      if (error.code === 'UNAVAILABLE') return this.lost()
    }
    this.#answered = answered.slice(batch.length)
    if (batch.length > 0) this.#releasing = { ticket: this.flush(), batch }
    return undefined
  }

  #settle(wait: boolean): void {
    const releasing = this.#releasing
    if (releasing === null || (!wait && !this.isDone(releasing.ticket))) return
    this.wait(releasing.ticket)
    this.#releasing = null
    const rewritten = this.#rewritten
    rewritten.clear()
    let pages = 0
    for (const argument of releasing.batch) {
      const { scope, index } = argument
      // One that its receiver did not mark complete stays sealed, and is tried again only when its scope is needed.
      if (this.authority.isTaken(index)) {
        argument.stage = Stage.ANSWERED
        continue
      }
      if (scope instanceof CallScope && scope.usedBytes <= PAGE_BYTES) {
        rewritten.add((scope.firstRegion.addressOf(scope.firstWord) - this.heap.address) / PAGE_BYTES, 1)
        pages++
      }
      this.#ended(argument)
    }
    if (pages >= WARM_MIN) this.#warm(rewritten)
  }

  /** Those that lie together are made writable in one go, not by a fault each. */
  #warm(runs: PageRuns): void {
    runs.merge()
    for (let i = 0; i < runs.count; i++) {
      if (runs.pages(i) >= WARM_RUN_MIN) warmPages(this.heap.address + runs.page(i) * PAGE_BYTES, runs.pages(i) * PAGE_BYTES)
    }
  }

  #ended(argument: SealedArgument): void {
    const { scope, index } = argument
    argument.stage = Stage.ENDED
    if (index >= 0) this.#byIndex[index] = undefined
    if (scope instanceof CallScope) this.giveBack(scope)
    else if (index >= 0) scope.released()
  }
}
