import { RpcError } from '../base/errors.js'
import type { Address } from '../base/numbers.js'
import { attachHeader } from '../layout/header.js'
import {
  CLASS_BYTES, HEAP_FINGERPRINT, HEAP_KIND, type HeapGeometry, heapGeometry, KIND_CHUNK, KIND_CONTINUED, KIND_LARGE,
  MEMBER_MASK, REMOTE_FREED, type SpanGeometry, spanGeometry,
} from '../layout/heap-layout.js'
import type { Allocator } from './allocator.js'
import { Region, type RegionSpace } from './region.js'
import { Bin, FULL } from './bin.js'
import { type BlockCache, SpanTable } from './span-table.js'
import { entryKind, makeEntry, SpanDirectory } from './span-directory.js'

/** Full spans looked at for remote frees before a new span is claimed: bounds the slow path of an allocation. */
const COLLECT_STEP = 32

// Smallest class for every size, by steps of 16 bytes.
const classBySixteenth = new Uint8Array((CLASS_BYTES.at(-1)! >>> 4) + 1)
for (let step = 0, index = 0; step < classBySixteenth.length; step++) {
  while (CLASS_BYTES[index]! < step * 16) index++
  classBySixteenth[step] = index
}
const spanGeometries = new Map<number, readonly SpanGeometry[]>()

function geometriesOf(spanBytes: number): readonly SpanGeometry[] {
  let list = spanGeometries.get(spanBytes)
  if (list === undefined) {
    list = CLASS_BYTES.filter((bytes) => bytes <= spanBytes >>> 3).map((bytes) => spanGeometry(spanBytes, bytes))
    spanGeometries.set(spanBytes, list)
  }
  return list
}

export interface HeapStats {
  /** Bytes of the spans that this member owns. */
  readonly ownedBytes: number
  /** Bytes of the blocks that are live in them. */
  readonly liveBytes: number
  readonly liveBlocks: number
  /** Remote frees that named no live block: double frees by others, or lies. */
  readonly refusedFrees: number
  /** Bytes of spans nobody owns. */
  readonly freeBytes: number
}

/**
 * One member's allocator over one heap. A member is one isolate's attachment, numbered by the daemon; every member owns
 * whole spans and decides about them from private memory. There is no lock: a span is claimed and adopted by one
 * compare-and-swap, a foreign block is freed by one atomic OR.
 */
export class Heap implements Allocator {
  readonly region: Region
  readonly geometry: HeapGeometry
  readonly #words: Int32Array
  readonly #directory: SpanDirectory
  readonly #table: SpanTable
  /** Span index → slot in the table; 0 = not ours. */
  readonly #slots: Int32Array
  readonly #bins: readonly Bin[]
  readonly #chunkBins: readonly Bin[]
  /** Own large blocks: first span → spans in the run. */
  readonly #large = new Map<number, number>()
  readonly #dead = new Set<number>()
  readonly #spanWordShift: number
  #refused = 0

