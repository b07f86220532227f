import { RpcError } from '../base/errors.js'
import { PAGE_BYTES, roundUp, type Address } from '../base/numbers.js'
import type { HeapSet } from './heap-set.js'
import { Region } from './region.js'

/** Where scopes find their pages: {@link HeapSet}, or pages of their own. */
export interface ChunkSource {
  /** Where the latest chunk landed. */
  readonly region: Region
  /** Takes whole pages; returns the word index of the first in {@link region}. Throws RESOURCE_EXHAUSTED. */
  allocateChunk(byteLength: number): number
  /** Gives back what {@link allocateChunk} took. */
  freeChunk(region: Region, word: number): void
}

interface Run {
  readonly page: number
  readonly pages: number
}

/**
 * Whole pages of a heap that this isolate alone writes: every page is for arguments, and can be sealed. The book-keeping is private, so
 * that nothing of it lies in a page that may be sealed, or in reach of a peer.
 */
export class PageHeap implements ChunkSource {
  readonly region: Region
  readonly #space: HeapSet
  /** By address; no two of them touch. */
  #free: Run[]
  /** First page → pages of what was taken. */
  readonly #taken = new Map<number, number>()

  /** Over a mapped file, which stays its owner's, from its `firstPage` on. */
  constructor(buffer: ArrayBuffer, address: Address, space: HeapSet, firstPage = 0) {
    this.#space = space
    this.region = pagesOf(buffer, address, space, firstPage)
    this.#free = [{ page: firstPage, pages: this.byteLength / PAGE_BYTES }]
  }

  /** Address of its first page. */
  get address(): Address {
    return this.region.addressOf(this.region.shift)
  }

  get byteLength(): number {
    return this.region.words * 4
  }

  allocateChunk(byteLength: number): number {
    const pages = roundUp(byteLength, PAGE_BYTES) / PAGE_BYTES
    const at = this.#free.findIndex((run) => run.pages >= pages)
    const run = this.#free[at]
    if (run === undefined) {
      throw new RpcError('RESOURCE_EXHAUSTED', `no ${pages} contiguous pages are left in the connection's ${this.byteLength} bytes for sealed arguments: ` +
        'destroy scopes (`using`), or connect with a larger seals.heapBytes')
    }
    if (run.pages === pages) this.#free.splice(at, 1)
    else this.#free[at] = { page: run.page + pages, pages: run.pages - pages }
    this.#taken.set(run.page, pages)
    return run.page * WORDS
  }

  /** Bytes of the longest chunk that there is room for. */
  get largestRun(): number {
    return this.#free.reduce((most, { pages }) => Math.max(most, pages), 0) * PAGE_BYTES
  }

  usableBytes(byteLength: number): number {
    return roundUp(byteLength, PAGE_BYTES)
  }

  owns(region: Region): boolean {
    return this.#space.owns(region)
  }

  freeChunk(_region: Region, word: number): void {
    const page = word / WORDS
    const pages = this.#taken.get(page)
    if (pages === undefined) throw new RpcError('INVALID_ARGUMENT', `free of page ${page}, which is not the first one of pages in use`)
    this.#taken.delete(page)
    this.#giveBack({ page, pages })
  }

  #giveBack({ page, pages }: Run): void {
    const next = this.#free.findIndex((run) => run.page > page)
    const at = next < 0 ? this.#free.length : next
    const before = this.#free[at - 1]
    const after = this.#free[at]
    const joinsBefore = before !== undefined && before.page + before.pages === page
    const joinsAfter = after !== undefined && page + pages === after.page
    const run = { page: joinsBefore ? before.page : page, pages: pages + (joinsBefore ? before.pages : 0) + (joinsAfter ? after.pages : 0) }
    this.#free.splice(joinsBefore ? at - 1 : at, (joinsBefore ? 1 : 0) + (joinsAfter ? 1 : 0), run)
  }
}

const WORDS = PAGE_BYTES / 4

/** A region over a mapped file from its `firstPage` on. */
export function pagesOf(buffer: ArrayBuffer, address: Address, space: HeapSet, firstPage: number): Region {
  const region = new Region(buffer, address, space)
  const word = firstPage * WORDS
  if (word > 0) region.aim(word, region.words - word, region.high, region.lowOf(word))
  return region
}
