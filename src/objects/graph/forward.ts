import type { Region } from '../../memory/region.js'

/** Words of source memory that one page of a table covers. */
const PAGE_SHIFT = 14
const FEW = 100
const PAGE_ENTRIES = 1 << PAGE_SHIFT - 1
/** There are no more pages than one for so many objects: else a peer whose objects lie far apart makes us take 32 KiB for each. */
const OBJECTS_PER_PAGE = 64

/**
 * From the place of an object in one region to the number of its copy. A page of numbers for each 64 KiB of memory that objects
 * lie in: where objects lie side by side, so do their numbers, which a hash table would scatter. Takes at most half the memory
 * it covers, and at most some 600 bytes for each object.
 */
export class Forward<Kind> {
  readonly #pages: Array<Int32Array | undefined> = []
  #count = 0
  #pageCount = 0
  /** In the place of pages that are not worth their memory yet. */
  readonly #sparse = new Map<number, Map<number, number>>()
  /** The first few: most graphs are small, and a page is not. */
  #few: Map<number, number> | null = new Map()

  /** @param kind what the objects are; one place may hold several kinds. */
  constructor(readonly kind: Kind, readonly region: Region, readonly id: number) {}

  /** The number noted for the object at a word, or 0. */
  get(word: number): number {
    if (this.#few !== null) return this.#few.get(word) ?? 0
    const page = this.#pages[word >>> PAGE_SHIFT]
    return page === undefined ? this.#sparse.get(word >>> PAGE_SHIFT)?.get(word) ?? 0 : page[word >>> 1 & PAGE_ENTRIES - 1]!
  }

  set(word: number, number: number): void {
    const few = this.#few
    if (few === null) {
      this.#store(word, number)
      return
    }
    few.set(word, number)
    if (few.size <= FEW) return
    this.#few = null
    for (const [known, earlier] of few) this.#store(known, earlier)
  }

  #store(word: number, number: number): void {
    this.#count++
    const index = word >>> PAGE_SHIFT
    const page = this.#pages[index] ?? this.#makePage(index)
    if (page !== null) page[word >>> 1 & PAGE_ENTRIES - 1] = number
    else this.#storeSparse(index, word, number)
  }

  #makePage(index: number): Int32Array | null {
    if (this.#pageCount * OBJECTS_PER_PAGE > this.#count) return null
    this.#pageCount++
    const page = this.#pages[index] = new Int32Array(PAGE_ENTRIES)
    for (const [known, earlier] of this.#sparse.get(index) ?? []) page[known >>> 1 & PAGE_ENTRIES - 1] = earlier
    this.#sparse.delete(index)
    return page
  }

  #storeSparse(index: number, word: number, number: number): void {
    const few = this.#sparse.get(index)
    if (few === undefined) this.#sparse.set(index, new Map([[word, number]]))
    else few.set(word, number)
  }
}

/** The tables of one walk, by kind of object and region. */
export class Forwards<Kind> {
  readonly all: Array<Forward<Kind>> = []
  readonly #known = new Map<Kind, Map<Region, Forward<Kind>>>()
  #latest: Forward<Kind> | null = null

  of(kind: Kind, region: Region): Forward<Kind> {
    const latest = this.#latest
    return latest !== null && latest.kind === kind && latest.region === region ? latest : this.#find(kind, region)
  }

  #find(kind: Kind, region: Region): Forward<Kind> {
    let byRegion = this.#known.get(kind)
    if (byRegion === undefined) this.#known.set(kind, byRegion = new Map<Region, Forward<Kind>>())
    let found = byRegion.get(region)
    if (found === undefined) {
      found = new Forward(kind, region, this.all.length)
      this.all.push(found)
      byRegion.set(region, found)
    }
    this.#latest = found
    return found
  }
}

const FIRST_LENGTH = 16

/** Numbers at the end of which one adds and takes away; they are no burden to the garbage collector. */
export class Column {
  words: Int32Array = new Int32Array(FIRST_LENGTH)
  length = 0

  push(value: number): void {
    if (this.length === this.words.length) this.#grow()
    this.words[this.length++] = value
  }

  /** Adds four numbers. */
  push4(a: number, b: number, c: number, d: number): void {
    const at = this.length
    if (at + 4 > this.words.length) this.#grow()
    const { words } = this
    words[at] = a
    words[at + 1] = b
    words[at + 2] = c
    words[at + 3] = d
    this.length = at + 4
  }

  pop(): number {
    return this.words[--this.length]!
  }

  /** Drops the first numbers. */
  shift(count: number): void {
    this.words.copyWithin(0, count, this.length)
    this.length -= count
  }

  #grow(): void {
    const { words } = this
    this.words = new Int32Array(words.length * 2)
    this.words.set(words)
  }
}