  /**
   * Attaches to the heap in `buffer`, as the given member. The buffer stays its owner's.
   * @throws RpcError FAILED_PRECONDITION when the heap is laid out in another way.
   */
  constructor(buffer: ArrayBuffer, address: Address, readonly member: number, space: RegionSpace | null = null) {
    this.geometry = heapGeometry(buffer.byteLength)
    this.region = new Region(buffer, address, space)
    this.#words = this.region.i32
    attachHeader(this.#words, { kind: HEAP_KIND, fingerprint: HEAP_FINGERPRINT, geometry: this.geometry.spanShift }, 'heap')
    this.#directory = new SpanDirectory(this.#words, this.geometry)
    this.#spanWordShift = this.geometry.spanShift - 2
    this.#table = new SpanTable(this.#words)
    this.#slots = new Int32Array(this.geometry.spanCount)
    const classes = geometriesOf(this.geometry.spanBytes)
    this.#bins = classes.map((_, index) => new Bin(index + 1, index, this.#table))
    this.#chunkBins = classes.map((_, index) => new Bin(index + 1 + KIND_CHUNK, index, this.#table))
  }

  owns(region: Region): boolean {
    return region === this.region
  }

  allocate(byteLength: number): number {
    if (byteLength > this.geometry.smallMax) return this.#allocateLarge(byteLength)
    const bin = this.#bins[classBySixteenth[(byteLength + 15) >>> 4]!]!
    return bin.cache.used > 0 ? this.#table.takeCached(bin.cache) : this.#allocateSlow(bin)
  }

  /**
   * A block for a call's scope: objects are laid in it one after the other and are not freed one by one; `free` of an
   * object inside it does nothing.
   */
  allocateChunk(byteLength: number): number {
    if (byteLength > this.geometry.smallMax) return this.#allocateLarge(byteLength)
    const bin = this.#chunkBins[classBySixteenth[(byteLength + 15) >>> 4]!]!
    return bin.cache.used > 0 ? this.#table.takeCached(bin.cache) : this.#allocateSlow(bin)
  }

  #allocateSlow(bin: Bin): number {
    const word = bin.current === 0 ? -1 : this.#table.take(bin.current)
    return word >= 0 ? word : this.#table.take(this.#refill(bin))
  }

  /** Bytes that the block of an allocation of this size really has. */
  usableBytes(byteLength: number): number {
    return byteLength > this.geometry.smallMax
      ? Math.ceil(byteLength / this.geometry.spanBytes) * this.geometry.spanBytes
      : CLASS_BYTES[classBySixteenth[(byteLength + 15) >>> 4]!]!
  }

