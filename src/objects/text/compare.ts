// Texts compared, hashed and searched where they lie: nothing is decoded, no string is made. The order is that of
// JavaScript's `<`: by UTF-16 code units.
import { locate, type Region } from '../../memory/region.js'
import { MAX_TEXT_UNITS } from '../limits.js'
import { damaged } from '../problems.js'
import { TEXT_HEADER_WORDS, wordsOf } from './read.js'
import { form, prepareText } from './write.js'

const NONE = new Int32Array(0)
/** Memory of a longer text is not kept for the next one. */
const KEPT_WORDS = 64
const FIRST_WORDS = 12

/**
 * The code units of one text: words, four or two units each, from `start` on. Opened over shared memory or filled from a
 * string, compared, and used again for the next text.
 */
export class Units {
  words: Int32Array = NONE
  start = 0
  length = 0
  /** Two bytes a unit. */
  wide = false
  /** Cell of a text that is held inline, else the first word of the record (see text/read.ts). */
  head = 0
  high = 0
  isInline = true
  readonly #inline = new Int32Array(2)
  #own = NONE

  /** Opens the text of a cell whose two words were copied. Throws WildPointerError when its record does not fit its region. */
  open(region: Region, lo: number, hi: number): void {
    if ((lo & 1) !== 0) {
      this.#openInline(lo, hi)
      return
    }
    if (lo === 0 && hi === 0) {
      this.#openInline(1, 0)
      return
    }
    let home = region
    let k = (lo - region.low) >>> 2
    if (hi !== region.high || k > region.words - TEXT_HEADER_WORDS) {
      home = locate(region, hi, lo, TEXT_HEADER_WORDS)
      k = (lo - home.low) >>> 2
    }
    if (--region.budget < 0) region.spent()
    const head = home.i32[k + home.shift]! | 0
    const length = head & 0x7fff_ffff
    if (wordsOf(head) > home.words - TEXT_HEADER_WORDS - k || length > MAX_TEXT_UNITS) {
      damaged(`a text of ${length} code units does not fit its region: the pointer is wild or the text damaged`)
    }
    this.lie(home.i32, k + home.shift + TEXT_HEADER_WORDS, head)
  }

  /** Of a record whose place and length were checked: its units lie in these words from `start` on, as many and as wide as its `head` says. */
  lie(words: Int32Array, start: number, head: number): void {
    this.words = words
    this.start = start
    this.length = head & 0x7fff_ffff
    this.wide = head < 0
    this.head = head
    this.isInline = false
  }

  #openInline(lo: number, hi: number): void {
    const inline = this.#inline
    inline[0] = lo >>> 8 | hi << 24
    inline[1] = hi >>> 8
    this.words = inline
    this.start = 0
    this.length = lo >>> 1 & 7
    this.wide = false
    this.head = lo
    this.high = hi
    this.isInline = true
  }

  /** Takes a string's units into private memory. */
  set(text: string): void {
    prepareText(text)
    const { head, words, data } = form
    if (words === 0) {
      this.#openInline(form.lo, form.hi)
      return
    }
    if (this.#own.length < words || this.#own.length > KEPT_WORDS) this.#own = new Int32Array(Math.max(words, FIRST_WORDS))
    const own = this.#own
    for (let i = 0; i < words; i++) own[i] = data[i]!
    this.lie(own, 0, head)
  }

  /** The unit at an index that exists. */
  unit(index: number): number {
    return this.wide
      ? this.words[this.start + (index >>> 1)]! >>> (index & 1) * 16 & 0xffff
      : this.words[this.start + (index >>> 2)]! >>> (index & 3) * 8 & 0xff
  }

  /** Whether the text in a cell is this one. */
  equalsCell(region: Region, lo: number, hi: number): boolean {
    if (this.isInline) return (lo === this.head && hi === this.high) || (this.length === 0 && lo === 0 && hi === 0)
    if ((lo & 1) !== 0 || (lo === 0 && hi === 0)) return false
    const home = locate(region, hi, lo, TEXT_HEADER_WORDS)
    const k = (lo - home.low) >>> 2
    const a = home.i32
    const { head, words, start } = this
    if (a[k + home.shift] !== head) return false
    const count = wordsOf(head)
    if (count > home.words - TEXT_HEADER_WORDS - k) return false
    const at = k + home.shift + TEXT_HEADER_WORDS
    for (let i = 0; i < count; i++) if (a[at + i] !== words[start + i]) return false
    return true
  }
}

