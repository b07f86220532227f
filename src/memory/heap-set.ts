import { RpcError } from '../base/errors.js'
import { makeAddress } from '../base/numbers.js'
import { SHAPES_WORD } from '../layout/heap-layout.js'
import type { Heap } from './heap.js'
import { heapDebug } from './heap-debug.js'
import { sumStats, type HeapStats } from './heap-stats.js'
import { type Allocator, Region, type RegionSpace, type ShapesPlace } from './region.js'
import { RetiredBlocks } from './retired.js'

/** Heaps of one connection; a further heap is a request to the daemon, so that this bounds what a runaway client maps. */
export const HEAPS_MAX = 64
/** As many calls can be in flight unless a client asks for more slots. */
const HELD_MANY = 64

/**
 * The heaps of one connection as one allocator and one space of pointers: objects in any of them may point to each other.
 * Private to one isolate. The heaps are its creator's to detach.
 */
export class HeapSet implements Allocator, RegionSpace {
  readonly #heaps: Heap[] = []
  /** What may be pointed to, and neither allocated in nor written: memory that others own, as its owner has it. */
  readonly #lent: Region[] = []
  /** The same, as pointers find it. */
  readonly #found: Region[] = []
  /** Where allocation goes on. */
  #current: Heap
  readonly #retired = new RetiredBlocks((region, word) => this.free(region, word))
  region: Region
  /** What is to be done when every heap is full, as the end of a sentence: who made the heaps knows. */
  remedy = 'free what is no longer needed, or make a larger heap'

  constructor(makeFirst: (space: RegionSpace) => Heap) {
    const first = makeFirst(this)
    this.#heaps.push(first)
    first.region.allocator = this
    this.#current = first
    this.region = first.region
    heapDebug?.watch(this)
  }

  get heaps(): readonly Heap[] {
    return this.#heaps
  }

  /** In the first heap: shapes that were made in others are not listed. */
  get shapesPlace(): ShapesPlace {
    return { region: this.#heaps[0]!.region, word: SHAPES_WORD }
  }

  /** Adds a further heap; allocation goes on in it when the others are full. */
  add(heap: Heap): void {
    if (this.#heaps.length >= HEAPS_MAX) {
      throw new RpcError('RESOURCE_EXHAUSTED', `a connection has at most ${HEAPS_MAX} heaps`)
    }
    this.#heaps.push(heap)
    heap.region.allocator = this
  }

  /**
   * Adds memory of another owner: objects here may point into it, and results be found in it. It stays its owner's, who alone writes it, by the
   * region given: a pointer that leads there may be a peer's, who cannot write there, so what it finds is read-only. @returns the region that it finds.
   */
  lend(region: Region): Region {
    this.#lent.push(region)
    const found = region.readOnly ? region : this.#readOnly(region)
    this.#found.push(found)
    return found
  }

  #readOnly(region: Region): Region {
    const found = Region.within(region, this)
    found.aim(region.shift, region.words, region.high, region.low)
    found.readOnly = true
    return found
  }

  allocate(byteLength: number): number {
    try {
      return this.#current.allocate(byteLength)
    } catch (error) {
      return this.#allocateElsewhere(byteLength, error, (other) => other.allocate(byteLength))
    }
  }

  /** See {@link Heap.allocateChunk}. */
  allocateChunk(byteLength: number): number {
    try {
      return this.#current.allocateChunk(byteLength)
    } catch (error) {
      return this.#allocateElsewhere(byteLength, error, (other) => other.allocateChunk(byteLength))
    }
  }

