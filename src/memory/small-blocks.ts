import { CLASS_BYTES, Directory, Entry, type HeapGeometry, Kind } from '../layout/heap-layout.js'
import { Bin } from './bin.js'
import { makeEntry, type SpanDirectory } from './span-directory.js'

/** Spans looked at for remote frees before a new span is claimed: bounds the slow path of an allocation. */
const COLLECT_STEP = 32
/** Empty spans of a class that are kept, so that a class which swings around a span's edge does not claim it each time. */
const EMPTIES_KEPT = 1
const STACK_WORDS_MIN = 128
/** Magic numbers have this many bits behind the point. */
const MAGIC_SHIFT = 20

/*
 * What a member knows, privately, of its small blocks: one table, because every further array costs each allocation and
 * free the checks of its own. In words:
 *
 *   [kind]           words in use of the kind's stack of free blocks
 *   [128 + kind]     magic number: multiplying a distance in units of 16 bytes by it and shifting divides by the block size,
 *                    exactly for multiples; what is no multiple is refused whatever comes out
 *   [256 + kind]     words of a block
 *   [384 …]          bits, laid out as the shared rows: set while the block is live
 *   [behind them]    a word a span: kind (0 = not ours) | live blocks << 7, where a bin's fresh span counts one more
 *
 * An entry of a stack is two words: the block's word in the heap, and the position of its bit in this table.
 */
const MAGIC = 128
const BLOCK_WORDS = 256
const BITS = 384
const ENTRY_WORDS = 2
const ONE_LIVE = 128
const KIND_OF = 127
// Of this module, because reading what another exports costs a check each time.
const FIRST_AUX = Directory.WORD + 1

/**
 * The small spans of one member and their blocks. Truth is private: a bit per block says whether it is live, a stack per
 * kind holds the free ones. The shared bits are written for others (remote frees, adoption after our death) from the
 * private ones and never read back as truth.
 */
export class SmallBlocks {
  /** By kind; undefined where the kind is no size class of this heap. */
  readonly bins: readonly (Bin | undefined)[]
  /** Remote frees that named no live block. */
  refused = 0
  readonly #table: Int32Array
  /** By kind: the free blocks, latest freed on top. */
  readonly #stacks: Int32Array[]
  /** Place of an owned span in its bin's list. */
  readonly #places: Int32Array
  readonly #words: Int32Array
  /** From a word of bits in the table to the same word of the shared allocated and freed rows. */
  readonly #toAllocated: number
  readonly #toFreed: number
  readonly #rowWords: number
  /** Where the table's words of the spans begin. */
  readonly #spans: number
  readonly #spanWordShift: number

  /** @param kinds kind of what the member owns in each span; kept up to date here for small spans. */
  constructor(
    readonly directory: SpanDirectory, readonly geometry: HeapGeometry, readonly kinds: Uint8Array, readonly member: number,
  ) {
    const { spanCount, rowWords } = geometry
    this.#words = directory.words
    this.#toAllocated = geometry.allocatedWord - BITS
    this.#toFreed = geometry.freedWord - BITS
    this.#rowWords = rowWords
    this.#spans = BITS + spanCount * rowWords
    this.#spanWordShift = geometry.spanShift - 2
    this.#table = new Int32Array(this.#spans + spanCount)
    this.#places = new Int32Array(spanCount)
    const none = new Int32Array(0)
    this.#stacks = Array.from({ length: Entry.KIND_MASK + 1 }, () => none)
    const bins: (Bin | undefined)[] = Array.from({ length: Entry.KIND_MASK + 1 }, () => undefined)
    for (const [index, bytes] of CLASS_BYTES.entries()) {
      if (bytes > geometry.smallMax) break
      for (const kind of [index + 1, index + 1 + Kind.CHUNK]) {
        bins[kind] = new Bin(kind, bytes, geometry.spanBytes)
        this.#stacks[kind] = new Int32Array(STACK_WORDS_MIN)
        this.#table[MAGIC + kind] = Math.ceil((1 << MAGIC_SHIFT) / (bytes >>> 4))
        this.#table[BLOCK_WORDS + kind] = bytes >>> 2
      }
    }
    this.bins = bins
  }

