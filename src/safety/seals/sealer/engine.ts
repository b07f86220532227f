import { RELEASE_REQUEST, SEAL_REQUEST, SealOutcome } from '../../../layout/seal-layout.js'
import type { DescriptorWriter } from '../descriptors.js'
import { PageRuns } from '../page-runs.js'
import type { SealTable } from './seal-table.js'

/** Makes pages of the sender unwritable, or writable again. Returns an errno; the range may then be half done. */
export type Protect = (page: number, pages: number, protect: boolean) => number

/** Requests of one kind, taken from shared memory or made in this process: private, so that they do not change. */
export class Batch {
  code = 0
  length = 0
  readonly page: Uint32Array
  readonly pages: Uint32Array
  readonly descriptor: Uint32Array
  readonly outcome: Uint32Array

  constructor(readonly capacity: number) {
    this.page = new Uint32Array(capacity)
    this.pages = new Uint32Array(capacity)
    this.descriptor = new Uint32Array(capacity)
    this.outcome = new Uint32Array(capacity)
  }

  clear(code: number): void {
    this.code = code
    this.length = 0
  }

  add(page: number, pages: number, descriptor: number): void {
    const i = this.length++
    this.page[i] = page
    this.pages[i] = pages
    this.descriptor[i] = descriptor
  }
}

/**
 * Carries batches out: decides by the table, protects adjacent ranges in one kernel call each, and publishes descriptors.
 * The same for every backend in which user space seals.
 */
export class SealEngine {
  readonly #runs = new PageRuns()

  constructor(readonly table: SealTable, readonly descriptors: DescriptorWriter, readonly protect: Protect) {}

  carryOut(batch: Batch): void {
    if (batch.code === SEAL_REQUEST) this.#seal(batch)
    else if (batch.code === RELEASE_REQUEST) this.#release(batch)
    else batch.outcome.fill(SealOutcome.UNKNOWN, 0, batch.length)
  }

  /** Lifts every seal, completed or not: the receiver is gone. Returns the first errno. */
  releaseAll(): number {
    const { table } = this
    this.#runs.clear()
    for (let i = 0; i < table.descriptorCount; i++) {
      if ((table.wordOf(i) & 1) === 0) continue
      this.#runs.add(table.pageOf(i), table.pagesOf(i))
      this.#free(i)
    }
    return this.#apply(false)
  }

  #seal(batch: Batch): void {
    const { table, descriptors } = this
    const { page, pages, descriptor, outcome, length } = batch
    this.#runs.clear()
    for (let i = 0; i < length; i++) {
      const got = table.seal(descriptor[i]!, page[i]!, pages[i]!)
      outcome[i] = got
      if (got === SealOutcome.DONE) this.#runs.add(page[i]!, pages[i]!)
    }
    const failed = this.#apply(true) !== 0
    if (failed) this.#apply(false)
    // After the kernel: who reads a descriptor may rely on it.
    for (let i = 0; i < length; i++) {
      if (outcome[i] !== SealOutcome.DONE) continue
      const index = descriptor[i]!
      if (!failed) {
        descriptors.publish(index, table.wordOf(index), page[i]!, pages[i]!)
        continue
      }
      table.free(index)
      outcome[i] = SealOutcome.REFUSED
    }
  }

  #release(batch: Batch): void {
    const { table, descriptors } = this
    const { descriptor, outcome, length } = batch
    this.#runs.clear()
    for (let i = 0; i < length; i++) {
      const index = descriptor[i]!
      const completed = index < table.descriptorCount ? descriptors.completed(index) : 0
      const got = table.mayRelease(index, completed)
      outcome[i] = got
      if (got !== SealOutcome.DONE) continue
      this.#runs.add(table.pageOf(index), table.pagesOf(index))
      // At once: a second release in the same batch must not be taken for another seal's.
      this.#free(index)
    }
    if (this.#apply(false) === 0) return
    for (let i = 0; i < length; i++) if (outcome[i] === SealOutcome.DONE) outcome[i] = SealOutcome.REFUSED
  }

  #free(descriptor: number): void {
    this.table.free(descriptor)
    this.descriptors.retract(descriptor, this.table.wordOf(descriptor))
  }

  #apply(protect: boolean): number {
    const runs = this.#runs
    runs.merge()
    let failure = 0
    // What cannot be made writable does not keep the others from being so.
    for (let i = 0; i < runs.count && (failure === 0 || !protect); i++) {
      const error = this.protect(runs.page(i), runs.pages(i), protect)
      failure ||= error
    }
    return failure
  }
}