  free(_region: Region, word: number): void {
    const index = word >>> this.#spanWordShift
    const slot = this.#slots[index]
    if (slot === undefined || slot === 0) this.#freeElsewhere(word, index)
    else if (!this.#give(slot, word) && this.#table.kind(slot) < KIND_CHUNK) throw this.#badFree(word)
  }

  /** Frees a chunk taken by {@link allocateChunk}, by this member or by another. */
  freeChunk(word: number): void {
    const index = word >>> this.#spanWordShift
    const slot = this.#slots[index]
    if (slot === undefined || slot === 0) this.#freeElsewhere(word, index)
    else if (!this.#give(slot, word)) throw this.#badFree(word)
  }

  /** The daemon has seen a member die: its spans are adopted when memory is next needed. */
  memberDied(member: number): void {
    if (member !== this.member) this.#dead.add(member)
  }

  /** After a restart of the daemon: every member that is not listed has gone. */
  onlyLiving(living: ReadonlySet<number>): void {
    for (const member of this.#directory.owners()) if (!living.has(member)) this.memberDied(member)
  }

  /** Takes back everything that others freed and returns empty spans. */
  collect(): void {
    this.#adoptDead()
    for (const bin of [...this.#bins, ...this.#chunkBins]) {
      this.#flush(bin.cache, bin.cache.used)
      for (const slot of bin.all()) this.#collectSpan(slot)
      this.#settle(bin)
    }
    for (const head of this.#large.keys()) this.#collectLarge(head)
  }

  stats(): HeapStats {
    let ownedBytes = 0
    let liveBytes = 0
    let liveBlocks = 0
    for (const slot of this.#slots) {
      if (slot === 0) continue
      ownedBytes += this.geometry.spanBytes
      liveBytes += this.#table.live(slot) * this.#table.blockBytes(slot)
      liveBlocks += this.#table.live(slot)
    }
    for (const count of this.#large.values()) {
      ownedBytes += count * this.geometry.spanBytes
      liveBytes += count * this.geometry.spanBytes
      liveBlocks++
    }
    for (const { cache } of [...this.#bins, ...this.#chunkBins]) {
      for (let at = 0; at < cache.used; at += 4) {
        liveBytes -= this.#table.blockBytes(this.#slots[cache.entries[at]! >>> this.#spanWordShift]!)
        liveBlocks--
      }
    }
    const freeBytes = this.#directory.countFree() * this.geometry.spanBytes
    return { ownedBytes, liveBytes, liveBlocks, refusedFrees: this.#refused, freeBytes }
  }

  #give(slot: number, word: number): boolean {
    const cache = this.#binOf(slot).cache
    if (cache.used === cache.entries.length) this.#flush(cache, cache.used >>> 1)
    return this.#table.giveCached(slot, word, cache)
  }

  /** Returns the oldest cached blocks, `words` words of entries, to their spans. */
  #flush(cache: BlockCache, words: number): void {
    const { entries } = cache
    for (let at = 0; at < words; at += 4) {
      const slot = this.#slots[entries[at]! >>> this.#spanWordShift]!
      this.#table.uncache(slot, entries[at + 3]!)
      if (this.#table.list(slot) === FULL || this.#table.live(slot) === 0) this.#roomAppeared(slot)
    }
    entries.copyWithin(0, words, cache.used)
    cache.used -= words
  }

  #binOf(slot: number): Bin {
    const kind = this.#table.kind(slot)
    return kind > KIND_CHUNK ? this.#chunkBins[kind - KIND_CHUNK - 1]! : this.#bins[kind - 1]!
  }

  #roomAppeared(slot: number): void {
    const bin = this.#binOf(slot)
    if (bin.current === slot) return
    if (this.#table.live(slot) === 0 && bin.hasPartial) this.#release(slot)
    else bin.addPartial(slot)
  }

  /** Gives an empty span back to everybody. */
  #release(slot: number): void {
    const index = this.#table.span(slot)
    const kind = this.#table.kind(slot)
    this.#binOf(slot).remove(slot)
    this.#slots[index] = 0
    this.#table.remove(slot)
    this.#directory.release(index, makeEntry(this.member, kind))
  }

  #refill(bin: Bin): number {
    bin.retireCurrent()
    let slot = bin.takePartial()
    for (let step = Math.min(COLLECT_STEP, bin.fullCount); step > 0 && slot === 0; step--) {
      this.#collectSpan(bin.nextFull())
      slot = bin.takePartial()
    }
    if (slot === 0 && this.#dead.size > 0) {
      this.#adoptDead()
      slot = bin.takePartial()
    }
    if (slot === 0) slot = this.#claim(bin)
    if (slot === 0) {
      this.collect()
      slot = bin.takePartial()
      if (slot === 0) slot = this.#claim(bin)
    }
    if (slot === 0) throw this.#full(CLASS_BYTES[bin.classIndex]!)
    bin.current = slot
    return slot
  }

  #claim(bin: Bin): number {
    const index = this.#directory.claim(1, makeEntry(this.member, bin.kind), 0)
    if (index < 0) return 0
    const slot = this.#addSpan(index, bin.kind)
    this.#table.clearShared(slot)
    this.#directory.setAux(index, 0)
    return slot
  }

  #addSpan(index: number, kind: number): number {
    const geometry = geometriesOf(this.geometry.spanBytes)[(kind & (KIND_CHUNK - 1)) - 1]!
    const slot = this.#table.add(index, kind, index << this.#spanWordShift, geometry)
    this.#slots[index] = slot
    return slot
  }

  #collectSpan(slot: number): void {
    if (!this.#directory.takeAux(this.#table.span(slot))) return
    this.#refused += this.#table.collect(slot)
    if (this.#table.hasRoom(slot)) this.#roomAppeared(slot)
  }

  /** Empty spans of a bin go back, the current one too. */
  #settle(bin: Bin): void {
    for (const slot of bin.all()) if (this.#table.live(slot) === 0) this.#release(slot)
  }

  #allocateLarge(byteLength: number): number {
    const count = Math.ceil(byteLength / this.geometry.spanBytes)
    const entry = makeEntry(this.member, KIND_LARGE)
    let head = count > this.geometry.spanCount ? -1 : this.#directory.claim(count, entry, makeEntry(this.member, KIND_CONTINUED))
    if (head < 0) {
      this.collect()
      head = this.#directory.claim(count, entry, makeEntry(this.member, KIND_CONTINUED))
    }
    if (head < 0) throw this.#full(byteLength)
    this.#directory.setAux(head, count)
    this.#large.set(head, count)
    return head << this.#spanWordShift
  }

  #releaseLarge(head: number, count: number): void {
    this.#large.delete(head)
    this.#directory.releaseRun(head, count)
  }

