import { assert } from '../../../base/assert.js'
import { SealOutcome } from '../../../layout/seal-layout.js'

/** What became of a request, one of {@link SealOutcome}. */
export type Outcome = (typeof SealOutcome)[keyof typeof SealOutcome]

/**
 * Which page is sealed under which descriptor: the sealer's private truth. Pure: what the kernel is to do, and what is
 * written for others to see, is its caller's.
 */
export class SealTable {
  /** Per page the descriptor that seals it, + 1; 0 = writable. */
  readonly #owner: Uint32Array
  readonly #page: Uint32Array
  readonly #pages: Uint32Array
  /** Per descriptor its word: odd = sealed. */
  readonly #word: Uint32Array
  #sealed = 0

  constructor(readonly pageCount: number, readonly descriptorCount: number) {
    this.#owner = new Uint32Array(pageCount)
    this.#page = new Uint32Array(descriptorCount)
    this.#pages = new Uint32Array(descriptorCount)
    this.#word = new Uint32Array(descriptorCount)
  }

  /** Seals in flight. */
  get sealed(): number {
    return this.#sealed
  }

  isSealed(page: number): boolean {
    return this.#owner[page] !== 0
  }

  wordOf(descriptor: number): number {
    return this.#word[descriptor]!
  }

  pageOf(descriptor: number): number {
    return this.#page[descriptor]!
  }

  pagesOf(descriptor: number): number {
    return this.#pages[descriptor]!
  }

  /** Enters a seal. The words of a request are any 32-bit numbers; what is not DONE changed nothing. */
  seal(descriptor: number, page: number, pages: number): Outcome {
    if (descriptor >= this.descriptorCount || (this.#word[descriptor]! & 1) !== 0) return SealOutcome.BAD_DESCRIPTOR
    if (pages === 0 || page >= this.pageCount || pages > this.pageCount - page) return SealOutcome.OUT_OF_RANGE
    const owner = this.#owner
    const end = page + pages
    for (let i = page; i < end; i++) if (owner[i] !== 0) return SealOutcome.OVERLAPS
    for (let i = page; i < end; i++) owner[i] = descriptor + 1
    this.#page[descriptor] = page
    this.#pages[descriptor] = pages
    this.#word[descriptor]!++
    this.#sealed++
    return SealOutcome.DONE
  }

  /** Whether a seal may be released now; `completed` is what the receiver wrote. */
  mayRelease(descriptor: number, completed: number): Outcome {
    if (descriptor >= this.descriptorCount) return SealOutcome.BAD_DESCRIPTOR
    const word = this.#word[descriptor]!
    if ((word & 1) === 0) return SealOutcome.NOT_SEALED
    return completed === word ? SealOutcome.DONE : SealOutcome.NOT_COMPLETE
  }

  /** Forgets a seal: it was released, or the kernel refused it. */
  free(descriptor: number): void {
    assert((this.#word[descriptor]! & 1) !== 0, 'what is freed was sealed')
    const owner = this.#owner
    for (let page = this.#page[descriptor]!, end = page + this.#pages[descriptor]!; page < end; page++) owner[page] = 0
    this.#word[descriptor]!++
    this.#sealed--
  }

  /** Takes over what a sealer before left in the shared descriptors. False when it makes no sense. */
  restore(descriptor: number, word: number, page: number, pages: number): boolean {
    if ((word & 1) === 0) {
      this.#word[descriptor] = word
      return true
    }
    this.#word[descriptor] = word - 1
    return this.seal(descriptor, page, pages) === SealOutcome.DONE
  }
}