/** Below, equal to or above zero as `a` is before, the same as or after `b`. */
export function compareUnits(a: Units, b: Units): number {
  return difference(a, b, Math.min(a.length, b.length)) || a.length - b.length
}

/** As {@link compareUnits}, but zero for each text that starts with `prefix`. */
export function comparePrefix(a: Units, prefix: Units): number {
  return difference(a, prefix, Math.min(a.length, prefix.length)) || (a.length < prefix.length ? -1 : 0)
}

function difference(a: Units, b: Units, count: number): number {
  if (a.wide || b.wide) {
    for (let i = 0; i < count; i++) {
      const distance = a.unit(i) - b.unit(i)
      if (distance !== 0) return distance
    }
    return 0
  }
  const { words: left, start: from } = a
  const { words: right, start: other } = b
  for (let i = 0; i * 4 < count; i++) {
    const x = left[from + i]!
    const y = right[other + i]!
    if (x === y) continue
    // Units are bytes in order of address, and memory is little endian: the lowest byte that differs comes first.
    const shift = 31 - Math.clz32((x ^ y) & -(x ^ y)) & 24
    return i * 4 + (shift >>> 3) < count ? (x >>> shift & 255) - (y >>> shift & 255) : 0
  }
  return 0
}

/**
 * The beginning of a text as a number that keeps the order: texts whose numbers differ are ordered as these. Four units of
 * one byte; where one does not fit, it and all behind it stand as the greatest byte and zeros.
 */
export function prefixOf(text: Units): number {
  let prefix = 0
  const count = Math.min(4, text.length)
  for (let i = 0; i < count; i++) {
    const unit = text.unit(i)
    prefix |= Math.min(unit, 255) << 24 - 8 * i
    if (unit >= 255) break
  }
  return prefix >>> 0
}

/** The bits of {@link prefixOf} that all texts starting with this one share. */
export function prefixMask(prefix: Units): number {
  let known = 0
  while (known < Math.min(4, prefix.length) && prefix.unit(known) < 255) known++
  return known === 0 ? 0 : -1 << 32 - 8 * known
}

/**
 * One step of a hash. Without the secret factor a change in the upper bit of one word could be taken back by the next word under
 * every seed; with it nobody knows what a change becomes. Seed 0 leaves it out.
 */
export function mix(hash: number, word: number, seed: number): number {
  const product = Math.imul(hash ^ Math.imul(word, 0xcc9e_2d51), 0x1b87_3593)
  const mixed = product ^ product >>> 15
  return mixed + Math.imul(mixed << 16 | mixed >>> 16, seed) | 0
}

/** The last step: every bit depends on all. Bit 0 is always set, so that no hash is 0. */
export function finish(hash: number): number {
  const once = Math.imul(hash ^ hash >>> 16, 0x85eb_ca6b)
  const twice = Math.imul(once ^ once >>> 13, 0xc2b2_ae35)
  return (twice ^ twice >>> 16) | 1
}

/** Equal texts have equal hashes, whatever memory they lie in. */
export function hashUnits(text: Units, seed: number): number {
  if (text.isInline) return finish(mix(mix(seed, text.length === 0 ? 1 : text.head, seed), text.length === 0 ? 0 : text.high, seed))
  const { words, start } = text
  const count = wordsOf(text.head)
  let hash = mix(seed, text.head, seed)
  for (let i = 0; i < count; i++) hash = mix(hash, words[start + i]!, seed)
  return finish(hash)
}
