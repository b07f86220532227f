import { assert } from '../../../base/assert.js'
import { RpcError } from '../../../base/errors.js'
import { PAGE_BYTES, type Address } from '../../../base/numbers.js'
import { SealOutcome } from '../../../layout/seal-layout.js'
import { refusal } from '../authority.js'

/** A queued request, by its number; kept until its outcome is known. */
const RELEASING = 2
const SEALED = 1
const FREE = 0
// Of this module, because reading what another exports costs a check each time.
const done = SealOutcome.DONE

/**
 * What a sender knows about its own seals, whatever the backend: which descriptors are free, what was refused.
 * Mistakes of its user are found here, before anybody else is asked.
 */
export class SenderState {
  readonly #free: Uint32Array
  #freeCount: number
  readonly #state: Uint8Array
  readonly #refusals: Array<{ readonly number: number, readonly error: RpcError }> = []

  constructor(readonly base: Address, readonly pageCount: number, readonly capacity: number) {
    // The lowest index on top: few seals in flight use few cache lines.
    this.#free = Uint32Array.from({ length: capacity }, (_, i) => capacity - 1 - i)
    this.#freeCount = capacity
    this.#state = new Uint8Array(capacity)
  }

  get inFlight(): number {
    return this.capacity - this.#freeCount
  }

  /** The first page of a range, counted from the first sealable one. Throws INVALID_ARGUMENT. */
  pageOf(address: number, byteLength: number): number {
    const page = (address - this.base) / PAGE_BYTES
    const pages = byteLength / PAGE_BYTES
    if (Number.isInteger(page) && Number.isInteger(pages) && page >= 0 && pages > 0 && page + pages <= this.pageCount) return page
    throw new RpcError('INVALID_ARGUMENT', `${byteLength} bytes at 0x${address.toString(16)} are not whole pages of the ${this.pageCount} sealable ` +
      `pages at 0x${this.base.toString(16)}`)
  }

  /** Takes a free descriptor. */
  take(): number {
    if (this.#freeCount === 0) {
      throw new RpcError('RESOURCE_EXHAUSTED', `all ${this.capacity} seal descriptors of the connection are in flight; release some, or ask for more when connecting`)
    }
    const index = this.#free[--this.#freeCount]!
    this.#state[index] = SEALED
    return index
  }

  startRelease(index: number): void {
    if (this.#state[index] !== SEALED) {
      const why = this.#state[index] === RELEASING ? 'is being released already' : 'is not sealed by this sender: it was released before, or never made'
      throw new RpcError('INVALID_ARGUMENT', `seal ${index} ${why}`)
    }
    this.#state[index] = RELEASING
  }

  isTaken(index: number): boolean {
    return this.#state[index] !== FREE
  }

  /** The outcome of a seal or a release that was asked for as the n-th. */
  settle(number: number, isSeal: boolean, index: number, outcome: number): void {
    if (outcome !== done) this.#refused(number, isSeal, index, outcome)
    else if (!isSeal) this.#giveBack(index)
  }

  /** Throws the first refusal of a request up to this number, and forgets the others. */
  throwRefusal(number: number): void {
    const first = this.#refusals[0]
    if (first === undefined || first.number > number) return
    const later = this.#refusals.findIndex((one) => one.number > number)
    this.#refusals.splice(0, later < 0 ? this.#refusals.length : later)
    throw first.error
  }

  #refused(number: number, isSeal: boolean, index: number, outcome: number): void {
    this.#refusals.push({ number, error: refusal(outcome, isSeal ? 'seal' : 'release', index) })
    if (isSeal) this.#giveBack(index)
    else this.#state[index] = SEALED
  }

  #giveBack(index: number): void {
    assert(this.#state[index] !== FREE, 'a seal is given back once')
    this.#state[index] = FREE
    this.#free[this.#freeCount++] = index
  }
}
