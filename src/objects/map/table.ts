// A map or set in its holder is a pointer, null when it was never filled, to a table of 64 bytes:
//
//   +0   u32  live: entries                                +32  u64  directory of the index (hash-index.ts)
//   +4   u32  next: sequence number of the next entry      +40  u64  directory of the chunks (entries.ts)
//   +8   u32  seed of the hash                             +48  u32  first chunk in order of insertion: id + 1, 0 = none
//   +12  u32  epoch: from anywhere, changes when they move    +52  u32  last chunk
//   +16  u32  depth of the index + 1; 0 = there is none    +56  u64  0
//   +20  u32  ids of chunks given out
//   +24  u32  room for ids in the directory of the chunks
//   +28  u32  free id + 1, 0 = none; a free id's place in the directory holds { 0, next free id + 1 }
//
// Entries lie in chunks, in order of insertion; the index leads from a hash to an entry. Both grow piece by piece: an insertion
// moves at most the entries of one chunk or one segment of the index, some 200, and now and then copies a directory, which has
// one pointer for some 40 (chunks) or 180 (segments) entries.
import { locate, type Region } from '../../memory/region.js'
import { willChange } from '../shared/journal.js'
import { damaged } from '../problems.js'

export const TABLE_WORDS = 16
export const LIVE = 0
export const NEXT = 1
const SEED = 2
export const EPOCH = 3
export const DEPTH = 4
export const IDS = 5
export const ROOM = 6
export const FREE = 7
export const INDEX = 8
export const CHUNKS = 10
export const FIRST = 12
export const LAST = 13

/** More would make the directory of the index too long to copy at once. */
export const MAX_DEPTH = 22
/** Some billion entries. */
export const MAX_CHUNKS = 0xff_fffe

/** A block of the map to free, once the map no longer leads to it. */
export type Drop = (region: Region, word: number) => void

/** A table's words, read once and checked. Used up before the next table is opened. */
export class Table {
  region!: Region
  /** Word of the table in its region. */
  start = 0
  live = 0
  seed = 0
  /** Of the index; -1 when there is none. */
  depth = -1
  ids = 0

  /** Opens the table that the cell at `p` points to; false when there is none. */
  open(region: Region, p: number): boolean {
    const lo = region.i32[p]! | 0
    const hi = region.i32[p + 1]! | 0
    let home = region
    let k = (lo - region.low) >>> 2
    if (hi !== region.high || k > region.words - TABLE_WORDS) {
      if (lo === 0 && hi === 0) return false
      home = locate(region, hi, lo, TABLE_WORDS)
      k = (lo - home.low) >>> 2
    }
    if (--region.budget < 0) region.spent()
    this.#read(home, k + home.shift)
    return true
  }

  #read(region: Region, start: number): void {
    const a = region.i32
    this.region = region
    this.start = start
    this.live = a[start + LIVE]! >>> 0
    this.seed = a[start + SEED]! | 0
    this.depth = (a[start + DEPTH]! >>> 0) - 1
    this.ids = a[start + IDS]! >>> 0
    if (this.depth > MAX_DEPTH || this.ids > a[start + ROOM]! >>> 0 || this.ids > MAX_CHUNKS) {
      damaged('a map is damaged, or the pointer to it wild')
    }
  }

  /** Makes the fresh block at `start` an empty table. */
  make(region: Region, start: number, seed: number): void {
    region.i32.fill(0, start, start + TABLE_WORDS)
    region.i32[start + NEXT] = 1
    region.i32[start + SEED] = seed
    // Anything that no other map has: an iteration that goes on in this one, in the place of another, must not take it for that.
    region.i32[start + EPOCH] = seed
    this.#read(region, start)
  }

  get(field: number): number {
    return this.region.i32[this.start + field]! >>> 0
  }

  set(field: number, value: number): void {
    this.region.i32[this.start + field] = value
  }

  point(field: number, region: Region, word: number): void {
    this.set(field, region.lowOf(word))
    this.set(field + 1, region.high)
  }

  /** Comes before {@link set}. */
  willChange(): void {
    willChange(this.region, this.start, TABLE_WORDS)
  }

  setLive(live: number): void {
    this.live = live
    this.set(LIVE, live)
  }
}

/** Where a pointer led: a region, and a word in it. Used up before the next one is resolved. */
export class Place {
  region!: Region
  word = 0

  /** Resolves the pointer in the words at `at` to a block of `words` words. */
  resolve(from: Region, at: number, words: number): void {
    this.follow(from, from.i32[at]! | 0, from.i32[at + 1]! | 0, words)
  }

  follow(from: Region, lo: number, hi: number, words: number): void {
    let home = from
    let k = (lo - from.low) >>> 2
    if (hi !== from.high || k > from.words - words) {
      home = locate(from, hi, lo, words)
      k = (lo - home.low) >>> 2
    }
    this.region = home
    this.word = k + home.shift
  }
}
