// A document is put together in private memory, records after their contents, and copied into shared memory in few blocks.
import { RpcError } from '../../base/errors.js'
import {
  ARRAY, DICTIONARY, DICTIONARY_WORDS, DOCUMENT_MAGIC, DOCUMENT_WORDS, ENTRY_WORDS, INLINE_TEXT, NEAR_TEXT, OBJECT, OWNED, RECORD_WORDS,
  RELATIVE, SEED_SHIFT, TEXT,
} from '../../layout/json-layout.js'
import type { Allocator, Region } from '../../memory/region.js'
import type { Source } from '../graph/build.js'
import { damaged } from '../problems.js'
import { type Intern, internOf, type KeyNode } from './intern.js'
import { keyedHash } from '../text/keyed-hash.js'
import { wordsOf } from '../text/read.js'
import { fillSeeded, freePlace, seededHash, seededInline } from './index-table.js'
import { INDEXED_FROM, MAX_JSON_LENGTH } from './limits.js'
import { openedText, openText } from './read.js'
import { isStaged, Staging } from './staging.js'

/** Blocks that the allocator would round up are avoided below this many bytes, then blocks are whole spans. */
const SMALL_BLOCK_BYTES = 8192
const SPANS_FROM = 64
/** Above this many words a bulk copy beats a loop (measured). */
const LOOP_WORDS = 192
const EIGHT_SPANS_FROM = 1024
// Tags of addresses follow each other: near text, text, object, array.
const NEAR_TEXT_TAG = NEAR_TEXT & 0xffff
const OBJECT_KIND = OBJECT - NEAR_TEXT
const ADDRESS_KINDS = ARRAY - NEAR_TEXT

/** Times that a key is read again at most: where few are compared with one another some 15 times, otherwise thrice, and once for an index. */
const REREAD_MAX = 20

/** Where the latest document was put. */
export interface Built {
  lo: number
  hi: number
  region: Region
  word: number
}

/**
 * The making of one document. Values are pushed as cells onto a private stack; closing an array or object moves its cells
 * into a record. Nothing is visible to others before {@link finish}.
 */
export class JsonBuilder extends Staging {
  intern: Intern | null = null
  #source!: Source
  #smallMax = SMALL_BLOCK_BYTES
  #limit = 0
  /** Words already in blocks of the document, and the addresses of these blocks. */
  #flushed = 0
  /** Words of keys that were read there again. */
  #reread = 0
  readonly #chunks: number[] = []
  #lastRegion: Region | null = null
  /** Of a document that is an object with a shape, whose cells are still on the stack: they go from there into its block. */
  #rootNode: KeyNode | null = null
  /** Cells of the stack below this position hold no relative address. */
  #mark = 0
  #keyMark = 0

  /** Starts a document whose blocks come from `source`; its shapes belong to the allocator. */
  begin(source: Source, allocator: Allocator): void {
    this.clear()
    this.#source = source
    this.intern = internOf(allocator)
    this.#smallMax = allocator.smallMax ?? SMALL_BLOCK_BYTES
    this.#flushed = 0
    this.#reread = 0
    if (this.#chunks.length > 0) this.#chunks.length = 0
    this.#lastRegion = null
    this.#rootNode = null
    this.#mark = 0
    this.#keyMark = 0
    this.#setLimit()
  }

  #setLimit(): void {
    const max = this.#smallMax
    const bytes = this.#flushed * 4 < SPANS_FROM * max ? max : this.#flushed * 4 < EIGHT_SPANS_FROM * max ? max * 8 : max * 64
    this.#limit = bytes >>> 2
  }

