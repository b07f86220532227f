// A chunk of a map's entries:
//
//   +0   u32  next chunk's id + 1, 0 = none       +16  u32  capacity in words
//   +4   u32  previous chunk's id + 1             +20  u32  words of removed entries
//   +8   u32  end: words in use, header included  +24  u32  sequence number of the latest entry put in
//   +12  u32  entries that are not removed        +28  u32  0
//   +32  entries
//
//   entry   +0  u32 sequence number, 0 = removed    +4  u32 id of the chunk; of a removed entry its words
//           +8  u64 key's cell                      +16 value, in its inline form, rounded up to 8
//           +…  units of a text key that is too long for its cell and short enough to lie here (key.ts)
import type { Region } from '../../memory/region.js'
import { willChange } from '../shared/journal.js'
import { Place } from './table.js'
import { damaged } from '../problems.js'
import { wordsBeside } from './key.js'

export const CHUNK_HEADER_WORDS = 8
const NEXT = 0
const PREVIOUS = 1
const END = 2
const LIVE = 3
const CAPACITY = 4
const DEAD = 5
const LATEST = 6

/** Words of a chunk, unless a single entry needs more: with them a chunk fills a size class of every heap but the smallest. */
export const CHUNK_WORDS = 512
export const SEQUENCE = 0
export const CHUNK = 1
export const KEY = 2
export const VALUE = 4

const place = new Place()

/** A chunk's header, read once and checked. Used again for the next chunk. */
export class Chunk {
  region!: Region
  word = 0
  id = 0
  next = 0
  previous = 0
  end = 0
  live = 0
  capacity = 0
  dead = 0
  latest = 0

  /** @param hasText keys are texts, whose units may lie beside the entries. */
  constructor(readonly valueWords: number, readonly hasText: boolean) {}

  /** Opens the chunk that the directory's place at `at` points to. */
  open(directory: Region, at: number, id: number): void {
    place.resolve(directory, at, CHUNK_HEADER_WORDS)
    const { region, word } = place
    const a = region.i32
    this.region = region
    this.word = word
    this.id = id
    this.next = a[word + NEXT]! >>> 0
    this.previous = a[word + PREVIOUS]! >>> 0
    this.end = a[word + END]! >>> 0
    this.live = a[word + LIVE]! >>> 0
    this.capacity = a[word + CAPACITY]! >>> 0
    this.dead = a[word + DEAD]! >>> 0
    this.latest = a[word + LATEST]! >>> 0
    if (this.end < CHUNK_HEADER_WORDS || this.end > this.capacity || this.capacity > region.words - (word - region.shift)) {
      damaged('a map is damaged: its entries do not fit their region')
    }
  }

  /** Makes the fresh block at `word` an empty chunk. */
  make(region: Region, word: number, id: number, capacity: number): void {
    region.i32.fill(0, word, word + CHUNK_HEADER_WORDS)
    this.region = region
    this.word = word
    this.id = id
    this.next = 0
    this.previous = 0
    this.live = 0
    this.dead = 0
    this.latest = 0
    this.capacity = capacity
    this.end = CHUNK_HEADER_WORDS
    region.i32[word + CAPACITY] = capacity
    region.i32[word + END] = CHUNK_HEADER_WORDS
  }

  /** Writes the header back, as it is here now. */
  store(): void {
    const { region, word } = this
    const a = region.i32
    willChange(region, word, CHUNK_HEADER_WORDS)
    a[word + NEXT] = this.next
    a[word + PREVIOUS] = this.previous
    a[word + END] = this.end
    a[word + LIVE] = this.live
    a[word + DEAD] = this.dead
    a[word + LATEST] = this.latest
  }

  get liveWords(): number {
    return Math.max(0, this.end - CHUNK_HEADER_WORDS - this.dead)
  }

  /** Words of the entry at `offset`, which lies wholly before the chunk's end. */
  sizeAt(offset: number): number {
    const { region, word, end } = this
    const least = VALUE + this.valueWords
    if (offset < CHUNK_HEADER_WORDS || offset + least > end) damaged('a map is damaged: an entry leaves its chunk')
    const entry = word + offset
    const a = region.i32
    let size = least
    if ((a[entry + SEQUENCE]! | 0) === 0) size = a[entry + CHUNK]! >>> 0
    else if (this.hasText) size += evenWords(wordsBeside(a[entry + KEY]! | 0))
    if (size < least || (size & 1) !== 0 || offset + size > end) damaged('a map is damaged: an entry leaves its chunk')
    return size
  }

}

/** Entries start at multiples of 8 bytes. */
export function evenWords(words: number): number {
  return words + 1 & ~1
}
