import type { FileHeader } from '../../layout/header.js'
import { attachHeader } from '../../layout/header.js'
import {
  DESCRIPTOR_COMPLETED, DESCRIPTOR_PAGE, DESCRIPTOR_PAGES, DESCRIPTORS_BROKEN_WORD, DESCRIPTORS_PAGES_WORD, descriptorWord, SEAL_DESCRIPTORS_KIND,
  SEALS_FINGERPRINT,
} from '../../layout/seal-layout.js'

function header(count: number): FileHeader {
  return { kind: SEAL_DESCRIPTORS_KIND, fingerprint: SEALS_FINGERPRINT, geometry: count }
}

/** The shared descriptors as the one who seals sees them. */
export class DescriptorWriter {
  readonly #words: Int32Array

  /** `buffer` is the mapped file; it stays its owner's. A new file is laid out, another one checked. */
  constructor(buffer: ArrayBuffer, readonly count: number, pages: number) {
    this.#words = new Int32Array(buffer)
    attachHeader(this.#words, header(count), 'ring of seal descriptors')
    this.#words[DESCRIPTORS_PAGES_WORD] = pages
  }

  /**
   * The pages are sealed: says so. A plain store: the receiver is told of the descriptor by the sender, who learns of it by the
   * sealer's answer, whose store comes later and is ordered.
   */
  publish(index: number, word: number, page: number, pages: number): void {
    const at = descriptorWord(index)
    this.#words[at + DESCRIPTOR_PAGE] = page
    this.#words[at + DESCRIPTOR_PAGES] = pages
    this.#words[at] = word
  }

  /** Says that the seal ends. Seen before the pages can change: lifting the protection is a system call, and comes later. */
  retract(index: number, word: number): void {
    this.#words[descriptorWord(index)] = word
  }

  /**
   * What the receiver marked complete. A plain load: the sender asks for a release after the answer, which came after the mark, and its
   * request was read by an atomic load; who asks before is refused, and asks again.
   */
  completed(index: number): number {
    return this.#words[descriptorWord(index) + DESCRIPTOR_COMPLETED]! >>> 0
  }

  /** As a sealer before left it: not to be trusted further than the receiver who can write it. */
  read(index: number): { word: number, page: number, pages: number } {
    const at = descriptorWord(index)
    const words = this.#words
    return { word: Atomics.load(words, at) >>> 0, page: words[at + DESCRIPTOR_PAGE]! >>> 0, pages: words[at + DESCRIPTOR_PAGES]! >>> 0 }
  }

  get isBroken(): boolean {
    return Atomics.load(this.#words, DESCRIPTORS_BROKEN_WORD) !== 0
  }

  /** The sender was found at something that breaks seals: none of them counts any more. */
  markBroken(): void {
    markBroken(this.#words.buffer)
  }
}

/** Of descriptors whatever stands there else. */
export function markBroken(buffer: ArrayBufferLike): void {
  Atomics.store(new Int32Array(buffer), DESCRIPTORS_BROKEN_WORD, 1)
}

/** Tells whether somebody who keeps the seals in force has lived all the time. */
export interface SealHolders {
  /** False when all holders that were known when `since` was asked for have gone, and those to whom they had handed the seals on meanwhile. */
  liveSince(since: number): boolean
  /** A mark of now. */
  readonly now: number
}

/**
 * The receiver's side of seals. Descriptors come from the sealer; the sender can neither write nor repeat them.
 * One per heap of a connection; the mapping stays its owner's.
 */
export class SealVerifier {
  readonly #words: Int32Array
  /** The last word verified of each descriptor: one seal serves one call. */
  readonly #used: Int32Array
  readonly #since: Float64Array

  constructor(buffer: ArrayBuffer, readonly count: number, readonly pages: number, readonly holders: SealHolders) {
    this.#words = new Int32Array(buffer)
    this.#used = new Int32Array(count)
    this.#since = new Float64Array(count)
    attachHeader(this.#words, header(count), 'ring of seal descriptors')
  }

  /**
   * Whether a descriptor seals at least the given pages (counted from the first sealable one), and was not used by another call.
   * The indexes come from the peer and may be any 32-bit numbers. When true the seal is the call's until {@link complete}.
   */
  verify(index: number, page: number, pages: number): boolean {
    if (index >= this.count || pages <= 0 || page >= this.pages || pages > this.pages - page) return false
    const words = this.#words
    const at = descriptorWord(index)
    // The holders first: one that lives then keeps the seal that is read next.
    const since = this.holders.now
    const word = Atomics.load(words, at)
    if ((word & 1) === 0 || this.#used[index] === word || words[DESCRIPTORS_BROKEN_WORD] !== 0) return false
    const first = words[at + DESCRIPTOR_PAGE]! >>> 0
    const count = words[at + DESCRIPTOR_PAGES]! >>> 0
    if (page < first || page + pages > first + count) return false
    this.#used[index] = word
    this.#since[index] = since
    return true
  }

  /** Whether a descriptor seals anything that no call has used: as {@link verify}, for a seal that is only to be completed. */
  verifyAny(index: number): boolean {
    if (index >= this.count) return false
    const word = Atomics.load(this.#words, descriptorWord(index))
    if ((word & 1) === 0 || this.#used[index] === word) return false
    this.#used[index] = word
    return true
  }

  /**
   * Whether the seal was in force all the time since it was verified: asked after the handler, before its answer counts.
   */
  held(index: number): boolean {
    const words = this.#words
    return Atomics.load(words, descriptorWord(index)) === this.#used[index] && words[DESCRIPTORS_BROKEN_WORD] === 0 &&
      this.holders.liveSince(this.#since[index]!)
  }

  /** The call is done with: the sender may release. */
  complete(index: number): void {
    Atomics.store(this.#words, descriptorWord(index) + DESCRIPTOR_COMPLETED, this.#used[index]!)
  }

  get isBroken(): boolean {
    return Atomics.load(this.#words, DESCRIPTORS_BROKEN_WORD) !== 0
  }
}
