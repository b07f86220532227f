import { RpcError } from '../../base/errors.js'
import { Line, Request, Slot, slotWord } from '../../layout/control-layout.js'
import { type ArgumentScope, Scope } from '../../memory/index.js'
import { type ArgumentSeals, SealedArgument, type SealTicket } from '../../safety/index.js'
import { type ClientMethod, GIVING_BACK } from '../service/method.js'
import { ClientRing, scopeOf } from './client-ring.js'

/** The client's ring where arguments are sealed before they are sent. */
export abstract class SealedRing extends ClientRing {
  protected seals: ArgumentSeals | null = null

  /** Why nothing can be sealed: said to who demands it. */
  #noSeals = 'the connection has no seals; connect with a service whose methods demand them, or with the option `seals`'

  #refusal: RpcError | undefined

  /** Sealed, and nobody waits for their calls: only the server's answer lets them be released. */
  readonly #orphans: SealedArgument[] = []

  /** @internal From now on arguments are sealed. Takes the seals over. */
  useSeals(seals: ArgumentSeals): void {
    this.seals = seals
  }

  /** @internal What the server says about the seals. */
  get sealState(): number {
    return Atomics.load(this.words, this.peerLine + Line.SEALS)
  }

  /** @internal Nothing can be sealed; `why` is a clause for who demands it. */
  refuseSeals(why: string): void {
    this.#noSeals = why
  }

  /** What a call's argument lies in; its cell is in {@link cell}. */
  protected argumentOf(method: ClientMethod, value: unknown): ArgumentScope | null {
    if (method.argument.isNothing) return this.noArgument(method, value)
    return method.sealing ? this.encodeSealed(method, value) : this.encode(method, value)
  }

  /** As {@link encode}, for a method whose argument may be sealed. */
  protected encodeSealed(method: ClientMethod, value: unknown): ArgumentScope | null {
    const { seals } = this
    const always = method.isolation === 'seal'
    if (seals === null) {
      if (always) throw this.error('FAILED_PRECONDITION', `the method demands that its argument is sealed: ${this.#noSeals}`, method)
      return this.encode(method, value)
    }
    const built = this.#build(seals, method, value)
    const argument = built instanceof SealedArgument ? built : this.#ofView(seals, value, always)
    if (argument instanceof SealedArgument && (argument.isWanted || !always)) return argument
    if (!always) return argument
    if (argument instanceof SealedArgument) argument.end()
    throw this.error('FAILED_PRECONDITION', 'the argument cannot be sealed, for it does not lie in one scope of this connection\'s memory for sealed arguments: ' +
      'pass a plain value, or make the object in a scope (conn.createScope), copying what lies elsewhere with scope.copyFrom', method)
  }

  /** @internal Seals and sends. Waits on this thread for the seal; the caller wakes the server. */
  protected sealAndPublish(slot: number, method: ClientMethod, argument: SealedArgument, timeoutMs: number): void {
    const seals = this.seals!
    try {
      argument.seals.ask(argument)
      const refused = seals.wait(seals.flush(), timeoutMs === 0 ? undefined : timeoutMs)
      if (!seals.isInForce(argument)) throw refused ?? new RpcError('INTERNAL', 'the argument was not sealed, and nobody says why')
    } catch (error) {
      // When nobody answered in time its seal may still come: then it is given back.
      if (argument.isAsked) this.adopt(argument)
      else argument.end()
      throw this.located(error, method)
    }
    this.publishSealed(slot, method, argument, timeoutMs)
  }

  // ---- for pipelines ----

  /** @internal Calls that could be sent now. */
  get slotsFree(): number {
    if (this.quarantine.size > 0) this.reclaim()
    return this.free.count
  }

  /** @internal Seals that could be made now, counting those that a release would give back. */
  get sealsFree(): number {
    return this.seals === null ? Infinity : this.seals.available
  }

  /** @internal The cell of the argument that was built last. */
  get cellWords(): readonly [low: number, high: number] {
    return [this.cell[0]!, this.cell[1]!]
  }

  /** @internal Builds an argument and queues its seal. Throws the call's RpcError. */
  prepareSealed(method: ClientMethod, value: unknown): ArgumentScope | null {
    if (this.gone !== undefined) throw this.goneError(method)
    const scope = this.encodeSealed(method, value)
    if (scope instanceof SealedArgument && scope.isWanted) this.askSeal(scope, method)
    return scope
  }

  /** @internal Sends the seals that were queued. */
  flushSeals(): SealTicket | undefined {
    return this.seals?.flush()
  }

