import { RELEASE_REQUEST, SEAL_REQUEST, SealOutcome } from '../../layout/seal-layout.js'
import type { DescriptorWriter } from './descriptors.js'
import { PageRuns, type Outcome, type SealTable } from './seal-table.js'

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
    this.#runs.clear()
    for (let i = 0; i < batch.length; i++) {
      const outcome = table.seal(batch.descriptor[i]!, batch.page[i]!, batch.pages[i]!)
      batch.outcome[i] = outcome
      if (outcome === SealOutcome.DONE) this.#runs.add(batch.page[i]!, batch.pages[i]!)
    }
    if (this.#apply(true) !== 0) {
      this.#apply(false)
      this.#settle(batch, (descriptor) => table.free(descriptor), SealOutcome.REFUSED)
      return
    }
    // After the kernel: who reads a descriptor may rely on it.
    this.#settle(batch, (descriptor, i) => descriptors.publish(descriptor, table.wordOf(descriptor), batch.page[i]!, batch.pages[i]!), SealOutcome.DONE)
  }

  #release(batch: Batch): void {
    const { table, descriptors } = this
    this.#runs.clear()
    for (let i = 0; i < batch.length; i++) {
      const descriptor = batch.descriptor[i]!
      const completed = descriptor < table.descriptorCount ? descriptors.completed(descriptor) : 0
      const outcome = table.mayRelease(descriptor, completed)
      batch.outcome[i] = outcome
      if (outcome !== SealOutcome.DONE) continue
      this.#runs.add(table.pageOf(descriptor), table.pagesOf(descriptor))
      // At once: a second release in the same batch must not be taken for another seal's.
      this.#free(descriptor)
    }
    if (this.#apply(false) !== 0) this.#settle(batch, () => undefined, SealOutcome.REFUSED)
  }

  #free(descriptor: number): void {
    this.table.free(descriptor)
    this.descriptors.retract(descriptor, this.table.wordOf(descriptor))
  }

  #apply(protect: boolean): number {
    const runs = this.#runs
    runs.merge()
    let failure = 0
    for (let i = 0; i < runs.count && (failure === 0 || !protect); i++) failure ||= this.protect(runs.page(i), runs.pages(i), protect)
    return failure
  }

  #settle(batch: Batch, each: (descriptor: number, index: number) => void, outcome: Outcome): void {
    for (let i = 0; i < batch.length; i++) {
      if (batch.outcome[i] !== SealOutcome.DONE) continue
      each(batch.descriptor[i]!, i)
      batch.outcome[i] = outcome
    }
  }
}
