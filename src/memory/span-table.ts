import { type SpanGeometry } from '../layout/heap-layout.js'

/*
 * What a process knows, privately, of the small spans that it owns, packed so that one allocation or free touches one line
 * of it. A slot is one owned span:
 *
 *   +0  f64 1 / words of a block, a little up: multiplying and truncating divides exactly for every offset in a span
 *   +8  i32 first block (word of the heap)     +12 i32 words of a block
 *   +16 i32 blocks                             +20 i32 free list: index of its first block, or -1
 *   +24 i32 blocks never handed out begin here +28 i32 live blocks
 *   +32 i32 position in the table of links     +36 i32 first word of the span
 *   +40 i32 kind                               +44 i32 span index
 *   +48 i32 list (0 none, 1 partial, 2 full)   +52 i32 position in that list
 *   +56 i32 words of one shared bitmap
 *
 * The links: one u16 a block: the next free block, LIVE, or CACHED (freed, waiting in its bin's cache for the next
 * allocation; the span still counts it as live). So one word says whether a block is live and links it.
 */
const SLOT_WORDS = 16
const SLOT_SHIFT = 4
const FIRST = 2
const BLOCK_WORDS = 3
const BLOCKS = 4
const FREE = 5
const FRESH = 6
const LIVE_COUNT = 7
const LINKS = 8
const START = 9
const KIND = 10
const SPAN = 11
export const LIST = 12
export const POSITION = 13
const BIT_WORDS = 14

const LIVE = 0xffff
const CACHED = 0xfffe
const END = 0xfffd

/** Freed blocks a bin keeps at hand: enough that random frees over many spans seldom touch the spans' lists. */
const CACHE_BLOCKS = 64
const CACHE_WORDS = CACHE_BLOCKS * 4

/** The freed blocks of one bin, latest last, as (word in the heap, link, shared word of its bit, block) each. */
export class BlockCache {
  readonly entries = new Int32Array(CACHE_WORDS)
  used = 0
}

/** The shared bitmaps are written for others (remote frees, adoption after our death) and never read back as truth. */
export class SpanTable {
  meta: Int32Array
  #reciprocals: Float64Array
  #links: Uint16Array
  #linksUsed = 0
  #slotsUsed = 1
  readonly #unused = new Map<number, number[]>()

  constructor(readonly words: Int32Array) {
    const buffer = new ArrayBuffer(64 * SLOT_WORDS * 4)
    this.meta = new Int32Array(buffer)
    this.#reciprocals = new Float64Array(buffer)
    this.#links = new Uint16Array(8192)
  }

  /** A slot (never 0) for a span that was just claimed, all blocks free. */
  add(span: number, kind: number, start: number, geometry: SpanGeometry): number {
    const slot = this.#unused.get(geometry.blockWords)?.pop() ?? this.#newSlot(geometry)
    const at = slot << SLOT_SHIFT
    const { meta } = this
    this.#reciprocals[at >>> 1] = 1 / geometry.blockWords + 1e-12
    meta[at + FIRST] = start + geometry.firstBlock
    meta[at + BLOCK_WORDS] = geometry.blockWords
    meta[at + BLOCKS] = geometry.blockCount
    meta[at + FREE] = END
    meta[at + FRESH] = 0
    meta[at + LIVE_COUNT] = 0
    meta[at + START] = start
    meta[at + KIND] = kind
    meta[at + SPAN] = span
    meta[at + LIST] = 0
    meta[at + BIT_WORDS] = geometry.bitWords
    return slot
  }

  remove(slot: number): void {
    const blockWords = this.meta[(slot << SLOT_SHIFT) + BLOCK_WORDS]!
    const list = this.#unused.get(blockWords)
    if (list === undefined) this.#unused.set(blockWords, [slot])
    else list.push(slot)
  }

  /** Takes a block. @returns its word in the heap, or -1 when the span is full. */
  take(slot: number): number {
    const meta = this.meta
    const at = slot << SLOT_SHIFT
    const links = this.#links
    let block = meta[at + FREE]!
    if (block !== END) {
      meta[at + FREE] = links[meta[at + LINKS]! + block]!
    } else {
      block = meta[at + FRESH]!
      if (block >= meta[at + BLOCKS]!) return -1
      meta[at + FRESH] = block + 1
    }
    links[meta[at + LINKS]! + block] = LIVE
    meta[at + LIVE_COUNT]!++
    this.words[meta[at + START]! + (block >>> 5)]! |= 1 << (block & 31)
    return meta[at + FIRST]! + block * meta[at + BLOCK_WORDS]!
  }

  /** Takes the latest freed block of a cache that is not empty. */
  takeCached(cache: BlockCache): number {
    const entries = cache.entries
    const at = (cache.used -= 4)
    this.#links[entries[at + 1]!] = LIVE
    this.words[entries[at + 2]!]! |= 1 << (entries[at + 3]! & 31)
    return entries[at]!
  }

