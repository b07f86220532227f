import type { Region } from '../memory/region.js'

/** Takes note of words that are about to change, while something shared is being written: see shared.ts. */
export interface Journal {
  save(region: Region, word: number, words: number): void
}

/** The journal of the write that is under way in this isolate; null outside of one. */
export const journal: { current: Journal | null } = { current: null }

/** Comes before every store into memory that can be reached already; memory fresh from the allocator needs none. */
export function willChange(region: Region, word: number, words: number): void {
  journal.current?.save(region, word, words)
}
