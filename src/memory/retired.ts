import { RpcError } from '../base/errors.js'
import type { Region } from './region.js'

/** Blocks that wait at most; of more the oldest goes. A power of two. */
const WAITING_MAX = 1024
/** Counters by which most blocks are known not to wait. A power of two. */
const COUNTERS = 4096

/**
 * Blocks of values that were overwritten, until the event loop's turn ends: whoever still holds a view of one may put it elsewhere, as in a
 * swap of two. A loop without an end keeps the latest {@link WAITING_MAX} only.
 */
export class RetiredBlocks {
  /** A ring, of which `size` places up to `#end` count. */
  readonly #regions: Region[] = []
  readonly #words: number[] = []
  readonly #counters = new Uint16Array(COUNTERS)
  readonly #free: (region: Region, word: number) => void
  #end = 0
  #flush: NodeJS.Immediate | null = null
  size = 0

  /** @param free gives a block back to its heap. */
  constructor(free: (region: Region, word: number) => void) {
    this.#free = free
  }

  has(region: Region, word: number): boolean {
    if (this.#counters[counterOf(region, word)] === 0) return false
    for (let i = this.#end - this.size; i < this.#end; i++) {
      const at = i & (WAITING_MAX - 1)
      if (this.#words[at] === word && this.#regions[at] === region) return true
    }
    return false
  }

  /** Takes over a block, which is live and not here yet. */
  add(region: Region, word: number): void {
    if (this.size === WAITING_MAX) this.#giveOldest()
    const at = this.#end++ & (WAITING_MAX - 1)
    this.#regions[at] = region
    this.#words[at] = word
    this.#counters[counterOf(region, word)]!++
    this.size++
    this.#flush ??= setImmediate(() => this.flush())
  }

  /** Gives everything back now: memory is short, is counted, or goes away. */
  flush(): void {
    if (this.#flush !== null) clearImmediate(this.#flush)
    this.#flush = null
    while (this.size > 0) this.#giveOldest()
    this.#end = 0
  }

  #giveOldest(): void {
    const at = (this.#end - this.size--) & (WAITING_MAX - 1)
    const [region, word] = [this.#regions[at]!, this.#words[at]!]
    this.#counters[counterOf(region, word)]!--
    try {
      this.#free(region, word)
    } catch (error) {
      // A peer has freed what was not its own meanwhile; there is nobody here to tell.
      if (!RpcError.is(error)) throw error
    }
  }
}

/** Blocks start at every fourth word. */
function counterOf({ high }: Region, word: number): number {
  return (word >>> 2 ^ high) & (COUNTERS - 1)
}
