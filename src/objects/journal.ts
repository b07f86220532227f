import type { Region } from '../memory/region.js'
import { refuseWrite } from './problems.js'

/** Takes note of words that are about to change, while something shared is being written: see shared.ts. */
export interface Journal {
  save(region: Region, word: number, words: number): void
}

/** The journal of the write that is under way in this isolate; null outside of one. */
export const journal: { current: Journal | null } = { current: null }

/**
 * Comes before every store of a container into memory that can be reached already; memory fresh from the allocator needs none.
 * A holder may be writable, and a peer's pointer in it still lead to memory that is only read here.
 */
export function willChange(region: Region, word: number, words: number): void {
  if (region.readOnly) refuseWrite('what a container points to')
  journal.current?.save(region, word, words)
}
