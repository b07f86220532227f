/** Blocks alive at any time. */
export const LIVE_BLOCKS = 100_000
export const LEAST_SIZE = 16
/** Sizes are 16 to 512 bytes, each as likely as the other. */
const SIZES = 497

/**
 * The random replacement of bench/limits/malloc.c, number by number: the comment there specifies it. Draw the sizes of the
 * first LIVE_BLOCKS blocks with {@link drawFirst}, then the operations of one batch after the other with {@link draw}.
 */
export class ReplacementSequence {
  #state: number
  #checksum = 0

  /** @param seed from 1 to 2^32 - 1 */
  constructor(seed: number) {
    if (!Number.isInteger(seed) || seed < 1 || seed > 0xffff_ffff) {
      throw new RangeError(`the seed is an integer from 1 to 2^32 - 1, not ${String(seed)}`)
    }
    this.#state = seed | 0
  }

  /** What the C program prints at its end, after the same number of operations. */
  get checksum(): number {
    return this.#checksum >>> 0
  }

  drawFirst(sizes: Uint16Array): void {
    for (let slot = 0; slot < LIVE_BLOCKS; slot++) sizes[slot] = this.#size(slot)
  }

  /** Fills both arrays, which are of one length: operation i replaces the block in `slots[i]` by one of `sizes[i]` bytes. */
  draw(slots: Uint32Array, sizes: Uint16Array): void {
    for (let i = 0; i < slots.length; i++) {
      const slot = this.#number() % LIVE_BLOCKS
      slots[i] = slot
      sizes[i] = this.#size(slot)
    }
  }

  #size(slot: number): number {
    const size = LEAST_SIZE + (this.#number() % SIZES)
    this.#checksum = (Math.imul(this.#checksum, 31) + slot + size) | 0
    return size
  }

  #number(): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return x >>> 0
  }
}
