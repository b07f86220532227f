// A map in its holder is a pointer, null when the map is empty, to a table:
//
//   +0   u32  capacity: entries there is room for          +16  u32  seed of the hash
//   +4   u32  used: entries written, removed ones included +20  u32  bits: the index has 2^bits places
//   +8   u32  live: entries not removed                    +24  u64  0
//   +12  u32  next: sequence number of the next entry
//   +32  index: 2^bits × u32, entry number + 1, 0 = free; open addressing, at most half in use
//   +…   entries, in order of insertion: { u32 hash (0 = removed), u32 sequence, 8-byte key cell, value }
//
// Removed entries keep their place until the table is rebuilt. Sequence numbers rise and survive rebuilding: an iterator
// remembers the last one it saw, and so knows where to go on in a table that was rebuilt meanwhile.
import { locate, type Region } from '../memory/region.js'
import type { Source } from './build.js'
import { MAX_PROBES } from './limits.js'
import type { Keys } from './map-key.js'
import { damaged } from './problems.js'

export const HEADER_WORDS = 8
export const USED = 1
export const LIVE = 2
export const NEXT = 3
const SEED = 4
const BITS = 5
export const SEQUENCE = 1
export const KEY = 2
export const VALUE = 4
const MIN_CAPACITY = 4
const MAX_BITS = 28

/** A table's header, each word read once, and checked against its region. Used up before the next table is opened. */
export class Table {
  region!: Region
  /** Word of the table; the index follows the header. */
  start = 0
  capacity = 0
  used = 0
  live = 0
  next = 0
  seed = 0
  bits = 0
  /** Word of the first entry. */
  entries = 0
  /** Words of an entry. */
  readonly stride: number

  constructor(valueBytes: number) {
    this.stride = VALUE + Math.ceil(valueBytes / 8) * 2
  }

  /** Opens the table that the cell at `p` points to; false when there is none. */
  open(region: Region, p: number): boolean {
    const lo = region.i32[p]! | 0
    const hi = region.i32[p + 1]! | 0
    if (lo === 0 && hi === 0) return false
    if (--region.budget < 0) region.spent()
    const home = locate(region, hi, lo, HEADER_WORDS)
    this.#read(home, ((lo - home.low) >>> 2) + home.shift)
    return true
  }

  #read(region: Region, start: number): void {
    const a = region.i32
    this.region = region
    this.start = start
    this.capacity = a[start]! >>> 0
    this.used = a[start + USED]! >>> 0
    this.live = a[start + LIVE]! >>> 0
    this.next = a[start + NEXT]! >>> 0
    this.seed = a[start + SEED]! | 0
    this.bits = a[start + BITS]! >>> 0
    if (this.bits < 1 || this.bits > MAX_BITS || this.used > this.capacity || this.live > this.used ||
        this.words > region.words - (start - region.shift)) {
      damaged('a map does not fit its region: the pointer is wild or the map damaged')
    }
    this.entries = start + HEADER_WORDS + (1 << this.bits)
  }

  get words(): number {
    return HEADER_WORDS + (1 << this.bits) + this.capacity * this.stride
  }

  entry(index: number): number {
    return this.entries + index * this.stride
  }

  /** Word of the entry with the prepared key, or -1. */
  find(keys: Keys): number {
    const hash = keys.hash(this.seed)
    const a = this.region.i32
    const index = this.start + HEADER_WORDS
    const mask = (1 << this.bits) - 1
    let place = hash >>> 32 - this.bits
    for (let probes = 0; probes <= mask; probes++) {
      const number = a[index + place]! >>> 0
      if (number === 0) return -1
      if (number > this.used || probes === MAX_PROBES) damaged('the index of a map is damaged, or its keys were chosen to collide')
      const entry = this.entry(number - 1)
      if (a[entry] === hash && keys.equals(this.region, entry + KEY)) return entry
      place = place + 1 & mask
    }
    return -1
  }

  /** Enters an entry, already written, into the index. */
  enter(hash: number, number: number): void {
    const a = this.region.i32
    const index = this.start + HEADER_WORDS
    const mask = (1 << this.bits) - 1
    let place = hash >>> 32 - this.bits
    for (let probes = 0; (a[index + place]! | 0) !== 0; probes++) {
      if (probes >= MAX_PROBES || probes > mask) damaged('the index of a map is full: it is damaged, or its keys were chosen to collide')
      place = place + 1 & mask
    }
    a[index + place] = number + 1
  }

  /** First entry from `from` on that is not removed and younger than `sequence`; -1 when there is none. */
  after(sequence: number, from: number): number {
    const a = this.region.i32
    for (let i = this.resume(sequence, from); i < this.used; i++) {
      const entry = this.entry(i)
      if ((a[entry]! | 0) !== 0 && a[entry + SEQUENCE]! >>> 0 > sequence) return i
    }
    return -1
  }

  // Where the table was rebuilt, entries moved to the front: search for the place by sequence number.
  private resume(sequence: number, from: number): number {
    const a = this.region.i32
    const guess = Math.min(from, this.used)
    if (guess === 0 || a[this.entry(guess - 1) + SEQUENCE]! >>> 0 <= sequence) return guess
    let low = 0
    let high = guess
    while (low < high) {
      const middle = low + high >>> 1
      if (a[this.entry(middle) + SEQUENCE]! >>> 0 <= sequence) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Makes an empty table and opens it. */
  make(source: Source, capacity: number, seed: number, next: number): void {
    const room = Math.max(MIN_CAPACITY, capacity)
    const bits = Math.ceil(Math.log2(room * 2))
    if (bits > MAX_BITS) damaged(`a map holds at most ${2 ** (MAX_BITS - 1)} entries`)
    const start = source.allocate((HEADER_WORDS + (1 << bits) + room * this.stride) * 4)
    const { region } = source
    const a = region.i32
    a.fill(0, start, start + HEADER_WORDS + (1 << bits))
    a[start] = room
    a[start + NEXT] = next
    a[start + SEED] = seed
    a[start + BITS] = bits
    this.#read(region, start)
  }

  /** Moves the live entries of another table here. */
  take(other: Table): void {
    const from = other.region.i32
    const to = this.region.i32
    let count = 0
    for (let i = 0; i < other.used; i++) {
      const source = other.entry(i)
      const hash = from[source]! | 0
      if (hash === 0) continue
      if (count === this.capacity) damaged('a map has more entries than it says')
      const target = this.entry(count)
      for (let k = 0; k < this.stride; k++) to[target + k] = from[source + k]!
      to[target] = hash
      this.enter(hash, count++)
    }
    this.used = count
    this.live = count
    to[this.start + USED] = count
    to[this.start + LIVE] = count
  }
}
