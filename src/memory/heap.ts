import { RpcError } from '../base/errors.js'
import type { Address } from '../base/numbers.js'
import { attachHeader } from '../layout/header.js'
import { CLASS_BYTES, Entry, HEAP_FINGERPRINT, HEAP_KIND, type HeapGeometry, heapGeometry, Kind, KIND_BY_SIXTEENTH, MEMBER_MAX } from '../layout/heap-layout.js'
import { sumSizes, type HeapStats, type SizeStats } from './heap-stats.js'
import { LargeBlocks } from './large-blocks.js'
import { type Allocator, Region, type Membership, type RegionSpace } from './region.js'
import { SmallBlocks } from './small-blocks.js'
import { type AdoptedSpan, entryKind, shapeOf, SpanDirectory } from './span-directory.js'

/**
 * Dead members whose spans wait: for the next lack of memory, or for the end of their calls. The daemon uses a member's number again only after
 * all the others, so that so few cannot be confused with their successors.
 */
const DEAD_MAX = 256
/** Of the latest that went, those that locks are still asked about. */
const GONE_MAX = 64

// Of this module, because reading what another exports costs a check each time.
const kindBySixteenth = KIND_BY_SIXTEENTH
const LAST_OBJECT_KIND = Kind.CHUNK - 1

/**
 * Who takes over what a member leaves that goes: whoever needs memory first; whoever hears of the end of its calls, too ({@link Heap.callsEnded}),
 * at once then; or somebody else, always. Of members of one heap either all take over when they need it, or one of them after the calls.
 */
export type Inheritance = 'when needed' | 'after calls' | 'never'

/**
 * One member's allocator over one heap. A member is one isolate's attachment, numbered by the daemon; every member owns
 * whole spans and decides about them from private memory. There is no lock: a span is claimed and adopted by one
 * compare-and-swap, a foreign block is freed by one atomic OR.
 */
export class Heap implements Allocator, Membership {
  readonly region: Region
  readonly geometry: HeapGeometry
  readonly #directory: SpanDirectory
  /** Span → kind of what this member owns there; 0 = not ours. */
  readonly #kinds: Uint8Array
  readonly #small: SmallBlocks
  readonly #large: LargeBlocks
  readonly #smallMax: number
  readonly #spanWordShift: number
  readonly #dead = new Set<number>()
  /** Members whose calls are over, and whether what they built for calls goes with them. */
  readonly #silent = new Map<number, boolean>()
  /** Members whose spans could not wait for the end of their calls, because too many were dead: that end is no news of whoever has the number next. */
  readonly #early = new Set<number>()
  /** Who takes over the spans of members that go. */
  inherits: Inheritance = 'when needed'
  /** Spans taken over from the dead. */
  #adopted = 0
  /** The latest that went, for whoever waits for a lock they hold. */
  readonly #gone = new Set<number>()
  /** Lets this isolate hear of deaths while a thread waits in a lock; set by whoever is told of them. */
  onAttend: () => void = () => undefined
  /** Asks whoever tells of deaths about one member, which may have gone before this one came. Set by the same. */
  onInquire: (about: number) => void = () => undefined

  /**
   * Attaches to the heap in `buffer`, as the given member. The buffer stays its owner's.
   * @throws RpcError FAILED_PRECONDITION when the heap is laid out in another way.
   */
  constructor(buffer: ArrayBuffer, address: Address, readonly member: number, space: RegionSpace | null = null) {
    if (!Number.isInteger(member) || member < 1 || member > MEMBER_MAX) {
      throw new RpcError('INVALID_ARGUMENT', `a member of a heap is a number from 1 to ${MEMBER_MAX}, not ${member}`)
    }
    const geometry = heapGeometry(buffer.byteLength)
    this.geometry = geometry
    this.region = new Region(buffer, address, space)
    this.region.membership = this
    const words = this.region.i32
    attachHeader(words, { kind: HEAP_KIND, fingerprint: HEAP_FINGERPRINT, geometry: geometry.spanShift }, 'heap')
    this.#kinds = new Uint8Array(geometry.spanCount)
    this.#directory = new SpanDirectory(words, geometry, this.#kinds)
    this.#small = new SmallBlocks(this.#directory, geometry, this.#kinds, member)
    this.#large = new LargeBlocks(this.#directory, geometry, this.#kinds, member)
    this.#smallMax = geometry.smallMax
    this.#spanWordShift = geometry.spanShift - 2
  }

  owns(region: Region): boolean {
    return region === this.region
  }

