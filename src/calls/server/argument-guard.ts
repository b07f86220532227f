import { RpcError } from '../../base/errors.js'
import { Request, Slot } from '../../layout/control-layout.js'
import type { HeapSet } from '../../memory/index.js'
import { type Holding, IsolatedArguments } from '../../safety/index.js'
import type { ServerMethod } from '../service/method.js'
import type { ServerCall } from './server-call.js'

/**
 * Keeps arguments from changing under their handlers, for one connection of a server: what a method's isolation demands is
 * done before its handler runs, and undone when it has answered.
 */
export class ArgumentGuard {
  readonly #heaps: HeapSet
  readonly #isolated: IsolatedArguments
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
    if (method.isolation === 'seal') {
      throw new RpcError('FAILED_PRECONDITION', `${method.name} demands that its argument is sealed, and this connection has no seals`)
    }
    call?.isolatedBy('snapshot')
    if (isCopy) {
      // Scalars, texts and bytes are copies anyway.
      this.#heaps.refill()
      return cell.read(this.#heaps.heaps[0]!.region, low, high)
    }
    const isolated = this.#isolated
    let argument: unknown
    if ((request & Request.HAS_SCOPE) !== 0) {
      argument = isolated.fromScope(cell, low, high, words[at + Slot.SCOPE]!, words[at + Slot.SCOPE + 1]!, words[at + Slot.USED]! >>> 0)
    } else {
      this.#heaps.refill()
      argument = isolated.fromHeap(cell, this.#heaps.heaps[0]!.region, low, high)
    }
    this.#held[slot] = isolated.holding
    return argument
  }

  /** The call in the slot is answered. */
  release(slot: number): void {
    const holding = this.#held[slot]!
    if (holding === null) return
    this.#held[slot] = null
    holding.release()
  }
}
