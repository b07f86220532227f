import { RpcError } from '../../../base/errors.js'
import { PAGE_BYTES, type Address } from '../../../base/numbers.js'
import { RELEASE_REQUEST, REQUESTS_DEFAULT, SEAL_REQUEST } from '../../../layout/seal-layout.js'
import { addon } from '../../../sys/index.js'
import type { SealAuthority, SealTicket } from '../authority.js'
import { DescriptorWriter } from '../descriptors.js'
import { Batch, SealEngine } from '../sealer/engine.js'
import { SealTable } from '../sealer/seal-table.js'
import { SenderState } from './sender-state.js'
import { COOPERATIVE } from '../strength.js'

/**
 * The sender protects its own pages with mprotect(2). Catches a program that writes to what it has sent; a hostile one
 * lifts the protection, or writes the descriptors: never reported as enforced.
 */
export class CooperativeAuthority implements SealAuthority {
  readonly backend = 'cooperative'
  readonly strength = COOPERATIVE
  readonly #state: SenderState
  readonly #engine: SealEngine
  readonly #batch = new Batch(REQUESTS_DEFAULT)
  #number = 0
  #open = true

  /**
   * @param descriptors the mapped file of descriptors, writable here; it stays its owner's
   * @param base first sealable page of the mapped heap
   */
  constructor(descriptors: ArrayBuffer, base: Address, byteLength: number, readonly capacity: number) {
    const pages = byteLength / PAGE_BYTES
    this.#state = new SenderState(base, pages, capacity)
    this.#engine = new SealEngine(new SealTable(pages, capacity), new DescriptorWriter(descriptors, capacity, pages),
      (page, count, protect) => addon.protectMemory(base + page * PAGE_BYTES, count * PAGE_BYTES, !protect))
  }

  get inFlight(): number {
    return this.#state.inFlight
  }

  queueSeal(address: number, byteLength: number): number {
    const page = this.#state.pageOf(address, byteLength)
    this.#makeRoom(SEAL_REQUEST)
    const index = this.#state.take()
    this.#batch.add(page, byteLength / PAGE_BYTES, index)
    return index
  }

  isTaken(index: number): boolean {
    return this.#state.isTaken(index)
  }

  queueRelease(index: number): void {
    this.#makeRoom(RELEASE_REQUEST)
    this.#state.startRelease(index)
    this.#batch.add(0, 0, index)
  }

  flush(): SealTicket {
    const batch = this.#batch
    if (batch.length > 0) this.#engine.carryOut(batch)
    for (let i = 0; i < batch.length; i++) {
      this.#state.settle(++this.#number, batch.code === SEAL_REQUEST, batch.descriptor[i]!, batch.outcome[i]!)
    }
    batch.clear(batch.code)
    return this.#number as SealTicket
  }

  isDone(): boolean {
    return true
  }

  wait(ticket: SealTicket): void {
    this.#state.throwRefusal(ticket)
  }

  /** Unlike elsewhere the pages become writable: nobody relies on them. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#engine.releaseAll()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Nothing is asked of anybody else, so that a full queue, or one of the other kind, is simply carried out. */
  #makeRoom(code: number): void {
    if (!this.#open) throw new RpcError('FAILED_PRECONDITION', 'the seals of this connection are closed')
    if (this.#batch.code === code && this.#batch.length < this.#batch.capacity) return
    this.flush()
    this.#batch.clear(code)
  }
}
