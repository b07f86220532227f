// The index of a map: extendible hashing. A directory of 2^depth pointers leads, by the upper bits of a hash, to segments; a
// segment serves all hashes that share their first `local` bits, and so may be pointed to from several places.
//
//   segment   +0  u32 local depth (8 bits) | slots in use << 8     +4  u32 slots S
//             +8  S × { u32 upper half of the entry's address (16 bits) | lower 16 bits of its hash << 16,
//                       u32 lower half of the entry's address, 0 = the slot is free }    open addressing, at most 3/4 in use
//
// A full segment is split in two by its next bit; where it is as deep as the directory, the directory doubles first.
import type { Region } from '../../memory/region.js'
import type { Source } from '../graph/build.js'
import { willChange } from '../shared/journal.js'
import { DEPTH, INDEX, MAX_DEPTH, Place, type Drop, type Table } from './table.js'
import { damaged } from '../problems.js'

const HEADER_WORDS = 2
/** Slots of a segment: with the header each fills a size class of the heap; the last is the size at which segments split. */
const SIZES: readonly number[] = [14, 30, 62, 126, 254]
const FULL = SIZES.at(-1)!
/** Bits by which the directory may be deeper than needed for evenly spread hashes. */
const SKEW_BITS = 5

const place = new Place()

/** What an insertion needs, found out and allocated before anything is changed. */
interface Growth {
  readonly region: Region
  readonly word: number
  readonly slots: number
  readonly directory: { readonly region: Region, readonly word: number } | null
}

/** Who knows the entries at addresses. */
interface Matcher {
  /** Whether the entry at an address is the one that is searched for. */
  matches(high: number, low: number): boolean
  hashAt(high: number, low: number): number
}

/** The index of the map whose table is open. */
export class MapIndex {
  #region!: Region
  #segment = 0
  #slots = 0
  #used = 0
  #local = 0
  #growth: Growth | null = null

  /** Set by the entries when they are made: the two need each other. */
  entries!: Matcher

  constructor(readonly table: Table) {}

