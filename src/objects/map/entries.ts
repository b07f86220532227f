// The entries of a map, in chunks (chunk.ts) that are linked in order of insertion. Removing leaves a gap; a chunk without
// entries goes, and one that has few left takes up those of the chunk before it.
import type { Region } from '../../memory/region.js'
import type { Source } from '../graph/build.js'
import { refuseWrite, willChange } from '../shared/journal.js'
import { Chunk, CHUNK, CHUNK_HEADER_WORDS, CHUNK_WORDS, evenWords, KEY, SEQUENCE, VALUE } from './chunk.js'
import type { MapIndex } from './hash-index.js'
import type { Keys } from './key.js'
import { ChunkOrder, type Cursor } from './order.js'
import { CHUNKS, EPOCH, FIRST, FREE, IDS, LAST, MAX_CHUNKS, NEXT, Place, ROOM, type Drop, type Table } from './table.js'
import { damaged } from '../problems.js'

/** Entries that are found by looking at all of them. */
export const UNINDEXED_MAX = 8
/** Chunks of so few: each has one at least, but the latest while its first is still to come. */
const SCANNED_CHUNKS = UNINDEXED_MAX + 1
/** Entries in these, removed ones included; a longer chunk has one only. */
const SCANNED_MAX = SCANNED_CHUNKS * CHUNK_WORDS / VALUE
const FIRST_CHUNK_WORDS = 64
const FIRST_ROOM = 4
const MAX_SEQUENCE = 0xffff_fffe

const place = new Place()

interface Room {
  readonly directory: { readonly region: Region, readonly word: number, readonly room: number } | null
  readonly chunk: { readonly region: Region, readonly word: number, readonly capacity: number } | null
}

/** The entries of the map whose table is open. */
export class MapEntries {
  /** The latest entry found, put in or walked to. */
  region!: Region
  word = 0
  readonly #chunk: Chunk
  readonly #other: Chunk
  /** Words from an entry to the units of its key. */
  readonly #unitsAt: number
  readonly #order: ChunkOrder
  #room: Room = { directory: null, chunk: null }

  constructor(readonly table: Table, readonly index: MapIndex, readonly keys: Keys, readonly valueWords: number) {
    index.entries = this
    this.#unitsAt = VALUE + valueWords
    this.#order = new ChunkOrder(table, valueWords, keys.hasText)
    this.#chunk = new Chunk(valueWords, keys.hasText)
    this.#other = new Chunk(valueWords, keys.hasText)
  }

