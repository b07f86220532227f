// The journal of something shared, in shared memory, so that it survives its writer:
//
//   block   +0  u64 next block, null = none    +8  u32 words in use, header included    +12 u32 words of the block
//           +16 u32 state (of the first)       +20 u32 frees done (of the first)        +24 records
//
//   state   0 open   1 committed   2 undone: the saved words are back
//
//   record  SAVED       u32 1 | words << 2, u64 address, the words as they were
//           ALLOCATED   u32 2, u64 address of a block
//           FREED       u32 3, u64 address of a block
//
// A record is complete before it counts ("words in use" is written last), and counts before what it tells of happens: whatever
// instruction the writer dies at, its stores up to there are all there. Until the log is committed the next holder undoes it: it
// writes saved words back, the latest first, and says so; then it frees what was allocated. Once committed it goes on freeing what
// was freed. Whoever undoes or frees may die as well: the next one goes on. Saved words are never written back once frees have
// begun: words of a block that the write itself had allocated are among them, and by then it may be somebody else's.
import type { Allocator, Region } from '../../memory/region.js'
import { Extent } from '../extent.js'
import { Column } from '../graph/forward.js'
import { Place } from '../map/table.js'
import { damaged } from '../problems.js'

const USED = 2
const LENGTH = 3
const STATE = 4
const FREES = 5
const HEADER_WORDS = 6
const FIRST_WORDS = 256
/** Frees of one log that may be refused, each at the cost of an error: who writes more of them does not mean to free anything. */
const MAX_REFUSED = 1000
const WHAT = 'the journal of something shared'

const OPEN = 0
const COMMITTED = 1
const UNDONE = 2

const NOTE_WORDS = 3
const SAVED = 1
const ALLOCATED = 2
const FREED = 3

interface Block {
  readonly region: Region
  readonly word: number
  used: number
  readonly length: number
}

/** The log whose first block the words at `at` of a region point to. Private to the holder of the lock. */
export class UndoLog {
  readonly #region: Region
  readonly #at: number
  readonly #allocator: Allocator
  readonly #blocks: Block[] = []
  /** Frees that were refused. */
  #refused = 0
  #failure: Error | undefined

  constructor(region: Region, at: number, allocator: Allocator) {
    this.#region = region
    this.#at = at
    this.#allocator = allocator
    let extent: Extent | null = null
    let from = region
    for (let pointer = at; (from.i32[pointer]! | 0) !== 0; pointer = place.word) {
      place.resolve(from, pointer, HEADER_WORDS)
      const { region: home, word } = place
      const used = home.i32[word + USED]! >>> 0
      const length = home.i32[word + LENGTH]! >>> 0
      if (used < HEADER_WORDS || used > length || length > home.words - (word - home.shift)) damaged(`${WHAT} is damaged`)
      requireWritable(home)
      const first = this.#blocks[0]
      if (first !== undefined) {
        // Most logs are one block.
        if (extent === null) (extent = new Extent()).spend(first.region, first.length, WHAT)
        extent.spend(home, length, WHAT)
      }
      this.#blocks.push({ region: home, word, used, length })
      from = home
    }
  }

  get isEmpty(): boolean {
    return this.#blocks.every(({ used }) => used === HEADER_WORDS)
  }

  /** Blocks, to free with what they belong to. */
  forEachBlock(visit: (region: Region, word: number) => void): void {
    for (const { region, word } of this.#blocks) visit(region, word)
  }

  save(region: Region, word: number, words: number): void {
    if (words === 0) return
    const block = this.#mustRoom(3 + words)
    const a = block.region.i32
    const at = block.word + block.used
    a[at] = SAVED | words << 2
    a[at + 1] = region.lowOf(word)
    a[at + 2] = region.high
    for (let i = 0; i < words; i++) a[at + 3 + i] = region.i32[word + i]!
    this.#count(block, 3 + words)
  }

  /** Comes before an allocation, so that a death loses one block at most: not the one to be noted and the one to note it in. */
  prepareNote(): void {
    this.#room(NOTE_WORDS)
  }

  allocated(region: Region, word: number): void {
    this.#note(ALLOCATED, region, word)
  }

  freed(region: Region, word: number): void {
    this.#note(FREED, region, word)
  }

  #note(kind: number, region: Region, word: number): void {
    const block = this.#mustRoom(NOTE_WORDS)
    const a = block.region.i32
    const at = block.word + block.used
    a[at] = kind
    a[at + 1] = region.lowOf(word)
    a[at + 2] = region.high
    this.#count(block, NOTE_WORDS)
  }