  /**
   * Moves the live block that starts at a word to a cache that has room. False when there is none: freed before, interior,
   * or no block.
   */
  giveCached(slot: number, word: number, cache: BlockCache): boolean {
    const meta = this.meta
    const at = slot << SLOT_SHIFT
    const distance = word - meta[at + FIRST]!
    const block = (distance * this.#reciprocals[at >>> 1]!) | 0
    if (distance < 0 || block >= meta[at + FRESH]! || block * meta[at + BLOCK_WORDS]! !== distance) return false
    const link = meta[at + LINKS]! + block
    if (this.#links[link] !== LIVE) return false
    this.#links[link] = CACHED
    const bitWord = meta[at + START]! + (block >>> 5)
    this.words[bitWord]! &= ~(1 << (block & 31))
    const entries = cache.entries
    const used = cache.used
    entries[used] = word
    entries[used + 1] = link
    entries[used + 2] = bitWord
    entries[used + 3] = block
    cache.used = used + 4
    return true
  }

  /** Returns a cached block to its span's free list. */
  uncache(slot: number, block: number): void {
    const at = slot << SLOT_SHIFT
    this.#links[this.meta[at + LINKS]! + block] = LIVE
    this.#giveBlock(at, block)
  }

  #giveBlock(at: number, block: number): boolean {
    const meta = this.meta
    const links = this.#links
    const link = meta[at + LINKS]! + block
    if (block >= meta[at + FRESH]! || links[link] !== LIVE) return false
    links[link] = meta[at + FREE]!
    meta[at + FREE] = block
    meta[at + LIVE_COUNT]!--
    this.words[meta[at + START]! + (block >>> 5)]! &= ~(1 << (block & 31))
    return true
  }

  live(slot: number): number {
    return this.meta[(slot << SLOT_SHIFT) + LIVE_COUNT]!
  }

  hasRoom(slot: number): boolean {
    const at = slot << SLOT_SHIFT
    return this.meta[at + FREE] !== END || this.meta[at + FRESH]! < this.meta[at + BLOCKS]!
  }

  kind(slot: number): number {
    return this.meta[(slot << SLOT_SHIFT) + KIND]!
  }

  span(slot: number): number {
    return this.meta[(slot << SLOT_SHIFT) + SPAN]!
  }

  blockBytes(slot: number): number {
    return this.meta[(slot << SLOT_SHIFT) + BLOCK_WORDS]! * 4
  }

  list(slot: number): number {
    return this.meta[(slot << SLOT_SHIFT) + LIST]!
  }

  position(slot: number): number {
    return this.meta[(slot << SLOT_SHIFT) + POSITION]!
  }

  place(slot: number, list: number, position: number): void {
    this.meta[(slot << SLOT_SHIFT) + LIST] = list
    this.meta[(slot << SLOT_SHIFT) + POSITION] = position
  }

  /** Empties the shared bitmaps of a span that was just claimed. */
  clearShared(slot: number): void {
    const at = slot << SLOT_SHIFT
    const start = this.meta[at + START]!
    this.words.fill(0, start, start + this.meta[at + BIT_WORDS]! * 2)
  }

  /**
   * Takes back the blocks that others have freed. A bit for a block that is not live is a peer's lie or a double free: it
   * is ignored and counted.
   * @returns how many bits were refused.
   */
  collect(slot: number): number {
    const at = slot << SLOT_SHIFT
    const bitWords = this.meta[at + BIT_WORDS]!
    const remote = this.meta[at + START]! + bitWords
    let refused = 0
    for (let i = 0; i < bitWords; i++) {
      if (this.words[remote + i] === 0) continue
      // Pairs with the atomic OR of the remote free.
      let freed = Atomics.exchange(this.words, remote + i, 0)
      while (freed !== 0) {
        const block = i * 32 + 31 - Math.clz32(freed & -freed)
        freed &= freed - 1
        if (block >= this.meta[at + BLOCKS]! || !this.#giveBlock(at, block)) refused++
      }
    }
    return refused
  }

  /** Rebuilds the private state from the shared bits, after adopting the span of a dead member. */
  adopt(slot: number): void {
    const { meta } = this
    const at = slot << SLOT_SHIFT
    const start = meta[at + START]!
    const blocks = meta[at + BLOCKS]!
    meta[at + FRESH] = blocks
    for (let i = 0; i < meta[at + BIT_WORDS]!; i++) {
      const bits = this.words[start + i]!
      for (let block = i * 32; block < Math.min(blocks, i * 32 + 32); block++) {
        this.#links[meta[at + LINKS]! + block] = LIVE
        meta[at + LIVE_COUNT]!++
        if ((bits & (1 << (block & 31))) === 0) this.#giveBlock(at, block)
      }
      // Whatever a lying peer changes from here on, the private links decide.
      this.words[start + i] = bits
    }
  }

  #newSlot(geometry: SpanGeometry): number {
    const slot = this.#slotsUsed++
    if (this.#slotsUsed << SLOT_SHIFT > this.meta.length) {
      const buffer = new ArrayBuffer(this.meta.byteLength * 2)
      const meta = new Int32Array(buffer)
      meta.set(this.meta)
      this.meta = meta
      this.#reciprocals = new Float64Array(buffer)
    }
    if (this.#linksUsed + geometry.blockCount > this.#links.length) {
      const links = new Uint16Array(Math.max(this.#links.length * 2, this.#linksUsed + geometry.blockCount))
      links.set(this.#links)
      this.#links = links
    }
    this.meta[(slot << SLOT_SHIFT) + LINKS] = this.#linksUsed
    this.#linksUsed += geometry.blockCount
    return slot
  }
}