  /** Makes room for words of text or cells; what is there goes into a block when it would not fit beside them. */
  protected override makeRoom(words: number): void {
    const used = this.cellsUsed + this.textUsed
    if (used > 0 && used + words > this.#limit) this.#flush()
  }

  override pop(to: number): void {
    this.sp = to
    if (to < this.#mark) this.#mark = to
  }

  override popKeys(to: number): void {
    this.kp = to
    if (to < this.#keyMark) this.#keyMark = to
  }

  /** Whether the keys at two positions are the same text. */
  sameKeys(a: number, b: number): boolean {
    const { keys } = this
    if (keys[a + 1]! >> 16 === INLINE_TEXT || keys[b + 1]! >> 16 === INLINE_TEXT) return keys[a] === keys[b] && keys[a + 1] === keys[b + 1]
    this.#openKey(a)
    const { a: words, start, head, words: count } = openedText
    this.#openKey(b)
    if (head !== openedText.head) return false
    for (let i = 0; i < count; i++) if (words[start + i] !== openedText.a[openedText.start + i]) return false
    return true
  }

  /** Hash of all of the key at a position, under a key of its own. */
  keyedHash(at: number, key0: number, key1: number): number {
    if (this.keys[at + 1]! >> 16 === INLINE_TEXT) return keyedHash(key0, key1, 0, this.keys, at, 2)
    this.#openKey(at)
    return keyedHash(key0, key1, openedText.head, openedText.a, openedText.start, openedText.words)
  }

  #openKey(at: number): void {
    const lo = this.keys[at]!
    const hi = this.keys[at + 1]!
    if (!isStaged(lo, hi)) {
      // It went into a block.
      const { high } = this.#lastRegion!
      openText(this.#lastRegion!, hi >> 16 === TEXT ? hi & 0xffff : high, lo)
      this.#reread += openedText.words
      // Each key would be as long as all memory if a peer said so meanwhile.
      if (this.#reread > REREAD_MAX * this.#flushed) damaged('the keys of an object changed while it was built')
      return
    }
    const { text } = this
    openedText.a = text
    openedText.start = (lo >>> 2) + 1
    openedText.head = text[lo >>> 2]!
    openedText.words = wordsOf(openedText.head)
  }

  /** Takes the cells from `start` of the stack as the elements of an array, and pushes it. */
  closeArray(start: number): void {
    const words = this.sp - start
    requireLength(words >>> 1)
    const at = this.record(RECORD_WORDS + words)
    this.cells[at] = words >>> 1
    this.cells[at + 1] = words >>> 1
    this.#take(start, at + RECORD_WORDS)
    this.#pushRecord(ARRAY, at)
  }

  /** The same for an object whose keys are those of a node with a shape, or none. */
  closeShaped(start: number, node: KeyNode | null): void {
    const at = this.record(RECORD_WORDS + this.sp - start)
    this.cells[at] = node === null ? 0 : node.shapeLo
    this.cells[at + 1] = node === null ? 0 : node.shapeHi
    this.#take(start, at + RECORD_WORDS)
    this.#pushRecord(OBJECT, at)
  }

  /** Takes all cells of the stack as those of the document, which is an object; nothing comes after it. */
  closeDocument(node: KeyNode): void {
    this.makeRoom(RECORD_WORDS + this.sp)
    this.#rootNode = node
  }

  /** The same for an object whose keys, which are distinct, are those from `keyStart` of the stack of keys. */
  closeDictionary(start: number, keyStart: number): void {
    const count = this.sp - start >>> 1
    if (count > MAX_JSON_LENGTH) throw new RpcError('INVALID_ARGUMENT', `an object of json has at most ${MAX_JSON_LENGTH} keys`)
    const bits = count < INDEXED_FROM ? 0 : 32 - Math.clz32(count * 2 - 1)
    const index = bits === 0 ? 0 : 1 << bits
    const at = this.record(DICTIONARY_WORDS + count * ENTRY_WORDS + index)
    const { cells, stack, keys } = this
    cells[at] = count
    cells[at + 1] = DICTIONARY | bits
    cells[at + 2] = count
    cells[at + 3] = count
    let to = at + DICTIONARY_WORDS
    for (let i = start, k = keyStart; i < this.sp; i += 2, k += 2, to += ENTRY_WORDS) {
      cells[to] = keys[k]!
      cells[to + 1] = keys[k + 1]!
      cells[to + 2] = stack[i]!
      cells[to + 3] = stack[i + 1]!
    }
    if (bits > 0) cells[at + 1] = DICTIONARY | this.#index(to, keyStart, count, bits) << SEED_SHIFT | bits
    this.popKeys(keyStart)
    this.pop(start)
    this.#pushRecord(OBJECT, at)
  }

  /** Makes the index; returns its seed. */
  #index(index: number, keyStart: number, count: number, bits: number): number {
    const { cells, hashes } = this
    const base = keyStart >>> 1
    cells.fill(0, index, index + (1 << bits))
    for (let i = 0; i < count; i++) {
      const place = freePlace(cells, index, bits, hashes[base + i]!)
      if (place < 0) return fillSeeded(cells, index, bits, count, (entry, seed) => this.#seededHash(keyStart + entry * 2, seed))
      cells[index + place] = i + 1
    }
    return 0
  }

  #seededHash(at: number, seed: number): number {
    if (this.keys[at + 1]! >> 16 === INLINE_TEXT) return seededInline(seed, this.keys[at]!, this.keys[at + 1]!)
    this.#openKey(at)
    return seededHash(seed, openedText.head, openedText.a, openedText.start, openedText.words)
  }

  #take(start: number, to: number): void {
    const { cells, stack, sp } = this
    if (sp - start <= 256) for (let i = start, k = to; i < sp; i++, k++) cells[k] = stack[i]!
    else cells.set(stack.subarray(start, sp), to)
    this.pop(start)
  }

  #pushRecord(tag: number, at: number): void {
    this.push(at << 2 | RELATIVE, tag << 16)
  }

  /** Puts what is staged into a block, and makes the addresses of it that lie on the stack absolute. */
  #flush(): void {
    const words = this.cellsUsed + this.textUsed
    const word = this.#source.allocate(words * 4)
    const { region } = this.#source
    this.#enterRegion(region)
    const cellBase = region.lowOf(word)
    const textBase = cellBase + this.cellsUsed * 4 | 0
    copyCells(this.cells, 0, this.cellsUsed, region.i32, word, cellBase, textBase, region.high)
    this.#copyText(region.i32, word + this.cellsUsed)
    relocate(this.stack, this.#mark, this.sp, cellBase, textBase, region.high)
    relocate(this.keys, this.#keyMark, this.kp, cellBase, textBase, region.high)
    this.#mark = this.sp
    this.#keyMark = this.kp
    this.#chunks.push(cellBase, region.high)
    this.#flushed += words
    this.cellsUsed = 0
    this.textUsed = 0
    this.#setLimit()
  }

  /**
   * Ends the document whose only value is on the stack: `built` tells its cell, and of an object or array where it lies.
   * The blocks are the source's owner's.
   */
  finish(): Built {
    const lo = this.stack[0]!
    const hi = this.stack[1]!
    const tag = hi >> 16
    if (this.#rootNode !== null) this.#finishRecord(this.cellsUsed, OBJECT, this.#rootNode)
    else if (tag === OBJECT || tag === ARRAY) this.#finishRecord(lo >>> 2 & ~1, tag, null)
    else if (tag === NEAR_TEXT || tag === TEXT) this.#finishText(lo & ~3)
    else {
      built.lo = lo
      built.hi = hi
    }
    this.sp = 0
    return built
  }

  #finishText(at: number): void {
    const words = this.textUsed - (at >>> 2)
    const word = this.#source.allocate(words * 4)
    const { region } = this.#source
    this.#copyText(region.i32, word)
    built.lo = region.lowOf(word) | OWNED
    built.hi = TEXT << 16 | region.high
  }

  // The root is the record that was made last, or is on the stack: [header | root | other cells | texts | chunk table].
  #finishRecord(root: number, tag: number, node: KeyNode | null): void {
    const rootWords = node === null ? this.cellsUsed - root : RECORD_WORDS + this.sp
    const chunks = this.#chunks
    const tableWords = chunks.length === 0 ? 0 : 2 + chunks.length
    const total = DOCUMENT_WORDS + rootWords + root + this.textUsed
    const word = this.#source.allocate((total + (total & 1) + tableWords) * 4)
    const { region } = this.#source
    this.#enterRegion(region)
    const a = region.i32
    const first = word + DOCUMENT_WORDS
    const cellBase = region.lowOf(first + rootWords)
    const texts = first + rootWords + root
    const textBase = region.lowOf(texts)
    if (node === null) copyCells(this.cells, root, this.cellsUsed, a, first, cellBase, textBase, region.high)
    else {
      a[first] = node.shapeLo
      a[first + 1] = node.shapeHi
      copyCells(this.stack, 0, this.sp, a, first + RECORD_WORDS, cellBase, textBase, region.high)
    }
    copyCells(this.cells, 0, root, a, first + rootWords, cellBase, textBase, region.high)
    this.#copyText(a, texts)
    const table = word + total + (total & 1)
    a[word] = tableWords === 0 ? 0 : region.lowOf(table)
    a[word + 1] = DOCUMENT_MAGIC << 16 | (tableWords === 0 ? 0 : region.high)
    if (tableWords > 0) {
      a[table] = chunks.length >>> 1
      a[table + 1] = 0
      for (let i = 0; i < chunks.length; i++) a[table + 2 + i] = chunks[i]!
    }
    built.region = region
    built.word = first
    built.lo = region.lowOf(first) | OWNED
    built.hi = tag << 16 | region.high
  }

  // A near text names no region: those in blocks of another region than the cells' get their full address.
  #enterRegion(region: Region): void {
    const last = this.#lastRegion
    this.#lastRegion = region
    if (last === null || last === region) return
    farTexts(this.stack, this.sp, last.high)
    farTexts(this.keys, this.kp, last.high)
    farTexts(this.cells, this.cellsUsed, last.high)
  }

