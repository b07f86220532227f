import type { Region } from '../memory/region.js'
import { damaged } from './problems.js'

/**
 * Bounds a walk through blocks of shared memory that do not overlap: together they are no longer than the memory they lie in. Blocks that a peer
 * laid over each other, or that lead round in circles, would have the same words read again and again.
 */
export class Extent {
  #left = 0
  readonly #regions: Region[] = []

  /** A new walk begins. */
  reset(): void {
    this.#left = 0
    this.#regions.length = 0
  }

  /** Comes before a block of so many words is looked at; `what` is damaged when it cannot be there. */
  spend(region: Region, words: number, what: string): void {
    const regions = this.#regions
    if (regions.at(-1) !== region && !regions.includes(region)) {
      regions.push(region)
      this.#left += region.words
    }
    this.#left -= words
    if (this.#left < 0) damaged(`${what} is damaged: its blocks lie over each other, or lead round in circles`)
  }
}
