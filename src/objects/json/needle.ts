// A text prepared for comparing with texts in shared memory, without decoding them.
import { INLINE_TEXT, INLINE_UNITS, NEAR_TEXT, TEXT } from '../../layout/json-layout.js'
import { locate, type Region } from '../../memory/region.js'
import { TWO_BYTE } from '../text/read.js'
import { form, prepareWords } from '../text/write.js'
import { seededHash, seededInline } from './index-table.js'
import { HASHED_WORDS, MAX_KEPT_KEYS } from './limits.js'

const GOLDEN = 0x9e37_79b1 | 0

/** Takes one word of a text into its hash, which starts as 0. */
export function hashStep(hash: number, word: number): number {
  return Math.imul((hash << 5 | hash >>> 27) ^ word, GOLDEN)
}

/** The hash of a text, after all of its words that count, with the first word of its record. */
export function hashEnd(hash: number, head: number): number {
  const mixed = Math.imul(hash ^ head, GOLDEN)
  return mixed ^ mixed >>> 15
}

/** Hash of a text by its first word in memory and its words; private memory only. */
export function hashWords(head: number, words: Int32Array, start: number, count: number): number {
  let hash = 0
  const end = start + (count < HASHED_WORDS ? count : HASHED_WORDS)
  for (let i = start; i < end; i++) hash = hashStep(hash, words[i]!)
  return hashEnd(hash, head)
}

export function hashInline(lo: number, hi: number): number {
  return Math.imul(Math.imul(lo, GOLDEN) ^ hi ^ lo >>> 16, GOLDEN)
}

/** The upper word of a near text's cell. */
export function nearHigh(hash: number): number {
  return NEAR_TEXT << 16 | hash >>> 16
}

/** A text as it lies in memory. */
export class Needle {
  readonly text: string
  /** First word of the record; -1 units when the text lies in the cell itself. */
  readonly head: number
  readonly words: Int32Array
  readonly hash: number
  /** The cell's words of an inline text; of a near text the upper one. */
  readonly lo: number
  readonly hi: number
  readonly inline: boolean

  constructor(text: string) {
    this.text = text
    const units = text.length
    if (units <= INLINE_UNITS && !/[^\0-\xff]/.test(text)) {
      this.inline = true
      this.head = units
      this.words = none
      this.lo = inlineLow(text, units)
      this.hi = inlineHigh(text, units)
      this.hash = hashInline(this.lo, this.hi)
      return
    }
    prepareWords(text)
    this.inline = false
    this.head = form.head
    this.words = form.data.slice(0, form.words)
    this.hash = hashWords(this.head, this.words, 0, this.words.length)
    this.lo = 0
    this.hi = (this.head & TWO_BYTE) === 0 ? nearHigh(this.hash) : TEXT << 16
  }

  /** Its hash in an index with this seed. */
  hashUnder(seed: number): number {
    if (seed === 0) return this.hash
    return this.inline ? seededInline(seed, this.lo, this.hi) : seededHash(seed, this.head, this.words, 0, this.words.length)
  }

  /** Whether the text of a cell, whose words were read from `region`, is this one. A cell that is no text is not. */
  equals(region: Region, lo: number, hi: number): boolean {
    if (this.inline) return lo === this.lo && hi === this.hi
    const tag = hi >> 16
    if (tag === NEAR_TEXT) return hi === this.hi && this.equalsAt(region, region.high, lo)
    return tag === TEXT && this.equalsAt(region, hi & 0xffff, lo)
  }

  /** The same for a staged text, in private memory, by its relative address. */
  equalsStaged(text: Int32Array, lo: number, hi: number): boolean {
    if (this.inline) return lo === this.lo && hi === this.hi
    const at = lo >>> 2
    if (hi !== this.hi || text[at] !== this.head) return false
    for (let i = 0; i < this.words.length; i++) if (text[at + 1 + i] !== this.words[i]) return false
    return true
  }

  private equalsAt(region: Region, high: number, lo: number): boolean {
    const low = lo & ~3
    const home = locate(region, high, low, 1)
    if (--region.budget < 0) region.spent()
    const k = (low - home.low) >>> 2
    const a = home.i32
    const { head, words } = this
    if (a[k + home.shift] !== head || words.length > home.words - 1 - k) return false
    const start = k + home.shift + 1
    for (let i = 0; i < words.length; i++) if (a[start + i] !== words[i]) return false
    return true
  }
}

const none = new Int32Array(0)

export function inlineLow(text: string, units: number): number {
  let lo = 0
  for (let i = 0; i < units && i < 4; i++) lo |= text.charCodeAt(i) << 8 * i
  return lo
}

export function inlineHigh(text: string, units: number): number {
  return INLINE_TEXT << 16 | units << 8 | (units > 4 ? text.charCodeAt(4) : 0)
}

const kept = new Map<string, Needle>()

/** How many needles are kept. */
export function keptNeedles(): number {
  return kept.size
}

/** The needle for a key; those used last are kept. */
export function needleOf(key: string): Needle {
  let needle = kept.get(key)
  if (needle === undefined) {
    if (kept.size >= MAX_KEPT_KEYS) kept.clear()
    needle = new Needle(key)
    // A long key is not worth its memory.
    if (needle.words.length <= HASHED_WORDS) kept.set(key, needle)
  }
  return needle
}