  allocate(byteLength: number): number {
    if (!(byteLength >= 0 && byteLength <= this.#smallMax)) return this.#allocateLarge(byteLength, 0)
    const kind = kindBySixteenth[(byteLength + 15) >>> 4]!
    const word = this.#small.take(kind)
    return word >= 0 ? word : this.#allocateSlowly(kind)
  }

  /**
   * A block for a call's scope: objects are laid in it one after the other and are not freed one by one; `free` of an
   * object inside it does nothing. {@link freeChunk} ends it.
   */
  allocateChunk(byteLength: number): number {
    if (!(byteLength >= 0 && byteLength <= this.#smallMax)) return this.#allocateLarge(byteLength, Kind.CHUNK)
    const kind = kindBySixteenth[(byteLength + 15) >>> 4]! + Kind.CHUNK
    const word = this.#small.take(kind)
    return word >= 0 ? word : this.#allocateSlowly(kind)
  }

  /** Bytes that the block of an allocation of this size really has. */
  usableBytes(byteLength: number): number {
    return byteLength > this.#smallMax
      ? this.#large.spansFor(byteLength) * this.geometry.spanBytes
      : CLASS_BYTES[KIND_BY_SIXTEENTH[(byteLength + 15) >>> 4]! - 1]!
  }

  free(_region: Region, word: number): void {
    const span = word >>> this.#spanWordShift
    const state = this.#small.stateOf(span)
    const kind = state & Entry.KIND_MASK
    if (kind === 0 || kind > LAST_OBJECT_KIND) this.#freeSlowly(word, span, 0)
    else if (!this.#small.give(state, span, word)) throw this.#badFree(word)
  }

  /** Frees a chunk taken by {@link allocateChunk}, by this member or by another. */
  freeChunk(word: number): void {
    this.#freeSlowly(word, word >>> this.#spanWordShift, Kind.CHUNK)
  }

  /** The daemon has seen a member die. */
  memberDied(member: number): void {
    if (member === this.member) return
    this.#gone.delete(member)
    this.#gone.add(member)
    if (this.#gone.size > GONE_MAX) this.#gone.delete(this.#gone.values().next().value!)
    if (this.inherits === 'never') return
    this.#dead.add(member)
    if (this.#silent.has(member)) this.collect()
    else if (this.#dead.size > DEAD_MAX) {
      const first = this.#dead.values().next().value!
      if (this.inherits === 'after calls') this.#early.add(first)
      this.#adopt(first)
    }
  }

  /**
   * Nobody reads the arguments of a member's calls any more.
   * @param crashed it did not give them back, and never will: they are freed with the adoption of its spans.
   */
  callsEnded(member: number, crashed: boolean): void {
    if (this.#early.delete(member)) return
    this.#silent.set(member, crashed)
    if (this.#dead.has(member)) this.collect()
    else if (this.#silent.size > DEAD_MAX) this.#silent.delete(this.#silent.keys().next().value!)
  }

  isGone(member: number): boolean {
    return this.#gone.has(member)
  }

  attend(): void {
    this.onAttend()
  }

  inquire(about: number): void {
    if (about > 0 && about <= MEMBER_MAX) this.onInquire(about)
  }

  /** After a restart of the daemon: every member that is not listed has gone. */
  onlyLiving(living: ReadonlySet<number>): void {
    for (const member of this.#directory.owners()) if (!living.has(member)) this.memberDied(member)
  }

  /** Takes back everything that others freed and returns empty spans. */
  collect(): void {
    this.#adoptDead()
    for (const bin of this.#small.bins) if (bin !== undefined) this.#small.collect(bin)
    this.#small.shrink()
    this.#large.collect()
  }

  /** Of a block that this member made: whether nobody has freed it. */
  isLive(word: number): boolean {
    const span = word >>> this.#spanWordShift
    if (this.#small.bins[this.#kinds[span] ?? 0] !== undefined) return this.#small.isLive(word)
    return (this.#kinds[span] ?? 0) !== 0 && !this.#large.isFreedRemotely(span)
  }

  /** See {@link Allocator.startsBlock}. */
  startsBlock(_region: Region, word: number): boolean {
    const span = word >>> this.#spanWordShift
    const entry = this.#directory.entry(span)
    const kind = entryKind(entry)
    if (kind === 0 || (kind & Kind.CHUNK) !== 0) return false
    if (this.#small.bins[kind] !== undefined) return this.#small.startsBlock(word)
    return shapeOf(kind) === Kind.LARGE && span << this.#spanWordShift === word && (entry & Entry.REMOTE_FREED) === 0
  }

  /** Blocks, of those that this member owns, that hold arguments or results of calls, or scopes. */
  get liveChunks(): number {
    let sum = this.#large.countOf(Kind.LARGE | Kind.CHUNK)
    for (const bin of this.#small.bins) {
      if (bin !== undefined && bin.kind > LAST_OBJECT_KIND) for (const span of bin.spans) sum += this.#small.liveBlocks(bin, span)
    }
    return sum
  }

  stats(): HeapStats {
    const { spanBytes } = this.geometry
    const largeBytes = this.#large.spans * spanBytes
    const sizes: SizeStats[] = []
    for (const bin of this.#small.bins) {
      if (bin === undefined || bin.spans.length === 0) continue
      const liveBlocks = bin.spans.reduce((sum, span) => sum + this.#small.liveBlocks(bin, span), 0)
      sizes.push({ blockBytes: bin.blockBytes, liveBlocks, spans: bin.spans.length })
    }
    const spans = this.#directory.countByOwner()
    const smallSpans = sizes.reduce((sum, { spans }) => sum + spans, 0)
    return {
      ownedBytes: largeBytes + smallSpans * spanBytes,
      liveBytes: sizes.reduce((sum, { blockBytes, liveBlocks }) => sum + blockBytes * liveBlocks, largeBytes),
      liveBlocks: sizes.reduce((sum, { liveBlocks }) => sum + liveBlocks, this.#large.count),
      ownedSpans: this.#large.spans + smallSpans,
      adoptedSpans: this.#adopted,
      largeBlocks: this.#large.count,
      refusedFrees: this.#small.refused,
      freeBytes: (spans.get(0) ?? 0) * spanBytes,
      members: [...spans].filter(([member]) => member !== 0).sort(([, a], [, b]) => b - a).map(([member, count]) => ({
        member, ownedBytes: count * spanBytes, isSelf: member === this.member, isGone: this.isGone(member),
      })),
      sizes: sumSizes(sizes),
    }
  }

  #allocateSlowly(kind: number): number {
    if (this.#dead.size > 0) this.#adoptDead()
    let word = this.#small.takeSlowly(kind)
    if (word >= 0) return word
    this.collect()
    word = this.#small.takeSlowly(kind)
    if (word < 0) throw this.#full(CLASS_BYTES[shapeOf(kind) - 1]!)
    return word
  }

  #allocateLarge(byteLength: number, flag: number): number {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw new RpcError('INVALID_ARGUMENT', `a block has a whole number of bytes, not ${byteLength}`)
    }
    let head = this.#large.take(byteLength, flag)
    if (head < 0) {
      this.collect()
      head = this.#large.take(byteLength, flag)
    }
    if (head < 0) throw this.#full(byteLength)
    return head << this.#spanWordShift
  }

  /** Frees anything but an own block of an object. `chunk` is Kind.CHUNK to free a chunk, 0 to free an object. */
  #freeSlowly(word: number, span: number, chunk: number): void {
    const kind = this.#kinds[span] ?? 0
    if (kind === 0) {
      this.#freeForeign(word, span, chunk)
      return
    }
    if ((kind & Kind.CHUNK) !== chunk) {
      if (chunk === 0) return
      throw this.#badFree(word)
    }
    const freed = this.#small.bins[kind] !== undefined ? this.#small.give(this.#small.stateOf(span), span, word)
      : span << this.#spanWordShift === word && !this.#large.isFreedRemotely(span) && this.#large.give(span)
    if (!freed) throw this.#badFree(word)
  }

  #freeForeign(word: number, span: number, chunk: number): void {
    if (span < this.geometry.firstSpan || span >= this.geometry.spanCount) throw this.#badFree(word)
    const entry = this.#directory.entry(span)
    const owner = entry & Entry.MEMBER_MASK
    if (owner === 0 || owner === this.member) throw this.#badFree(word)
    if (this.#dead.has(owner)) this.#adoptDead()
    if ((this.#kinds[span] ?? 0) !== 0) {
      this.#freeSlowly(word, span, chunk)
      return
    }
    const kind = entryKind(entry)
    if ((kind & Kind.CHUNK) !== chunk) {
      if (chunk === 0) return
      throw this.#badFree(word)
    }
    const freed = this.#small.bins[kind] !== undefined ? this.#small.giveRemotely(span, word)
      : shapeOf(kind) === Kind.LARGE && span << this.#spanWordShift === word && this.#directory.markFreed(span)
    if (!freed) throw this.#badFree(word)
  }

  #adoptDead(): void {
    for (const member of this.#dead) if (this.inherits === 'when needed' || this.#silent.has(member)) this.#adopt(member)
  }

  #adopt(member: number): void {
    const crashed = this.#silent.get(member)
    this.#dead.delete(member)
    this.#silent.delete(member)
    for (const span of this.#directory.adopt(member, this.member)) this.#enter(span, crashed === true)
  }

  #enter({ index, kind, run }: AdoptedSpan, dropsChunks: boolean): void {
    this.#adopted += run?.count ?? 1
    const drops = dropsChunks && (kind & Kind.CHUNK) !== 0
    if (run === undefined) this.#small.adopt(kind, index, drops)
    else this.#large.enter(index, kind, run)
    if (run !== undefined && drops) this.#large.give(index)
  }

  #badFree(word: number): RpcError {
    return new RpcError('INVALID_ARGUMENT',
      `free of 0x${this.region.addressOf(word).toString(16)}, which is not the start of a live block: freed before, ` +
      `inside another object, or never allocated here; a run with RPCOOL_DEBUG=heap names what it was and who freed it`)
  }

  #full(byteLength: number): RpcError {
    return new RpcError('RESOURCE_EXHAUSTED',
      `no room for ${byteLength} bytes in a heap of ${this.region.words * 4}`)
  }
}