  #copyText(a: Int32Array, to: number): void {
    const { text, textUsed } = this
    if (textUsed > LOOP_WORDS) {
      a.set(text.subarray(0, textUsed), to)
      return
    }
    // Each word costs a check of both arrays, but for those of one step.
    const whole = textUsed & ~3
    for (let i = 0; i < whole; i += 4) {
      a[to + i] = text[i]!
      a[to + i + 1] = text[i + 1]!
      a[to + i + 2] = text[i + 2]!
      a[to + i + 3] = text[i + 3]!
    }
    for (let i = whole; i < textUsed; i++) a[to + i] = text[i]!
  }
}

/** Copies finished cells to where they stay, and makes relative addresses absolute. */
function copyCells(cells: Int32Array, from: number, end: number, a: Int32Array, to: number, cellBase: number, textBase: number, high: number): void {
  const toText = textBase - cellBase
  for (let i = from, k = to; i < end; i += 2, k += 2) {
    const lo = cells[i]!
    const hi = cells[i + 1]!
    // Numbers and addresses come in no order: what is computed in any case cannot be guessed wrong. All ones where …
    const kind = (hi >>> 16) - NEAR_TEXT_TAG
    const isAddress = ~((kind | ADDRESS_KINDS - kind) >> 31)
    const isRelative = isAddress & -(lo >>> 1 & 1)
    const isText = kind - OBJECT_KIND >> 31
    a[k] = lo + (cellBase - RELATIVE + (toText & isText) & isRelative) | 0
    a[k + 1] = hi | (high & isRelative & -kind >> 31)
  }
}