  #count(block: Block, words: number): void {
    block.used += words
    block.region.i32[block.word + USED] = block.used
  }

  /** What is not noted here is half of a change: the function that catches this error must not have the rest of it committed. */
  #mustRoom(words: number): Block {
    try {
      return this.#room(words)
    } catch (error) {
      this.#failure = error as Error
      throw error
    }
  }

  #room(words: number): Block {
    const last = this.#blocks.at(-1)
    if (last !== undefined && last.used + words <= last.length) return last
    const length = Math.max(FIRST_WORDS, HEADER_WORDS + words, last === undefined ? 0 : last.length * 2)
    const word = this.#allocator.allocate(length * 4)
    const { region } = this.#allocator
    const a = region.i32
    a.fill(0, word, word + HEADER_WORDS)
    a[word + USED] = HEADER_WORDS
    a[word + LENGTH] = length
    const holder = last?.region ?? this.#region
    const at = last?.word ?? this.#at
    // The lower half is what makes it a pointer.
    holder.i32[at + 1] = region.high
    holder.i32[at] = region.lowOf(word)
    const block = { region, word, used: HEADER_WORDS, length }
    this.#blocks.push(block)
    return block
  }

  /** From here on the write has happened. {@link finish} does the rest. @throws what kept the log from taking note of all of it. */
  commit(): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#setState(COMMITTED)
  }

  get isCommitted(): boolean {
    return this.#state === COMMITTED
  }

  /** Whether the saved words of a write that has not happened are still to be written back. */
  get isOpen(): boolean {
    return this.#state === OPEN
  }

  get #state(): number {
    const first = this.#blocks[0]
    return first === undefined ? OPEN : first.region.i32[first.word + STATE]!
  }

  #setState(state: number): void {
    const first = this.#blocks[0]
    if (first !== undefined) first.region.i32[first.word + STATE] = state
  }

  /** Writes the saved words back. {@link finish} does the rest. */
  undo(): void {
    // Where the records start, block after block: as few words as can be, since a peer may have written any number of records.
    const records = new Column()
    const counts: number[] = []
    for (const block of this.#blocks) {
      const before = records.length
      this.#forEachOf(block, (kind, _region, _word, _words, record) => {
        if (kind === SAVED) records.push(record)
      })
      counts.push(records.length - before)
    }
    for (const { region: home, word: start, used } of this.#blocks.toReversed()) {
      for (let left = counts.pop()!; left > 0; left--) {
        const record = records.pop()
        // Looked at again, as it may be another one by now.
        const { kind, region, word, words } = this.#recordAt(home, record, start + used - record)
        if (kind === SAVED) for (let i = 0; i < words; i++) region.i32[word + i] = home.i32[record + NOTE_WORDS + i]!
      }
    }
    this.#setState(UNDONE)
  }

  /**
   * Frees what a committed log says is free, or what was allocated for a write that is undone, then empties the log. Also what
   * the next holder does in the writer's place.
   */
  finish(): void {
    const first = this.#blocks[0]
    if (first === undefined) return
    const free = this.isCommitted ? FREED : ALLOCATED
    const a = first.region.i32
    const done = a[first.word + FREES]! >>> 0
    let count = 0
    for (const block of this.#blocks) {
      this.#forEachOf(block, (kind, region, word) => {
        // Counted first: a block that was freed must not be freed again, by then it may be somebody else's.
        if (kind !== free || count++ < done) return
        a[first.word + FREES] = count
        this.#free(region, word)
      })
    }
    this.#empty(first)
  }

  #free(region: Region, word: number): void {
    if (this.#refused > MAX_REFUSED) return
    try {
      this.#allocator.free(region, word)
    } catch {
      // A peer has freed it, or written the log: the heap's own data is the peer's to spoil.
      this.#refused++
    }
  }

  /** The log must be empty before it is open again. */
  #empty(first: Block): void {
    // Should we die here, there are no more frees in what is left of the log than are done: the next one does none again.
    for (const block of this.#blocks) {
      block.used = HEADER_WORDS
      block.region.i32[block.word + USED] = HEADER_WORDS
    }
    const a = first.region.i32
    a[first.word + FREES] = 0
    a[first.word + STATE] = OPEN
    // One at a time is not linked any more and not yet free.
    while (this.#blocks.length > 1) {
      const { region, word } = this.#blocks.pop()!
      const last = this.#blocks.at(-1)!
      last.region.i32[last.word] = 0
      last.region.i32[last.word + 1] = 0
      this.#free(region, word)
    }
  }

  #forEachOf({ region: home, word: start, used }: Block, visit: (kind: number, region: Region, word: number, words: number, record: number) => void): void {
    for (let at = HEADER_WORDS; at + NOTE_WORDS <= used;) {
      const { kind, region, word, words } = this.#recordAt(home, start + at, used - at)
      visit(kind, region, word, words, start + at)
      at += NOTE_WORDS + words
    }
  }

  /** Reads a record, each word once. @param room words up to the end of what is in use of its block. */
  #recordAt(home: Region, at: number, room: number): Recorded {
    const head = home.i32[at]! | 0
    const kind = head & 3
    const words = kind === SAVED ? head >>> 2 : 0
    if (kind === 0 || NOTE_WORDS + words > room) damaged(`${WHAT} is damaged`)
    place.resolve(home, at + 1, Math.max(words, 2))
    requireWritable(place.region)
    recorded.kind = kind
    recorded.region = place.region
    recorded.word = place.word
    recorded.words = words
    return recorded
  }
}

interface Recorded {
  kind: number
  region: Region
  word: number
  /** Of SAVED: words that were saved. */
  words: number
}

const place = new Place()
/** The record read last. */
const recorded: Recorded = { kind: 0, region: null as unknown as Region, word: 0, words: 0 }

/** What a journal leads to may be written by whoever wrote the journal; nobody else's memory may be. */
function requireWritable(region: Region): void {
  if (region.readOnly) damaged(`${WHAT} leads to memory that is only read here`)
}