  get byteLength(): number {
    return [...this.#heaps.map(({ region }) => region), ...this.#lent].reduce((sum, { words }) => sum + words * 4, 0)
  }

  get smallMax(): number {
    return this.#current.geometry.smallMax
  }

  usableBytes(byteLength: number): number {
    return this.#current.usableBytes(byteLength)
  }

  free(region: Region, word: number): void {
    const heap = this.#current
    if (this.#retired.size > 0) this.refuseRetired(region, word)
    if (heap.region === region) heap.free(region, word)
    else this.#heapOf(region).free(region.origin, word)
  }

  /** See {@link Allocator.retire}. */
  retire(region: Region, word: number): void {
    const { origin } = region
    // Retired before, it was changed since by whoever holds a view of it.
    if (this.#retired.has(origin, word)) return
    // What is no live block is refused as ever, and now.
    if (this.#heapOf(origin).startsBlock(origin, word)) this.#retired.add(origin, word)
    else this.free(origin, word)
  }

  /** What {@link retire} has taken is not its caller's any more. @throws RpcError INVALID_ARGUMENT for such a block. */
  refuseRetired(region: Region, word: number): void {
    if (!this.#retired.has(region.origin, word)) return
    throw new RpcError('INVALID_ARGUMENT', `free of 0x${region.addressOf(word).toString(16)}, which was overwritten in what held it, and is freed by that`)
  }

  /** Frees what was retired, before the turn is over. */
  settle(): void {
    if (this.#retired.size > 0) this.#retired.flush()
  }

  freeChunk(region: Region, word: number): void {
    this.#heapOf(region).freeChunk(word)
  }

  /** See {@link Heap.isLive}. */
  isLive(region: Region, word: number): boolean {
    return this.#heapOf(region).isLive(word)
  }

  startsBlock(region: Region, word: number): boolean {
    return this.#heapOf(region).startsBlock(region, word)
  }

  owns(region: Region): boolean {
    return region.space === this || this.#lent.includes(region) || this.#heaps.some((heap) => heap.region === region)
  }

  locate(high: number, low: number, byteLength: number): Region | undefined {
    for (const { region } of this.#heaps) {
      if (region.resolve(high, low, byteLength >>> 2) >= 0) return region
    }
    return this.#found.find((region) => region.resolve(high, low, byteLength >>> 2) >= 0)
  }

  /** Starts a fresh budget of pointers in every heap, at the start of a call. */
  refill(): void {
    const heaps = this.#heaps
    for (let i = 0; i < heaps.length; i++) heaps[i]!.region.refill()
    for (let i = 0; i < this.#found.length; i++) this.#found[i]!.refill()
  }

  /** Takes back what others have freed, in every heap. */
  collect(): void {
    this.settle()
    for (const heap of this.#heaps) heap.collect()
  }

  stats(): HeapStats {
    this.settle()
    return sumStats(this.#heaps.map((heap) => heap.stats()))
  }

  #heapOf({ origin: region }: Region): Heap {
    const heap = this.#heaps.find((one) => one.region === region)
    if (heap === undefined) {
      if (this.#lent.includes(region) || this.#found.includes(region)) {
        throw new RpcError('FAILED_PRECONDITION', 'the object lies in a heap that its server publishes: only the server frees what is there')
      }
      // By a pointer of somebody it is lent to, or in a sandbox.
      if (this.#heaps.some((one) => one.region.i32 === region.i32)) {
        throw new RpcError('FAILED_PRECONDITION', 'this view of the object is only for reading: free heap.at(Type, addressOf(view))')
      }
      throw new RpcError('INVALID_ARGUMENT',
        `free of an object at 0x${makeAddress(region.high, region.low >>> 0).toString(16)}…, which is not in this connection's heaps`)
    }
    return heap
  }

  #allocateElsewhere(byteLength: number, first: unknown, allocate: (heap: Heap) => number): number {
    if (!RpcError.is(first) || first.code !== 'RESOURCE_EXHAUSTED') throw first
    const hadRetired = this.#retired.size > 0
    this.settle()
    for (const heap of this.#heaps) {
      if ((heap === this.#current && !hadRetired) || heap.geometry.spanBytes * heap.geometry.spanCount < byteLength) continue
      try {
        const word = allocate(heap)
        this.#current = heap
        this.region = heap.region
        return word
      } catch (error) {
        if (!RpcError.is(error) || error.code !== 'RESOURCE_EXHAUSTED') throw error
      }
    }
    throw this.#full(first)
  }

  #full({ code, sentence }: RpcError): RpcError {
    const chunks = this.#heaps.reduce((sum, heap) => sum + heap.liveChunks, 0)
    // Some are always there: kept for calls to come.
    const held = chunks < HELD_MANY ? '' : `${chunks} blocks hold arguments and results of calls: give results back (\`using\`); `
    return new RpcError(code, `${sentence}: ${held}${this.remedy}`)
  }
}