  /** Whether the entry at an address has the prepared key, and then is the latest. */
  matches(high: number, low: number): boolean {
    // The header of its chunk is not looked at, which saves a line of memory: what is no entry does not have the key.
    place.follow(this.table.region, low, high, VALUE + this.valueWords)
    const { region, word } = place
    if (!this.keys.equals(region, word + KEY, word + this.#unitsAt)) return false
    this.region = region
    this.word = word
    return true
  }

  /** Prepares the key of the latest entry. */
  take(keys: Keys, seed: number): void {
    keys.take(this.region, this.word + KEY, this.word + this.#unitsAt, seed)
  }

  /** The key of the latest entry. */
  readKey(): unknown {
    return this.keys.read(this.region, this.word + KEY, this.word + this.#unitsAt)
  }

  /** The hash of the key of the entry at an address. */
  hashAt(high: number, low: number): number {
    place.follow(this.table.region, low, high, VALUE)
    return this.keys.hashAt(place.region, place.word + KEY, this.table.seed)
  }

  /** The hash of the latest entry's key. */
  get hash(): number {
    return this.keys.hashAt(this.region, this.word + KEY, this.table.seed)
  }

  /** Searches all entries, of a map that is too small for an index. */
  scan(): boolean {
    const { table } = this
    let chunks = SCANNED_CHUNKS
    let left = SCANNED_MAX
    for (let id = table.get(FIRST); id !== 0; id = this.#chunk.next) {
      if (--chunks < 0) tooMany()
      const chunk = this.#order.open(this.#chunk, id - 1)
      const { region } = chunk
      for (let offset = CHUNK_HEADER_WORDS; offset < chunk.end;) {
        if (--left < 0) tooMany()
        const word = chunk.word + offset
        offset += chunk.sizeAt(offset)
        if ((region.i32[word + SEQUENCE]! | 0) === 0 || !this.keys.equals(region, word + KEY, word + this.#unitsAt)) continue
        this.region = region
        this.word = word
        return true
      }
    }
    return false
  }

  /**
   * Calls back with each entry in order of insertion; {@link region} and {@link word} are then the entry's.
   * @param spend told of entries passed over, which take as long as those visited.
   */
  forEach(visit: () => void, spend: (entries: number) => void = unlimited): void {
    this.#order.forEach((chunk) => {
      let removed = 0
      for (let offset = CHUNK_HEADER_WORDS; offset < chunk.end;) {
        const size = chunk.sizeAt(offset)
        this.region = chunk.region
        this.word = chunk.word + offset
        offset += size
        if ((this.region.i32[this.word + SEQUENCE]! | 0) === 0) removed++
        else visit()
      }
      spend(removed)
    })
  }

  /** Calls back with each block: the directory, and all chunks. */
  forEachBlock(visit: Drop): void {
    const { region, start } = this.table
    this.#order.forEach(({ region: home, word }) => visit(home, word))
    if (this.table.get(ROOM) === 0) return
    place.resolve(region, start + CHUNKS, 2)
    visit(place.region, place.word)
  }

  /** Goes to the next entry of an iteration; false at the end. */
  step(cursor: Cursor): boolean {
    const { region, start } = this.table
    const table = region.lowOf(start)
    // The map was replaced by another one, all of which is still to come.
    if (cursor.table !== table) {
      cursor.table = table
      cursor.sequence = 0
      cursor.id = 0
    }
    const epoch = this.table.get(EPOCH)
    if (cursor.epoch !== epoch || cursor.id === 0) {
      cursor.id = this.#order.resume(this.#chunk, cursor)
      cursor.offset = CHUNK_HEADER_WORDS
      cursor.epoch = epoch
    }
    let hasLeft = false
    while (cursor.id !== 0) {
      const chunk = this.#order.open(this.#chunk, cursor.id - 1)
      while (cursor.offset < chunk.end) {
        const word = chunk.word + cursor.offset
        cursor.offset += chunk.sizeAt(cursor.offset)
        const sequence = chunk.region.i32[word + SEQUENCE]! >>> 0
        if (sequence <= cursor.sequence) {
          this.#order.spend()
          continue
        }
        cursor.sequence = sequence
        this.region = chunk.region
        this.word = word
        return true
      }
      // Of the last chunk the end is kept: entries may still come.
      if (chunk.next === 0) return false
      this.#order.leave(chunk, hasLeft)
      hasLeft = true
      cursor.id = chunk.next
      cursor.offset = CHUNK_HEADER_WORDS
    }
    return false
  }

  /**
   * Allocates what {@link append} needs for an entry with the prepared key. When it throws, nothing has changed.
   * @param expected entries that are still to come, as far as known.
   */
  prepare(source: Source, expected: number): void {
    const { table } = this
    const words = this.#unitsAt + evenWords(this.keys.wordsBeside)
    const last = table.get(LAST)
    let capacity = FIRST_CHUNK_WORDS
    this.#room = { directory: null, chunk: null }
    if (table.get(NEXT) > MAX_SEQUENCE) damaged('a map was changed four billion times: assign a fresh copy of it')
    if (last !== 0) {
      const chunk = this.#order.open(this.#chunk, last - 1)
      if (chunk.end + words <= chunk.capacity) return
      if (chunk.capacity <= CHUNK_WORDS && chunk.dead * 2 > chunk.end && chunk.liveWords + CHUNK_HEADER_WORDS + words <= chunk.capacity) return
      capacity = Math.min(CHUNK_WORDS, chunk.capacity * 2)
    }
    capacity = Math.max(capacity, CHUNK_HEADER_WORDS + words, Math.min(CHUNK_WORDS, CHUNK_HEADER_WORDS + expected * words))
    const room = table.get(ROOM)
    let directory: Room['directory'] = null
    if (table.get(FREE) === 0 && table.ids === room) {
      const larger = Math.min(MAX_CHUNKS, Math.max(FIRST_ROOM, room * 2))
      if (larger === room) damaged('a map has too many entries')
      const word = source.allocate(larger * 8)
      directory = { region: source.region, word, room: larger }
    }
    const word = source.allocate(capacity * 4)
    this.#room = { directory, chunk: { region: source.region, word, capacity } }
  }

  /** Puts in an entry with the prepared key, which is then the latest; {@link prepare} came before. Its value is the caller's to write. */
  append(drop: Drop): void {
    const { table, keys } = this
    const words = this.#unitsAt + evenWords(keys.wordsBeside)
    const { directory, chunk: fresh } = this.#room
    const chunk = this.#chunk
    table.willChange()
    if (directory !== null) this.#growDirectory(directory, drop)
    if (fresh !== null) this.#addChunk(fresh)
    this.#order.open(chunk, table.get(LAST) - 1)
    if (chunk.end + words > chunk.capacity) {
      if (chunk.capacity <= CHUNK_WORDS) this.#pack(chunk, null)
      if (chunk.end + words > chunk.capacity) damaged('a map is damaged: a chunk has less room than it says')
    }
    const { region } = chunk
    if (region.readOnly) refuseWrite('what is pointed to', region)
    const offset = chunk.end
    const entry = chunk.word + offset
    const sequence = table.get(NEXT)
    const a = region.i32
    a[entry + SEQUENCE] = sequence
    a[entry + CHUNK] = chunk.id
    keys.store(region, entry + KEY, entry + this.#unitsAt)
    chunk.end += words
    chunk.live++
    chunk.latest = sequence
    chunk.store()
    table.set(NEXT, sequence + 1)
    this.region = region
    this.word = entry
  }

  #growDirectory({ region, word, room }: NonNullable<Room['directory']>, drop: Drop): void {
    const { table } = this
    if (table.ids > 0) {
      place.resolve(table.region, table.start + CHUNKS, table.ids * 2)
      const from = place.region.i32
      for (let i = 0; i < table.ids * 2; i++) region.i32[word + i] = from[place.word + i]!
      drop(place.region, place.word)
    }
    table.point(CHUNKS, region, word)
    table.set(ROOM, room)
  }

  #addChunk({ region, word, capacity }: NonNullable<Room['chunk']>): void {
    const { table } = this
    const free = table.get(FREE)
    const id = free === 0 ? table.ids : free - 1
    place.resolve(table.region, table.start + CHUNKS, (id + 1) * 2)
    const { region: home, word: directory } = place
    const at = directory + id * 2
    if (free === 0) {
      table.ids++
      table.set(IDS, table.ids)
    } else {
      const next = home.i32[at + 1]! >>> 0
      if (id >= table.ids || next > table.ids) damaged('a map is damaged: its free chunks are not')
      table.set(FREE, next)
    }
    willChange(home, at, 2)
    home.i32[at] = region.lowOf(word)
    home.i32[at + 1] = region.high
    const chunk = this.#chunk
    const last = table.get(LAST)
    if (last === 0) table.set(FIRST, id + 1)
    else {
      this.#order.open(chunk, last - 1).next = id + 1
      chunk.store()
    }
    chunk.make(region, word, id, capacity)
    chunk.previous = last
    chunk.store()
    table.set(LAST, id + 1)
  }

  /** Takes out the latest entry, which was found before; what it owned was gathered. */
  remove(drop: Drop): void {
    const { table, region, word } = this
    const chunk = this.#order.open(this.#chunk, region.i32[word + CHUNK]! >>> 0)
    if (chunk.region !== region) damaged('a map is damaged: an entry lies outside its chunk')
    const size = chunk.sizeAt(word - chunk.word)
    willChange(region, word, 2)
    region.i32[word + SEQUENCE] = 0
    region.i32[word + CHUNK] = size
    chunk.live = Math.max(0, chunk.live - 1)
    chunk.dead += size
    chunk.store()
    if (chunk.live === 0) {
      table.willChange()
      this.#unlink(chunk, drop)
      return
    }
    if (chunk.previous === 0 || chunk.capacity > CHUNK_WORDS || chunk.liveWords * 4 > chunk.capacity) return
    const before = this.#order.open(this.#other, chunk.previous - 1)
    if ((before.liveWords + chunk.liveWords) * 4 > chunk.capacity * 3 || before.capacity > CHUNK_WORDS) return
    table.willChange()
    this.#pack(chunk, before)
    this.#unlink(before, drop)
  }

  /** Closes the gaps of a chunk, whose entries move up behind those of the chunk before, if one is given. */
  #pack(chunk: Chunk, before: Chunk | null): void {
    const { table } = this
    const kept = new Int32Array(chunk.capacity)
    const moved: Array<{ readonly low: number, readonly to: number, readonly hash: number }> = []
    let end = CHUNK_HEADER_WORDS
    for (const source of before === null ? [chunk] : [before, chunk]) {
      const { region, word } = source
      for (let offset = CHUNK_HEADER_WORDS; offset < source.end;) {
        const size = source.sizeAt(offset)
        const entry = word + offset
        offset += size
        if ((region.i32[entry + SEQUENCE]! | 0) === 0) continue
        if (end + size > chunk.capacity) damaged('a map is damaged: a chunk holds more than it says')
        for (let i = 0; i < size; i++) kept[end + i] = region.i32[entry + i]!
        kept[end + CHUNK] = chunk.id
        moved.push({ low: region.lowOf(entry), to: chunk.word + end, hash: this.keys.hashAt(region, entry + KEY, table.seed) })
        end += size
      }
    }
    const { region, word } = chunk
    willChange(region, word, chunk.capacity)
    for (let i = CHUNK_HEADER_WORDS; i < end; i++) region.i32[word + i] = kept[i]!
    if (table.depth >= 0) for (const { low, to, hash } of moved) this.index.replace(hash, low, region, to)
    chunk.end = end
    chunk.dead = 0
    chunk.live = moved.length
    chunk.store()
    table.set(EPOCH, table.get(EPOCH) + 1)
  }

  /** Takes a chunk out of the order and frees it. */
  #unlink(chunk: Chunk, drop: Drop): void {
    const { table } = this
    const { id, next, previous, region, word } = chunk
    const neighbour = chunk === this.#other ? this.#chunk : this.#other
    if (previous === 0) table.set(FIRST, next)
    else {
      this.#order.open(neighbour, previous - 1).next = next
      neighbour.store()
    }
    if (next === 0) table.set(LAST, previous)
    else {
      this.#order.open(neighbour, next - 1).previous = previous
      neighbour.store()
    }
    place.resolve(table.region, table.start + CHUNKS, (id + 1) * 2)
    const at = place.word + id * 2
    willChange(place.region, at, 2)
    place.region.i32[at] = 0
    place.region.i32[at + 1] = table.get(FREE)
    table.set(FREE, id + 1)
    table.set(EPOCH, table.get(EPOCH) + 1)
    drop(region, word)
  }
}

function unlimited(): void {}

function tooMany(): never {
  damaged('a map is damaged: it has more entries than one without an index')
}
