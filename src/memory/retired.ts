import { randomInt } from 'node:crypto'
import { RpcError } from '../base/errors.js'
import type { Region } from './region.js'

/** Blocks that wait at most; of more the oldest goes. A power of two. */
const WAITING_MAX = 1024
/** Chains of blocks in which one is looked for: 2^12. */
const CHAIN_BITS = 12
// Unknown outside the process: a peer that has the same blocks retired again and again must not have all of them in one chain.
const FACTOR = randomInt(0x8000_0000) * 2 + 1 | 0

/**
 * Blocks of values that were overwritten, until the event loop's turn ends: whoever still holds a view of one may put it elsewhere, as in a
 * swap of two. A loop without an end keeps the latest {@link WAITING_MAX} only.
 */
export class RetiredBlocks {
  /** A ring, of which `size` places up to `#end` count. */
  readonly #regions: Region[] = []
  readonly #words: number[] = []
  /** Of each chain the place + 1 of its latest block, and of each place that of the one before it; 0 = none. */
  readonly #latest = new Uint16Array(1 << CHAIN_BITS)
  readonly #before = new Uint16Array(WAITING_MAX)
  readonly #free: (region: Region, word: number) => void
  #end = 0
  #flush: NodeJS.Immediate | null = null
  size = 0

  /** @param free gives a block back to its heap. */
  constructor(free: (region: Region, word: number) => void) {
    this.#free = free
  }

  has(region: Region, word: number): boolean {
    for (let link = this.#latest[chainOf(region, word)]!; link !== 0; link = this.#before[link - 1]!) {
      if (this.#words[link - 1] === word && this.#regions[link - 1] === region) return true
    }
    return false
  }

  /** Takes over a block, which is live and not here yet. */
  add(region: Region, word: number): void {
    if (this.size === WAITING_MAX) this.#giveOldest()
    const at = this.#end++ & (WAITING_MAX - 1)
    this.#regions[at] = region
    this.#words[at] = word
    const chain = chainOf(region, word)
    this.#before[at] = this.#latest[chain]!
    this.#latest[chain] = at + 1
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
    this.#unlink(chainOf(region, word), at + 1)
    try {
      this.#free(region, word)
    } catch (error) {
      // A peer has freed what was not its own meanwhile; there is nobody here to tell.
      if (!RpcError.is(error)) throw error
    }
  }

  /** The oldest of all is the last of its chain. */
  #unlink(chain: number, oldest: number): void {
    let link = this.#latest[chain]!
    if (link === oldest) {
      this.#latest[chain] = 0
      return
    }
    while (this.#before[link - 1] !== oldest) link = this.#before[link - 1]!
    this.#before[link - 1] = 0
  }
}

function chainOf({ high }: Region, word: number): number {
  return Math.imul(word ^ high << 16, FACTOR) >>> 32 - CHAIN_BITS
}