  /** The block of a kind that was freed last; -1 when the kind's stack is empty. */
  take(kind: number): number {
    const table = this.#table
    const top = table[kind]! - ENTRY_WORDS
    if (top < 0) return -1
    table[kind] = top
    const stack = this.#stacks[kind]!
    const word = stack[top]!
    const position = stack[top + 1]!
    const at = position >>> 5
    const row = table[at]! | (1 << position)
    table[at] = row
    this.#words[this.#toAllocated + at] = row
    const span = this.#spans + (word >>> this.#spanWordShift)
    const state = table[span]!
    table[span] = state + ONE_LIVE
    if (state < ONE_LIVE) this.bins[kind]!.empties--
    return word
  }

  /**
   * A block of a kind, from wherever there is one; -1 when there is neither a remote free, within a few spans, nor a free
   * span.
   */
  takeSlowly(kind: number): number {
    const bin = this.bins[kind]!
    const word = this.take(kind)
    if (word >= 0) return word
    if (bin.freshLeft > 0) return this.#takeFresh(bin)
    this.#collectSome(bin)
    if (this.#table[kind]! > 0) return this.take(kind)
    const span = this.directory.claim(1, makeEntry(this.member, kind), 0)
    if (span < 0) return -1
    this.#start(bin, span)
    return this.#takeFresh(bin)
  }

  /** Kind of an owned small span, 0 for any other: also for one that does not exist. */
  kindOf(span: number): number {
    return this.#table[this.#spans + span]! & KIND_OF
  }

  /**
   * Takes back the live block that starts at a word of an owned span of a kind. False when there is none.
   * Kept short, with what is rare in other methods, because V8 inlines only some 450 bytes of bytecode.
   */
  give(kind: number, span: number, word: number): boolean {
    const table = this.#table
    const words = this.#words
    const distance = word - (span << this.#spanWordShift)
    const block = Math.imul(distance >>> 2, table[MAGIC + kind]!) >>> MAGIC_SHIFT
    if (Math.imul(block, table[BLOCK_WORDS + kind]!) !== distance) return false
    const at = BITS + span * this.#rowWords + (block >>> 5)
    const row = table[at]! & ~(1 << block)
    if (row === table[at]) return false
    // Plain reads, here and there: Atomics.load is a call of some 8 ns.
    if (words[FIRST_AUX + span * 2] !== 0 && this.#isFreedRemotely(at, 1 << block)) return false
    table[at] = row
    words[this.#toAllocated + at] = row
    this.#push(kind, word, (at << 5) | (block & 31))
    if ((table[this.#spans + span]! -= ONE_LIVE) < ONE_LIVE) this.#emptied(this.bins[kind]!)
    return true
  }

  /** A block that another member has freed already would be taken back twice; the next collection finds it. */
  #isFreedRemotely(at: number, bit: number): boolean {
    return (this.#words[this.#toFreed + at]! & bit) !== 0
  }

  /** Frees a block of another member's span: its owner finds the bit. False when it starts no live block. */
  giveRemotely(kind: number, span: number, word: number): boolean {
    const distance = word - (span << this.#spanWordShift)
    const block = Math.imul(distance >>> 2, this.#table[MAGIC + kind]!) >>> MAGIC_SHIFT
    if (Math.imul(block, this.#table[BLOCK_WORDS + kind]!) !== distance) return false
    const at = BITS + span * this.#rowWords + (block >>> 5)
    const bit = 1 << block
    if ((Atomics.load(this.#words, this.#toAllocated + at) & bit) === 0) return false
    // Pairs with the exchange in collectSpan: the old value tells whether somebody has freed it before us.
    if ((Atomics.or(this.#words, this.#toFreed + at, bit) & bit) !== 0) return false
    this.directory.raiseAux(span)
    return true
  }

  /** Takes back all that others freed of a kind and returns all its empty spans. */
  collect(bin: Bin): void {
    for (const span of bin.spans.slice()) if (this.kinds[span] === bin.kind) this.#collectSpan(bin, span)
    const fresh = bin.freshSpan
    if (bin.freshLeft > 0 && this.#live(fresh) === 1) {
      bin.freshLeft = 0
      this.#table[this.#spans + fresh] = bin.kind
      bin.empties++
      this.#trim(bin)
      // When nothing of it was handed out yet, the stack did not name it.
      if (this.kindOf(fresh) === bin.kind && this.#live(fresh) === 0) this.#release(bin, fresh)
    }
    this.#trim(bin)
    this.#shrink(bin.kind)
  }

  /**
   * Rebuilds the private state of a span of a dead member, whose entry is ours now, from the shared bits.
   * @param drops frees all blocks in it.
   */
  adopt(kind: number, span: number, drops: boolean): void {
    const bin = this.bins[kind]!
    const first = BITS + span * this.#rowWords
    this.#enter(bin, span)
    for (let block = bin.blockCount - 1; block >= 0; block--) {
      const at = first + (block >>> 5)
      if (drops || (this.#words[this.#toAllocated + at]! & (1 << block)) === 0) {
        this.#push(kind, (span << this.#spanWordShift) + block * bin.blockWords, (at << 5) | (block & 31))
      } else {
        this.#table[at]! |= 1 << block
        this.#table[this.#spans + span]! += ONE_LIVE
      }
    }
    // Whatever a peer writes from here on, the private bits decide.
    for (let at = first; at < first + this.#rowWords; at++) {
      this.#words[this.#toAllocated + at] = this.#table[at]!
      if (drops) this.#words[this.#toFreed + at] = 0
    }
    if (this.#live(span) === 0) {
      this.#emptied(bin)
      return
    }
    this.directory.raiseAux(span)
    this.#collectSpan(bin, span)
  }

  /** Live blocks of an owned small span. */
  liveBlocks(bin: Bin, span: number): number {
    return this.#live(span) - (bin.freshLeft > 0 && bin.freshSpan === span ? 1 : 0)
  }

  #live(span: number): number {
    return this.#table[this.#spans + span]! >>> 7
  }

  #takeFresh(bin: Bin): number {
    const word = bin.freshWord
    const position = bin.freshPosition
    const at = position >>> 5
    bin.freshWord = word + bin.blockWords
    bin.freshPosition = position + 1
    const row = this.#table[at]! | (1 << position)
    this.#table[at] = row
    this.#words[this.#toAllocated + at] = row
    // With its last block a span stops being fresh: that block takes over the extra count.
    if (--bin.freshLeft > 0) this.#table[this.#spans + bin.freshSpan]! += ONE_LIVE
    return word
  }

  #start(bin: Bin, span: number): void {
    const first = BITS + span * this.#rowWords
    this.#words.fill(0, this.#toAllocated + first, this.#toAllocated + first + this.#rowWords)
    this.#words.fill(0, this.#toFreed + first, this.#toFreed + first + this.#rowWords)
    this.directory.setAux(span, 0)
    this.#enter(bin, span)
    this.#table[this.#spans + span]! += ONE_LIVE
    bin.freshSpan = span
    bin.freshWord = span << this.#spanWordShift
    bin.freshPosition = first << 5
    bin.freshLeft = bin.blockCount
  }

  #enter(bin: Bin, span: number): void {
    this.kinds[span] = bin.kind
    this.#table[this.#spans + span] = bin.kind
    this.#places[span] = bin.spans.push(span) - 1
  }

  #push(kind: number, word: number, position: number): void {
    const used = this.#table[kind]!
    const stack = this.#stacks[kind]!
    if (used === stack.length) {
      this.#grow(kind)
      this.#push(kind, word, position)
      return
    }
    stack[used] = word
    stack[used + 1] = position
    this.#table[kind] = used + ENTRY_WORDS
  }

  #grow(kind: number): void {
    const stack = this.#stacks[kind]!
    this.#stacks[kind] = new Int32Array(stack.length * 2)
    this.#stacks[kind].set(stack)
  }

  /** Gives back the memory of a stack that a peak has left. */
  #shrink(kind: number): void {
    const used = this.#table[kind]!
    const stack = this.#stacks[kind]!
    if (stack.length > STACK_WORDS_MIN && used * 4 < stack.length) {
      this.#stacks[kind] = new Int32Array(Math.max(STACK_WORDS_MIN, used * 2))
      this.#stacks[kind].set(stack.subarray(0, used))
    }
  }

  #collectSome(bin: Bin): void {
    for (let step = Math.min(COLLECT_STEP, bin.spans.length); step > 0; step--) {
      if (this.#table[bin.kind]! > 0 || bin.spans.length === 0) return
      this.#collectSpan(bin, bin.nextSpan())
    }
  }

  /** A bit for a block that is not live is a peer's lie or a double free: it is ignored and counted. */
  #collectSpan(bin: Bin, span: number): void {
    if (!this.directory.takeAux(span)) return
    const table = this.#table
    const first = BITS + span * this.#rowWords
    let freed = 0
    for (let at = first; at < first + this.#rowWords; at++) {
      if (this.#words[this.#toFreed + at] === 0) continue
      // Pairs with the atomic OR of the remote free.
      let row = Atomics.exchange(this.#words, this.#toFreed + at, 0)
      while (row !== 0) {
        const bit = row & -row
        row &= ~bit
        if ((table[at]! & bit) === 0) {
          this.refused++
          continue
        }
        table[at]! &= ~bit
        const block = ((at - first) << 5) + 31 - Math.clz32(bit)
        this.#push(bin.kind, (span << this.#spanWordShift) + block * bin.blockWords, (at << 5) | (block & 31))
        freed++
      }
      this.#words[this.#toAllocated + at] = table[at]!
    }
    table[this.#spans + span]! -= freed * ONE_LIVE
    if (freed > 0 && this.#live(span) === 0) this.#emptied(bin)
  }

  #emptied(bin: Bin): void {
    bin.empties++
    // Trimming walks the stack; it pays when half of what lies there goes.
    if (bin.empties <= EMPTIES_KEPT || bin.empties * bin.blockCount * ENTRY_WORDS * 2 < this.#table[bin.kind]!) return
    this.#trim(bin)
  }

  /** Gives the empty spans back to everybody, and takes their blocks off the stack. */
  #trim(bin: Bin): void {
    if (bin.empties === 0) return
    const { kind } = bin
    const stack = this.#stacks[kind]!
    const used = this.#table[kind]!
    let kept = 0
    for (let from = 0; from < used; from += ENTRY_WORDS) {
      const span = stack[from]! >>> this.#spanWordShift
      if (this.#live(span) === 0) {
        if (this.kindOf(span) === kind) this.#release(bin, span)
        continue
      }
      stack[kept] = stack[from]!
      stack[kept + 1] = stack[from + 1]!
      kept += ENTRY_WORDS
    }
    this.#table[kind] = kept
  }

  #release(bin: Bin, span: number): void {
    const last = bin.spans.pop()!
    if (last !== span) {
      bin.spans[this.#places[span]!] = last
      this.#places[last] = this.#places[span]!
    }
    bin.empties--
    this.kinds[span] = 0
    this.#table[this.#spans + span] = 0
    this.directory.setAux(span, 0)
    this.directory.release(span, makeEntry(this.member, bin.kind))
  }
}
