import { CLASS_BYTES, Directory, type HeapGeometry, Kind } from '../layout/heap-layout.js'
import { Bin } from './bin.js'
import { CEILING, emptyStacks, FLOOR, floorOf, heightOf, KINDS, withMoreRoom, withoutSpareRoom } from './free-stacks.js'
import { makeEntry, type SpanDirectory } from './span-directory.js'

/** Spans looked at for remote frees before a new span is claimed: bounds the slow path of an allocation. */
const COLLECT_STEP = 32
/** Empty spans of a class that are kept, so that a class which swings around a span's edge does not claim it each time. */
const EMPTIES_KEPT = 1
/** Words of the heap that share a word of bits, and those that share a bit, as shifts. */
const BITS_SHIFT = 7
const BIT_SHIFT = 2
/** No block starts at a word that has one of these bits. */
const WITHIN_STEP = 3

// The state of a span: kind (0 = not ours) | live blocks << 7, where a bin's fresh span counts one more.
const ONE_LIVE = 128
const KIND_OF = 127
// Of this module, because reading what another exports costs a check each time.
const FIRST_AUX = Directory.WORD + 1
const floor = FLOOR
const ceiling = CEILING

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
  /** The free blocks. */
  #stacks = emptyStacks()
  /** As the shared rows: set while a block that starts at the bit is live; behind them the state of each span. */
  readonly #bits: Int32Array
  /** Where in {@link #bits} the states begin. */
  readonly #states: number
  /** Place of an owned span in its bin's list. */
  readonly #places: Int32Array
  readonly #words: Int32Array
  /** Where in the heap the shared rows begin. */
  readonly #allocated: number
  readonly #freed: number
  readonly #rowWords: number
  readonly #spanWordShift: number

  /** @param kinds kind of what the member owns in each span; kept up to date here for small spans. */
  constructor(
    readonly directory: SpanDirectory, readonly geometry: HeapGeometry, readonly kinds: Uint8Array, readonly member: number,
  ) {
    const { spanCount, rowWords } = geometry
    this.#words = directory.words
    this.#allocated = geometry.allocatedWord
    this.#freed = geometry.freedWord
    this.#rowWords = rowWords
    this.#states = spanCount * rowWords
    this.#spanWordShift = geometry.spanShift - 2
    this.#bits = new Int32Array(this.#states + spanCount)
    this.#places = new Int32Array(spanCount)
    const bins: (Bin | undefined)[] = Array.from({ length: KINDS }, () => undefined)
    for (const [index, bytes] of CLASS_BYTES.entries()) {
      if (bytes > geometry.smallMax) break
      for (const kind of [index + 1, index + 1 + Kind.CHUNK]) bins[kind] = new Bin(kind, bytes, geometry.spanBytes)
    }
    this.bins = bins
  }

  /** The block of a kind that was freed last; -1 when the kind's stack is empty. */
  take(kind: number): number {
    const stacks = this.#stacks
    const top = stacks[kind]!
    const word = stacks[top]!
    if (word === floor) return -1
    stacks[kind] = (top - 1) | 0
    const bits = this.#bits
    const at = word >>> BITS_SHIFT
    const row = bits[at]! | (1 << (word >>> BIT_SHIFT))
    bits[at] = row
    this.#words[(this.#allocated + at) | 0] = row
    const span = (this.#states + (word >>> this.#spanWordShift)) | 0
    const state = bits[span]!
    bits[span] = (state + ONE_LIVE) | 0
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
    const collected = this.take(kind)
    if (collected >= 0) return collected
    const span = this.directory.claim(1, makeEntry(this.member, kind), 0)
    if (span < 0) return -1
    this.#start(bin, span)
    return this.#takeFresh(bin)
  }

  /** State of an owned small span, whose low bits {@link kindOf} are its kind; 0 for any other, also for one that does not exist. */
  stateOf(span: number): number {
    return this.#bits[(this.#states + span) | 0]! | 0
  }

  /** Kind of an owned small span, 0 for any other. */
  kindOf(span: number): number {
    return this.stateOf(span) & KIND_OF
  }

  /**
   * Takes back the live block that starts at a word of an owned span, whose state is given. False when there is none.
   * Kept short, with what is rare in other methods, because V8 inlines only some 450 bytes of bytecode.
   */
  give(state: number, span: number, word: number): boolean {
    const bits = this.#bits
    const words = this.#words
    const at = word >>> BITS_SHIFT
    const bit = 1 << (word >>> BIT_SHIFT)
    const before = bits[at]!
    const row = before & ~bit
    if (row === before || (word & WITHIN_STEP) !== 0) return false
    // Plain reads, here and there: Atomics.load is a call of some 8 ns.
    if (words[(FIRST_AUX + span * 2) | 0] !== 0 && this.#isFreedRemotely(at, bit)) return false
    const kind = state & KIND_OF
    const stacks = this.#stacks
    const top = (stacks[kind]! + 1) | 0
    if (stacks[top] === ceiling) {
      this.#makeRoom(kind)
      return this.give(state, span, word)
    }
    bits[at] = row
    words[(this.#allocated + at) | 0] = row
    stacks[top] = word
    stacks[kind] = top
    const left = (state - ONE_LIVE) | 0
    bits[(this.#states + span) | 0] = left
    if (left < ONE_LIVE) this.#emptied(this.bins[kind]!)
    return true
  }

  /** Whether a live block starts at a word of an owned span, and nobody has freed it. */
  isLive(word: number): boolean {
    const at = word >>> BITS_SHIFT
    const bit = 1 << (word >>> BIT_SHIFT)
    return (this.#bits[at]! & bit) !== 0 && (word & WITHIN_STEP) === 0 && !this.#isFreedRemotely(at, bit)
  }

  /** The same of anybody's span, as the shared bits say. */
  startsBlock(word: number): boolean {
    const at = word >>> BITS_SHIFT
    const bit = 1 << (word >>> BIT_SHIFT)
    return (this.#words[this.#allocated + at]! & bit) !== 0 && (word & WITHIN_STEP) === 0 && !this.#isFreedRemotely(at, bit)
  }

  /** A block that another member has freed already would be taken back twice; the next collection finds it. */
  #isFreedRemotely(at: number, bit: number): boolean {
    return (this.#words[this.#freed + at]! & bit) !== 0
  }

  /** Frees a block of another member's span: its owner finds the bit. False when it starts no live block. */
  giveRemotely(span: number, word: number): boolean {
    const at = word >>> BITS_SHIFT
    const bit = 1 << (word >>> BIT_SHIFT)
    if ((word & WITHIN_STEP) !== 0 || (Atomics.load(this.#words, this.#allocated + at) & bit) === 0) return false
    // Pairs with the exchange in collectSpan: the old value tells whether somebody has freed it before us.
    if ((Atomics.or(this.#words, this.#freed + at, bit) & bit) !== 0) return false
    this.directory.raiseAux(span)
    return true
  }

  /** Takes back all that others freed of a kind and returns all its empty spans. */
  collect(bin: Bin): void {
    for (const span of bin.spans.slice()) if (this.kinds[span] === bin.kind) this.#collectSpan(bin, span)
    const fresh = bin.freshSpan
    if (bin.freshLeft > 0 && this.#live(fresh) === 1) {
      bin.freshLeft = 0
      this.#bits[this.#states + fresh] = bin.kind
      bin.empties++
      this.#trim(bin)
      // When nothing of it was handed out yet, the stack did not name it.
      if (this.kindOf(fresh) === bin.kind && this.#live(fresh) === 0) this.#release(bin, fresh)
    }
    this.#trim(bin)
  }

  /**
   * Rebuilds the private state of a span of a dead member, whose entry is ours now, from the shared bits.
   * @param drops frees all blocks in it.
   */
  adopt(kind: number, span: number, drops: boolean): void {
    const bin = this.bins[kind]!
    this.#enter(bin, span)
    const bits = this.#bits
    const firstWord = span << this.#spanWordShift
    for (let word = firstWord + (bin.blockCount - 1) * bin.blockWords; word >= firstWord; word -= bin.blockWords) {
      const at = word >>> BITS_SHIFT
      const bit = 1 << (word >>> BIT_SHIFT)
      if (drops || (this.#words[this.#allocated + at]! & bit) === 0) {
        this.#push(kind, word)
      } else {
        bits[at]! |= bit
        bits[this.#states + span]! += ONE_LIVE
      }
    }
    // Whatever a peer writes from here on, the private bits decide.
    for (let at = span * this.#rowWords, end = at + this.#rowWords; at < end; at++) {
      this.#words[this.#allocated + at] = bits[at]!
      if (drops) this.#words[this.#freed + at] = 0
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
    return this.stateOf(span) >>> 7
  }

  #takeFresh(bin: Bin): number {
    const word = bin.freshWord
    const at = word >>> BITS_SHIFT
    bin.freshWord = word + bin.blockWords
    const row = this.#bits[at]! | (1 << (word >>> BIT_SHIFT))
    this.#bits[at] = row
    this.#words[this.#allocated + at] = row
    // With its last block a span stops being fresh: that block takes over the extra count.
    if (--bin.freshLeft > 0) this.#bits[this.#states + bin.freshSpan]! += ONE_LIVE
    return word
  }

  #start(bin: Bin, span: number): void {
    const first = span * this.#rowWords
    this.#words.fill(0, this.#allocated + first, this.#allocated + first + this.#rowWords)
    this.#words.fill(0, this.#freed + first, this.#freed + first + this.#rowWords)
    this.directory.setAux(span, 0)
    this.#enter(bin, span)
    this.#bits[this.#states + span]! += ONE_LIVE
    bin.freshSpan = span
    bin.freshWord = span << this.#spanWordShift
    bin.freshLeft = bin.blockCount
  }

  #enter(bin: Bin, span: number): void {
    this.kinds[span] = bin.kind
    this.#bits[this.#states + span] = bin.kind
    this.#places[span] = bin.spans.push(span) - 1
  }

  #push(kind: number, word: number): void {
    if (this.#stacks[this.#stacks[kind]! + 1] === ceiling) this.#makeRoom(kind)
    this.#stacks[++this.#stacks[kind]!] = word
  }

  #makeRoom(kind: number): void {
    this.#stacks = withMoreRoom(this.#stacks, kind)
  }

  /** Gives back the memory of stacks that a peak has left. */
  shrink(): void {
    this.#stacks = withoutSpareRoom(this.#stacks)
  }

  #collectSome(bin: Bin): void {
    for (let step = Math.min(COLLECT_STEP, bin.spans.length); step > 0; step--) {
      if (heightOf(this.#stacks, bin.kind) > 0 || bin.spans.length === 0) return
      this.#collectSpan(bin, bin.nextSpan())
    }
  }

  /** A bit for a block that is not live is a peer's lie or a double free: it is ignored and counted. */
  #collectSpan(bin: Bin, span: number): void {
    if (!this.directory.takeAux(span)) return
    const bits = this.#bits
    let freed = 0
    for (let at = span * this.#rowWords, end = at + this.#rowWords; at < end; at++) {
      if (this.#words[this.#freed + at] === 0) continue
      // Pairs with the atomic OR of the remote free.
      let row = Atomics.exchange(this.#words, this.#freed + at, 0)
      while (row !== 0) {
        const bit = row & -row
        row &= ~bit
        if ((bits[at]! & bit) === 0) {
          this.refused++
          continue
        }
        bits[at]! &= ~bit
        this.#push(bin.kind, (at << BITS_SHIFT) | ((31 - Math.clz32(bit)) << BIT_SHIFT))
        freed++
      }
      this.#words[this.#allocated + at] = bits[at]!
    }
    bits[this.#states + span]! -= freed * ONE_LIVE
    if (freed > 0 && this.#live(span) === 0) this.#emptied(bin)
  }

  #emptied(bin: Bin): void {
    bin.empties++
    // Trimming walks the stack; it pays when half of what lies there goes.
    if (bin.empties <= EMPTIES_KEPT || bin.empties * bin.blockCount * 2 < heightOf(this.#stacks, bin.kind)) return
    this.#trim(bin)
  }

  /** Gives the empty spans back to everybody, and takes their blocks off the stack. */
  #trim(bin: Bin): void {
    if (bin.empties === 0) return
    const { kind } = bin
    const stacks = this.#stacks
    const top = stacks[kind]!
    let kept = floorOf(stacks, kind)
    for (let from = kept + 1; from <= top; from++) {
      const span = stacks[from]! >>> this.#spanWordShift
      if (this.#live(span) > 0) stacks[++kept] = stacks[from]!
      else if (this.kindOf(span) === kind) this.#release(bin, span)
    }
    stacks[kind] = kept
  }

  #release(bin: Bin, span: number): void {
    const last = bin.spans.pop()!
    if (last !== span) {
      bin.spans[this.#places[span]!] = last
      this.#places[last] = this.#places[span]!
    }
    bin.empties--
    this.kinds[span] = 0
    this.#bits[this.#states + span] = 0
    this.directory.setAux(span, 0)
    this.directory.release(span, makeEntry(this.member, bin.kind))
  }
}
