import { RpcError } from '../base/errors.js'
import type { Region } from './region.js'

/** Blocks that wait at most; of more the oldest goes. */
const WAITING_MAX = 1024

/**
 * Blocks of values that were overwritten, until the event loop's turn ends: whoever still holds a view of one may put it elsewhere, as in a
 * swap of two. A loop without an end keeps the latest {@link WAITING_MAX} only.
 */
export class RetiredBlocks {
  /** By address, the oldest first. */
  readonly #waiting = new Map<number, Waiting>()
  readonly #free: (region: Region, word: number) => void
  #flush: NodeJS.Immediate | null = null

  /** @param free gives a block back to its heap. */
  constructor(free: (region: Region, word: number) => void) {
    this.#free = free
  }

  get size(): number {
    return this.#waiting.size
  }

  has(region: Region, word: number): boolean {
    return this.#waiting.has(region.addressOf(word))
  }

  /** Takes over a block; the caller has checked that it is live. */
  add(region: Region, word: number): void {
    this.#waiting.set(region.addressOf(word), { region, word })
    if (this.#waiting.size > WAITING_MAX) this.#give(this.#waiting.keys().next().value!)
    this.#flush ??= setImmediate(() => this.flush())
  }

  /** Gives everything back now: memory is short, is counted, or goes away. */
  flush(): void {
    if (this.#flush !== null) clearImmediate(this.#flush)
    this.#flush = null
    for (const address of this.#waiting.keys()) this.#give(address)
  }

  #give(address: number): void {
    const { region, word } = this.#waiting.get(address)!
    this.#waiting.delete(address)
    try {
      this.#free(region, word)
    } catch (error) {
      // A peer has freed what was not its own meanwhile; there is nobody here to tell.
      if (!RpcError.is(error)) throw error
    }
  }
}

interface Waiting {
  readonly region: Region
  readonly word: number
}
