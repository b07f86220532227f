// A node of a sorted map, 8-byte aligned:
//
//   +0   u32  entries in use (16 bits) | level << 16: 0 for a leaf, a parent's level is one more than its children's
//   +4   u32  capacity C, an even number
//   +8   C × u32        prefixes: the beginning of each key as a number that keeps the order, so that a search reads few lines
//   +…   C × k × 8      keys, k parts each: see key.ts
//   +…   C × 8          values, as cells
//   +…   (C + 1) × 8    children, in nodes above level 0: child i holds what lies before entry i, the last one what lies behind
//
// Each entry lies in exactly one node, so each key is owned once. A root leaf starts small and grows to the full capacity.
import { locate, type Region } from '../../memory/region.js'
import { damaged } from '../problems.js'
import { willChange } from '../shared/journal.js'

const HEADER_WORDS = 2
/** Bytes of a full node: with them a million entries are four levels, and an insertion moves some hundred words. */
const NODE_WORDS = 256
const SMALL_LEAVES: readonly number[] = [6, 24]
/** Nodes of ten entries or more make some 10^12 entries of twelve levels. */
export const MAX_LEVELS = 12

/** How the nodes of one type of sorted map are laid out. */
export class NodeShape {
  /** Words of a key. */
  readonly keyWords: number
  /** Words that an entry takes, prefix and value included. */
  readonly entryWords: number
  readonly leafCapacity: number
  readonly innerCapacity: number

  constructor(parts: number) {
    this.keyWords = parts * 2
    this.entryWords = 3 + this.keyWords
    this.leafCapacity = Math.floor((NODE_WORDS - HEADER_WORDS) / this.entryWords) & ~1
    this.innerCapacity = Math.floor((NODE_WORDS - HEADER_WORDS - 2) / (this.entryWords + 2)) & ~1
  }

  words(level: number, capacity: number): number {
    return HEADER_WORDS + capacity * this.entryWords + (level === 0 ? 0 : (capacity + 1) * 2)
  }

  capacityAt(level: number): number {
    return level === 0 ? this.leafCapacity : this.innerCapacity
  }

  /** Capacity of a root leaf for so many entries. */
  firstCapacity(entries: number): number {
    return SMALL_LEAVES.find((capacity) => capacity >= entries && capacity < this.leafCapacity) ?? this.leafCapacity
  }
}

/** A node's header, read once and checked. Used again for the next node. */
export class Node {
  region!: Region
  word = 0
  level = 0
  count = 0
  capacity = 0
  /** Where a search or walk stands: before entry `at`, in child `at`. */
  at = 0
  keys = 0
  values = 0
  children = 0

  constructor(readonly shape: NodeShape) {}

  /** Opens the node at a pointer. `level` is what it must be, or -1 for a root. */
  open(region: Region, lo: number, hi: number, level: number): void {
    let home = region
    let k = (lo - region.low) >>> 2
    if (hi !== region.high || k > region.words - HEADER_WORDS) {
      home = locate(region, hi, lo, HEADER_WORDS)
      k = (lo - home.low) >>> 2
    }
    if (--region.budget < 0) region.spent()
    const word = k + home.shift
    const head = home.i32[word]! | 0
    const capacity = home.i32[word + 1]! >>> 0
    const count = head & 0xffff
    const found = head >>> 16
    const { shape } = this
    const known = capacity === shape.capacityAt(found) || (found === 0 && level < 0 && SMALL_LEAVES.includes(capacity))
    if (!known || found > MAX_LEVELS || (level >= 0 && found !== level) || count > capacity || (found > 0 && count === 0) ||
        shape.words(found, capacity) > home.words - k) {
      damaged('a node of a sorted map is damaged, or the pointer to it wild')
    }
    this.region = home
    this.word = word
    this.level = found
    this.count = count
    this.capacity = capacity
    this.keys = word + HEADER_WORDS + capacity
    this.values = this.keys + capacity * shape.keyWords
    this.children = this.values + capacity * 2
  }

  /** Opens child `i` of another node. */
  openChild(parent: Node, i: number): void {
    const { i32 } = parent.region
    const at = parent.children + i * 2
    this.open(parent.region, i32[at]! | 0, i32[at + 1]! | 0, parent.level - 1)
  }

  /** Makes the fresh block at `word` an empty node. */
  make(region: Region, word: number, level: number, capacity: number): void {
    region.i32[word] = level << 16
    region.i32[word + 1] = capacity
    this.region = region
    this.word = word
    this.level = level
    this.count = 0
    this.capacity = capacity
    this.keys = word + HEADER_WORDS + capacity
    this.values = this.keys + capacity * this.shape.keyWords
    this.children = this.values + capacity * 2
  }

  prefix(i: number): number {
    return this.region.i32[this.word + HEADER_WORDS + i]! >>> 0
  }

  key(i: number): number {
    return this.keys + i * this.shape.keyWords
  }

  value(i: number): number {
    return this.values + i * 2
  }

  setCount(count: number): void {
    this.count = count
    this.region.i32[this.word] = count | this.level << 16
  }

  setChild(i: number, lo: number, hi: number): void {
    const { i32 } = this.region
    i32[this.children + i * 2] = lo
    i32[this.children + i * 2 + 1] = hi
  }

  /** Announces that the node is about to change: see journal.ts. */
  willChange(): void {
    willChange(this.region, this.word, this.shape.words(this.level, this.capacity))
  }

  /** Copies `count` entries from index `from` of `source` to index `to` of this node, which may be the same. */
  take(source: Node, from: number, to: number, count: number): void {
    if (count <= 0) return
    const { keyWords } = this.shape
    const a = source.region.i32
    const b = this.region.i32
    move(a, source.word + HEADER_WORDS + from, b, this.word + HEADER_WORDS + to, count)
    move(a, source.key(from), b, this.key(to), count * keyWords)
    move(a, source.value(from), b, this.value(to), count * 2)
  }

  /** The same for children. */
  takeChildren(source: Node, from: number, to: number, count: number): void {
    if (count > 0) move(source.region.i32, source.children + from * 2, this.region.i32, this.children + to * 2, count * 2)
  }
}

// Overlapping only within one node. Few words at a time: a loop beats copyWithin.
function move(from: Int32Array, p: number, to: Int32Array, q: number, words: number): void {
  if (p < q && from === to) for (let i = words - 1; i >= 0; i--) to[q + i] = from[p + i]!
  else for (let i = 0; i < words; i++) to[q + i] = from[p + i]!
}