  #collectLarge(head: number): void {
    const count = this.#large.get(head)
    if (count !== undefined && (this.#directory.entry(head) & REMOTE_FREED) !== 0) this.#releaseLarge(head, count)
  }

  /** Frees a large block, or a block of another member's span. */
  #freeElsewhere(word: number, index: number): void {
    const atStart = index << this.#spanWordShift === word
    const own = this.#large.get(index)
    if (own !== undefined && atStart) {
      this.#releaseLarge(index, own)
      return
    }
    if (index < this.geometry.firstSpan || index >= this.geometry.spanCount) throw this.#badFree(word)
    const entry = this.#directory.entry(index)
    const owner = entry & MEMBER_MASK
    if (owner === 0 || owner === this.member) throw this.#badFree(word)
    if (this.#dead.has(owner)) {
      this.#adoptDead()
      if (this.#slots[index] !== 0 || this.#large.has(index)) {
        this.free(this.region, word)
        return
      }
    }
    const kind = entryKind(entry)
    if (kind === KIND_LARGE) {
      if (!atStart || !this.#directory.markFreed(index)) throw this.#badFree(word)
      return
    }
    const classIndex = (kind & (KIND_CHUNK - 1)) - 1
    const geometry = geometriesOf(this.geometry.spanBytes)[classIndex]
    if (geometry === undefined) throw this.#badFree(word)
    this.#freeRemotely(word, index, geometry, kind)
  }

  #freeRemotely(word: number, index: number, geometry: SpanGeometry, kind: number): void {
    const start = index << this.#spanWordShift
    const distance = word - start - geometry.firstBlock
    const block = Math.floor(distance / geometry.blockWords)
    if (distance < 0 || block >= geometry.blockCount || block * geometry.blockWords !== distance) {
      if (kind > KIND_CHUNK && distance >= 0) return
      throw this.#badFree(word)
    }
    const bit = 1 << (block & 31)
    const at = start + (block >>> 5)
    if ((Atomics.load(this.#words, at) & bit) === 0) throw this.#badFree(word)
    // Pairs with the exchange in Span.collect: the old value tells whether somebody has freed it before us.
    if ((Atomics.or(this.#words, at + geometry.bitWords, bit) & bit) !== 0) throw this.#badFree(word)
    this.#directory.setAux(index, 1)
  }

  #adoptDead(): void {
    for (const member of this.#dead) {
      for (const { index, kind, count } of this.#directory.adopt(member, this.member)) {
        if (kind === KIND_LARGE) {
          this.#large.set(index, count)
          continue
        }
        const slot = this.#addSpan(index, kind)
        this.#table.adopt(slot)
        this.#refused += this.#table.collect(slot)
        if (this.#table.hasRoom(slot)) this.#roomAppeared(slot)
        else this.#binOf(slot).addFull(slot)
      }
    }
    this.#dead.clear()
  }

  #badFree(word: number): RpcError {
    return new RpcError('INVALID_ARGUMENT',
      `free of 0x${this.region.addressOf(word).toString(16)}, which is not the start of a live block: freed before, ` +
      `inside another object, or never allocated here`)
  }

  #full(byteLength: number): RpcError {
    return new RpcError('RESOURCE_EXHAUSTED',
      `no room for ${byteLength} bytes in a heap of ${this.#words.length * 4}: free what is no longer needed, ` +
      `grow the connection, or ask for a larger heap when connecting`)
  }
}
