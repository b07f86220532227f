import { RpcError } from '../../base/errors.js'
import type { Allocator, Region } from '../../memory/region.js'

/** What a write to something shared takes note of, so that it can be undone: see shared.ts. */
export interface Journal {
  /** Words are about to change. */
  save(region: Region, word: number, words: number): void
  /** The allocator to use meanwhile: what it gives is taken back when the write fails, what is freed stays until it has succeeded. */
  allocatorFor(region: Region, allocator: Allocator): Allocator
}

/** The journal of the write that is under way in this isolate; null outside of one. */
export const journal: { current: Journal | null } = { current: null }

/**
 * A write through a region that is read-only. The one place that says so. Returns when it may go on: the region is a scope whose seal
 * was still to be released, its call being answered.
 */
export function refuseWrite(where: string, region: Region): void {
  if (region.isLook) {
    throw new RpcError('FAILED_PRECONDITION', `${where} cannot be written inside of read, where others change it at the same time: use write()`)
  }
  if (region.scope?.sealed === true) return region.scope.unseal(`write ${where} in`)
  throw new RpcError('FAILED_PRECONDITION', `${where} cannot be written: this memory is read-only here; heap.copyFrom(view) makes a copy that can be`)
}

/**
 * Comes before every store into memory that can be reached already; memory fresh from the allocator needs none. A holder may be
 * writable, and a peer's pointer in it still lead to memory that is only read here.
 */
export function willChange(region: Region, word: number, words: number): void {
  if (region.readOnly) refuseWrite('what is pointed to', region)
  if (journal.current !== null) journal.current.save(region, word, words)
}
