import { RpcError } from '../base/errors.js'
import { makeAddress, PAGE_BYTES } from '../base/numbers.js'
import { Region, type Allocator, type RegionSpace } from '../memory/index.js'

/**
 * Upper half of the first address: beyond the window of heaps, so that no pointer from elsewhere leads into a copy, and of 16 bits, since
 * cells of json and the index of a map have no more for it.
 */
const NOWHERE_HIGH = 0xc000

/**
 * Private memory that a graph is copied into, object by object: a bump allocator over buffers that double. It goes with the
 * views of the copy; nothing has to be given back.
 */
export class PrivateArena implements Allocator, RegionSpace {
  readonly transient = true
  region: Region
  readonly #regions: Region[] = []
  readonly #limit: number
  #used = 0
  #total = 0

  /** @param limit bytes after which it is full. */
  constructor(limit: number) {
    this.#limit = limit
    this.region = this.#extend(PAGE_BYTES)
  }

  /** Bytes of all buffers. */
  get byteLength(): number {
    return this.#total
  }

  allocate(byteLength: number): number {
    const bytes = (byteLength + 7) & ~7
    if (!(this.#used + bytes <= this.region.words * 4)) this.region = this.#extend(bytes)
    const word = this.#used >>> 2
    this.#used += bytes
    return word
  }

  /** A copy goes as a whole. */
  free(): void {}

  owns(region: Region): boolean {
    return this.#regions.includes(region)
  }

  locate(high: number, low: number, byteLength: number): Region | undefined {
    const region = this.#regions[high - NOWHERE_HIGH]
    return region !== undefined && region.resolve(high, low, (byteLength + 3) >>> 2) >= 0 ? region : undefined
  }

  /** The copy is complete: it is only read from now on, and walks over it end. */
  finish(maxPointers: number): void {
    for (const region of this.#regions) {
      region.readOnly = true
      region.isPrivate = true
      region.endless = false
      region.allowance = maxPointers
      region.refill()
    }
  }

  #extend(needed: number): Region {
    const bytes = Math.max(PAGE_BYTES, this.#total, Math.ceil(needed / PAGE_BYTES) * PAGE_BYTES)
    if (!(this.#total + bytes <= this.#limit)) {
      throw new RpcError('RESOURCE_EXHAUSTED',
        `the private copy of the argument would hold more than ${this.#limit} bytes: pass less, or raise the server's snapshotBytes`)
    }
    const region = new Region(new ArrayBuffer(bytes), makeAddress(NOWHERE_HIGH + this.#regions.length, 0), this)
    this.#regions.push(region)
    this.#total += bytes
    this.#used = 0
    return region
  }
}