/** Makes relative addresses absolute; their targets have just been put into a block. */
function relocate(cells: Int32Array, from: number, end: number, cellBase: number, textBase: number, high: number): void {
  for (let i = from; i < end; i += 2) {
    const hi = cells[i + 1]!
    const tag = hi >> 16
    if (tag < NEAR_TEXT || tag > ARRAY || (cells[i]! & RELATIVE) === 0) continue
    cells[i] = (cells[i]! & ~RELATIVE) + (tag < OBJECT ? textBase : cellBase) | 0
    if (tag !== NEAR_TEXT) cells[i + 1] = hi | high
  }
}

function farTexts(cells: Int32Array, end: number, high: number): void {
  for (let i = 0; i < end; i += 2) {
    if (cells[i + 1]! >> 16 === NEAR_TEXT && (cells[i]! & RELATIVE) === 0) cells[i + 1] = TEXT << 16 | high
  }
}

const built: Built = { lo: 0, hi: 0, region: null as unknown as Region, word: 0 }

/** Of an array that is to be built. Asked before its elements are gone through, where their number is known. */
export function requireLength(length: number): void {
  if (length > MAX_JSON_LENGTH) throw new RpcError('INVALID_ARGUMENT', `an array of json has at most ${MAX_JSON_LENGTH} elements`)
}
