import { RpcError } from '../../base/errors.js'
import { Request, Slot } from '../../layout/control-layout.js'
import type { HeapSet } from '../../memory/index.js'
import { type Holding, IsolatedArguments, type SealReader } from '../../safety/index.js'
import type { ServerMethod } from '../service/method.js'
import type { Cell } from '../../objects/index.js'
import type { ServerCall } from './server-call.js'

/** The answer in place of a result whose argument may have changed. */
export const SEAL_BROKE = new RpcError('ABORTED',
  'the seal of the argument did not hold all the time while the handler worked: its answer does not count; see that the sealer lives, and call again')

/**
 * Keeps arguments from changing under their handlers, for one connection of a server: what a method's isolation demands is
 * done before its handler runs, and undone when it has answered.
 */
export class ArgumentGuard {
  readonly #heaps: HeapSet
  readonly #isolated: IsolatedArguments
  /** The client's seals; null as long as there are none, `noSeals` says why. */
  seals: SealReader | null = null
  noSeals = 'the client has attached no seals to this connection; it does by itself when its service says isolation: \'seal\', too'
  /** For each slot: what its argument holds until the answer. */
  readonly #held: (Holding | null)[]

  constructor(heaps: HeapSet, slots: number, snapshotBytes: number | undefined) {
    this.#heaps = heaps
    this.#isolated = new IsolatedArguments(heaps, snapshotBytes)
    this.#held = Array.from({ length: slots }, () => null)
  }

  /**
   * The argument of the request at word `at`, whose cell is (low, high), in private memory. Each word of the slot is read once.
   * @throws RpcError FAILED_PRECONDITION when the method demands a seal that the client did not make.
   */
  read(method: ServerMethod, words: Int32Array, at: number, slot: number, request: number, low: number, high: number, call: ServerCall | undefined): unknown {
    const { cell, isCopy } = method.argument
    if ((request & Request.HAS_SEAL) !== 0) {
      // Also where nothing is demanded: its sender waits for the end of its seal.
      if (method.isolation !== 'snapshot') return this.#readSealed(cell, words, at, slot, low, high, call)
      // A seal may hold against less than a copy does, and which of them its handler gets is not the client's to say.
      this.dismiss(words, at)
    }
    if (method.isolation === 'seal' && !isCopy) {
      throw new RpcError('FAILED_PRECONDITION', `${method.name} demands that its argument is sealed, and this one is not: ${this.noSeals}`)
    }
    call?.copied()
    if (isCopy) {
      // Scalars, texts and bytes are copies anyway.
      this.#heaps.refill()
      return cell.read(this.#heaps.heaps[0]!.region, low, high)
    }
    const isolated = this.#isolated
    let argument: unknown
    if ((request & (Request.HAS_SCOPE | Request.HAS_SEAL)) !== 0) {
      argument = isolated.fromScope(cell, low, high, words[at + Slot.SCOPE]!, words[at + Slot.SCOPE + 1]!, words[at + Slot.USED]! >>> 0)
    } else {
      this.#heaps.refill()
      argument = isolated.fromHeap(cell, this.#heaps.heaps[0]!.region, low, high)
    }
    this.#held[slot] = isolated.holding
    return argument
  }

  /** The call in the slot is about to be answered. False when its argument could have changed under its handler: a seal did not hold. */
  release(slot: number): boolean {
    const holding = this.#held[slot]!
    if (holding === null) return true
    this.#held[slot] = null
    return holding.release()
  }

  /** A request that reaches no handler is done with its seal. */
  dismiss(words: Int32Array, at: number): void {
    this.seals?.dismiss(words[at + Slot.SEAL]! >>> 0)
  }

  #readSealed(cell: Cell, words: Int32Array, at: number, slot: number, low: number, high: number, call: ServerCall | undefined): unknown {
    const { seals } = this
    if (seals === null) throw new RpcError('FAILED_PRECONDITION', `the argument's seal cannot be verified: ${this.noSeals}`)
    const reading = seals.take(words[at + Slot.SEAL]! >>> 0, words[at + Slot.SCOPE]!, words[at + Slot.SCOPE + 1]!, words[at + Slot.USED]! >>> 0)
    this.#held[slot] = reading
    call?.sealed(reading.region)
    // What it throws is answered, and the seal completed then.
    return cell.read(reading.region, low, high)
  }
}