  #openFor(hash: number): void {
    const { table } = this
    const { region, start, depth } = table
    const count = 1 << depth
    place.resolve(region, start + INDEX, count * 2)
    const at = place.word + (depth === 0 ? 0 : hash >>> 32 - depth) * 2
    this.#open(place.region, at)
  }

  #open(directory: Region, at: number): void {
    place.resolve(directory, at, HEADER_WORDS)
    const { region, word } = place
    const head = region.i32[word]! | 0
    const slots = region.i32[word + 1]! >>> 0
    this.#local = head & 0xff
    this.#used = head >>> 8
    if (!SIZES.includes(slots) || (slots !== FULL && this.table.depth > 0) || this.#used >= slots || this.#local > this.table.depth ||
        HEADER_WORDS + slots * 2 > region.words - (word - region.shift)) {
      damaged('the index of a map is damaged')
    }
    this.#region = region
    this.#segment = word + HEADER_WORDS
    this.#slots = slots
  }

  /** Whether there is an entry that has the hash and that {@link entries} find to be the one searched for. */
  find(hash: number): boolean {
    const { region, start, depth } = this.table
    place.resolve(region, start + INDEX, 2 << depth)
    const directory = place.word + (depth === 0 ? 0 : hash >>> 32 - depth) * 2
    let slots = FULL
    if (depth > 0) {
      // All segments are of full size: not to look at the header saves a line of memory, which is what a search waits for.
      place.resolve(place.region, directory, HEADER_WORDS + FULL * 2)
      this.#region = place.region
      this.#segment = place.word + HEADER_WORDS
    } else {
      this.#open(place.region, directory)
      slots = this.#slots
    }
    const a = this.#region.i32
    const segment = this.#segment
    const tag = hash & 0xffff
    let i = homeOf(hash, slots)
    for (let left = slots; left > 0; left--) {
      const at = segment + i * 2
      const low = a[at + 1]! | 0
      if (low === 0) return false
      const high = a[at]! | 0
      if (high >>> 16 === tag && this.entries.matches(high & 0xffff, low)) return true
      i = i + 1 === slots ? 0 : i + 1
    }
    return false
  }

  #slotOf(hash: number, low: number): number {
    this.#openFor(hash)
    const a = this.#region.i32
    let i = homeOf(hash, this.#slots)
    for (let left = this.#slots; left > 0; left--) {
      const at = this.#segment + i * 2
      const found = a[at + 1]! | 0
      if (found === 0) break
      if (found === low && a[at]! >>> 16 === (hash & 0xffff)) return i
      i = i + 1 === this.#slots ? 0 : i + 1
    }
    return damaged('the index of a map does not lead to an entry')
  }

  /** An entry has moved. */
  replace(hash: number, low: number, region: Region, word: number): void {
    const slot = this.#slotOf(hash, low)
    const at = this.#segment + slot * 2
    willChange(this.#region, at, 2)
    this.#region.i32[at] = region.high | hash << 16
    this.#region.i32[at + 1] = region.lowOf(word)
  }

  /** Takes an entry out; those behind it in its run move up, so that no slot is wasted. */
  remove(hash: number, low: number): void {
    let gap = this.#slotOf(hash, low)
    const a = this.#region.i32
    const segment = this.#segment
    const slots = this.#slots
    willChange(this.#region, segment - HEADER_WORDS, HEADER_WORDS + slots * 2)
    let i = gap
    for (let left = slots; left > 0; left--) {
      i = i + 1 === slots ? 0 : i + 1
      const moved = a[segment + i * 2 + 1]! | 0
      if (moved === 0) break
      const home = homeOf(a[segment + i * 2]! >>> 16, slots)
      // It may stay where its home lies behind the gap.
      if (gap <= i ? gap < home && home <= i : gap < home || home <= i) continue
      a[segment + gap * 2] = a[segment + i * 2]!
      a[segment + gap * 2 + 1] = moved
      gap = i
    }
    a[segment + gap * 2] = 0
    a[segment + gap * 2 + 1] = 0
    a[segment - HEADER_WORDS] = this.#local | Math.max(0, this.#used - 1) << 8
  }

  /** Makes an index for so many entries, all of which have to be put in. */
  create(source: Source, entries: number): void {
    const { table } = this
    const wanted = entries / (FULL * 0.6)
    const depth = wanted <= 1 ? 0 : Math.min(MAX_DEPTH, Math.ceil(Math.log2(wanted)))
    const slots = depth > 0 ? FULL : SIZES.find((size) => entries * 4 <= size * 3) ?? FULL
    const count = 1 << depth
    const directory = source.allocate(count * 8)
    const { region } = source
    for (let i = 0; i < count; i++) {
      const segment = makeSegment(source, slots, depth)
      region.i32[directory + i * 2] = source.region.lowOf(segment)
      region.i32[directory + i * 2 + 1] = source.region.high
    }
    table.willChange()
    table.point(INDEX, region, directory)
    table.set(DEPTH, depth + 1)
    table.depth = depth
  }

  /** Allocates what {@link put} needs. When it throws, nothing has changed. */
  prepare(source: Source, hash: number): void {
    this.#growth = null
    this.#openFor(hash)
    const slots = this.#slots
    if (this.#used * 4 < slots * 3) return
    const larger = SIZES.find((size) => size > slots) ?? FULL
    let directory: Growth['directory'] = null
    const { depth, live } = this.table
    if (slots === FULL && this.#local === depth) {
      if (depth >= MAX_DEPTH || 1 << depth > (live / FULL + 1) * 2 ** SKEW_BITS) damaged('the keys of a map were chosen to collide, or it has too many')
      const word = source.allocate(16 << depth)
      directory = { region: source.region, word }
    }
    const word = makeSegment(source, larger, slots === FULL ? this.#local + 1 : this.#local)
    this.#growth = { region: source.region, word, slots: larger, directory }
  }

  /** Enters an entry; {@link prepare} came before. */
  put(hash: number, entry: Region, word: number, drop: Drop): void {
    if (this.#growth !== null) this.#grow(hash, this.#growth, drop)
    this.#openFor(hash)
    if (this.#used >= this.#slots - 1) damaged('the keys of a map were chosen to collide')
    willChange(this.#region, this.#segment - HEADER_WORDS, 1)
    enter(this.#region, this.#segment, this.#slots, entry.high | hash << 16, entry.lowOf(word))
    this.#region.i32[this.#segment - HEADER_WORDS] = this.#local | this.#used + 1 << 8
  }

  #grow(hash: number, growth: Growth, drop: Drop): void {
    this.#growth = null
    if (growth.directory !== null) this.#doubleDirectory(growth.directory, drop)
    this.#openFor(hash)
    if (this.#slots === FULL) this.#split(hash, growth)
    else this.#enlarge(growth, drop)
  }

  #doubleDirectory({ region, word }: { readonly region: Region, readonly word: number }, drop: Drop): void {
    const { table } = this
    const count = 1 << table.depth
    place.resolve(table.region, table.start + INDEX, count * 2)
    const from = place.region.i32
    const to = region.i32
    for (let i = 0; i < count; i++) {
      const lo = from[place.word + i * 2]!
      const hi = from[place.word + i * 2 + 1]!
      to[word + i * 4] = lo
      to[word + i * 4 + 1] = hi
      to[word + i * 4 + 2] = lo
      to[word + i * 4 + 3] = hi
    }
    drop(place.region, place.word)
    table.willChange()
    table.point(INDEX, region, word)
    table.depth++
    table.set(DEPTH, table.depth + 1)
  }

  /** A small segment moves into a larger one: it is the only one. */
  #enlarge({ region, word, slots }: Growth, drop: Drop): void {
    const a = this.#region.i32
    for (let i = 0; i < this.#slots; i++) {
      const low = a[this.#segment + i * 2 + 1]! | 0
      if (low !== 0) enter(region, word + HEADER_WORDS, slots, a[this.#segment + i * 2]!, low)
    }
    region.i32[word] = this.#local | this.#used << 8
    drop(this.#region, this.#segment - HEADER_WORDS)
    this.#pointTo(0, 1 << this.table.depth, region, word)
  }

  /** The entries whose next bit is set move into the new segment. */
  #split(hash: number, { region, word, slots }: Growth): void {
    const { depth } = this.table
    const local = this.#local
    const old = this.#region
    const from = this.#segment
    const a = old.i32
    const kept = new Int32Array(FULL * 2)
    const goesOn = new Uint8Array(FULL)
    for (let i = 0; i < FULL; i++) {
      const high = kept[i * 2] = a[from + i * 2]!
      const low = kept[i * 2 + 1] = a[from + i * 2 + 1]!
      if (low !== 0) goesOn[i] = this.entries.hashAt(high & 0xffff, low) << local >>> 31
    }
    willChange(old, from - HEADER_WORDS, HEADER_WORDS + FULL * 2)
    a.fill(0, from, from + FULL * 2)
    let stays = 0
    let goes = 0
    for (let i = 0; i < FULL; i++) {
      const low = kept[i * 2 + 1]!
      if (low === 0) continue
      if (goesOn[i] === 0) {
        enter(old, from, FULL, kept[i * 2]!, low)
        stays++
      } else {
        enter(region, word + HEADER_WORDS, slots, kept[i * 2]!, low)
        goes++
      }
    }
    a[from - HEADER_WORDS] = local + 1 | stays << 8
    region.i32[word] = local + 1 | goes << 8
    // Of the places that lead here, the upper half leads to the new segment.
    const span = 1 << depth - local
    const first = local === 0 ? 0 : (hash >>> 32 - local) * span
    this.#pointTo(first + span / 2, first + span, region, word)
  }

  #pointTo(first: number, end: number, region: Region, word: number): void {
    const { table } = this
    place.resolve(table.region, table.start + INDEX, 2 << table.depth)
    const { region: home, word: directory } = place
    willChange(home, directory + first * 2, (end - first) * 2)
    for (let i = first; i < end; i++) {
      home.i32[directory + i * 2] = region.lowOf(word)
      home.i32[directory + i * 2 + 1] = region.high
    }
  }

  /** Calls back with each block of the index. */
  forEachBlock(visit: Drop): void {
    const { region, start, depth } = this.table
    if (depth < 0) return
    const count = 1 << depth
    place.resolve(region, start + INDEX, count * 2)
    const { region: directory, word } = place
    for (let i = 0; i < count;) {
      this.#open(directory, word + i * 2)
      visit(this.#region, this.#segment - HEADER_WORDS)
      i += 1 << depth - this.#local
    }
    visit(directory, word)
  }
}

function homeOf(hash: number, slots: number): number {
  return Math.imul(hash & 0xffff, slots) >>> 16
}

/** Puts a slot's two words where its hash, whose lower bits it has, belongs. */
function enter(region: Region, segment: number, slots: number, high: number, low: number): void {
  const a = region.i32
  let i = homeOf(high >>> 16, slots)
  for (let left = slots; left > 0; left--) {
    if ((a[segment + i * 2 + 1]! | 0) === 0) {
      willChange(region, segment + i * 2, 2)
      a[segment + i * 2] = high
      a[segment + i * 2 + 1] = low
      return
    }
    i = i + 1 === slots ? 0 : i + 1
  }
  damaged('the index of a map is full: it is damaged')
}

function makeSegment(source: Source, slots: number, local: number): number {
  const word = source.allocate((HEADER_WORDS + slots * 2) * 4)
  const { i32 } = source.region
  i32.fill(0, word, word + HEADER_WORDS + slots * 2)
  i32[word] = local
  i32[word + 1] = slots
  return word
}