  /** @internal Whether the seals up to the ticket were dealt with. `block`: waits for them. */
  sealsDone(ticket: SealTicket | undefined, block: boolean, timeoutMs?: number): boolean {
    const { seals } = this
    if (seals === null || ticket === undefined) return true
    if (block) this.#refusal = seals.wait(ticket, timeoutMs) ?? this.#refusal
    return seals.isDone(ticket)
  }

  /** @internal Of what was prepared and is not sent: a seal that was asked for ends by an answer only. */
  dropPrepared(scope: ArgumentScope | null): void {
    if (scope instanceof SealedArgument && scope.isAsked) this.adopt(scope)
    else this.recycle(scope)
  }

  /** @internal Of what was prepared, and its seal dealt with. */
  isSealed(scope: ArgumentScope | null): boolean {
    return !(scope instanceof SealedArgument && scope.isWanted) || scope.seals.isInForce(scope)
  }

  /** @internal Why seals up to the ticket, which are done, were refused. */
  refusal(ticket: SealTicket | undefined, method: ClientMethod): RpcError {
    const refused = ticket === undefined ? undefined : this.seals?.wait(ticket)
    return this.located(refused ?? this.#refusal ?? new RpcError('INTERNAL', 'the argument was not sealed, and nobody says why'), method)
  }

  /** @internal Sends what was prepared and sealed, as {@link submit} does. -1 when every slot is in flight. */
  sendPrepared(method: ClientMethod, scope: ArgumentScope | null, low: number, high: number): number {
    const slot = this.free.count > 0 ? this.next : this.reclaimSlot()
    if (slot < 0) return -1
    this.cell[0] = low
    this.cell[1] = high
    if (scope !== null) this.notePipelined(slot, scope)
    if (scope instanceof SealedArgument && scope.isWanted) this.publishSealed(slot, method, scope, 0)
    else this.publish(slot, method, scope, 0)
    this.wakeInBatch(slot)
    return slot
  }

  /** Queues a seal. Throws located, with the argument's memory given back. */
  protected askSeal(argument: SealedArgument, method: ClientMethod): void {
    try {
      argument.seals.ask(argument)
    } catch (error) {
      argument.end()
      throw this.located(error, method)
    }
  }

  protected publishSealed(slot: number, method: ClientMethod, argument: SealedArgument, timeoutMs: number): void {
    this.words[slotWord(slot) + Slot.SEAL] = argument.index
    this.returned[slot]! |= Request.HAS_SEAL
    this.publish(slot, method, argument, timeoutMs)
  }

  /** A sealed argument whose call is not made: its seal is given back when there is a slot to do it. */
  protected adopt(argument: SealedArgument): void {
    this.#orphans.push(argument)
    this.giveSealsBack()
  }

  protected get orphans(): number {
    return this.#orphans.length
  }

  protected giveSealsBack(): void {
    while (this.#orphans.length > 0 && this.gone === undefined) {
      const slot = this.free.count > 0 ? this.next : this.reclaimSlot()
      if (slot < 0) return
      const argument = this.#orphans.pop()!
      this.words[slotWord(slot) + Slot.SEAL] = argument.index
      this.returned[slot]! |= Request.HAS_SEAL
      this.publish(slot, GIVING_BACK, null, 0)
      this.abandon(slot, argument)
    }
  }

  protected override recycle(scope: ArgumentScope | null): void {
    if (scope instanceof SealedArgument) {
      scope.end()
      return
    }
    super.recycle(scope)
  }

  /** A plain value, in memory that can be sealed; null when it is a view, or takes no memory. */
  #build(seals: ArgumentSeals, method: ClientMethod, value: unknown): SealedArgument | null {
    for (let attempt = 0; ; attempt++) {
      const scope = seals.take()
      try {
        this.encodeInto(scope, method, value)
        if (!scope.isEmpty) return seals.argument(scope, method.isolation === 'seal')
        seals.giveBack(scope)
        return null
      } catch (error) {
        seals.giveBack(scope)
        if (attempt > 0 || !RpcError.is(error) || error.code !== 'RESOURCE_EXHAUSTED' || seals.inFlight === 0) throw error
        // What waits for a batch of releases takes room.
        seals.releaseAll()
      }
    }
  }

  #ofView(seals: ArgumentSeals, value: unknown, always: boolean): ArgumentScope | null {
    const scope = scopeOf(value)
    return scope instanceof Scope && seals.holds(scope) ? seals.argument(scope, always) : scope
  }
}
