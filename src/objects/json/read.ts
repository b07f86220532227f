// Values of cells. The words of a cell are read once, by the caller, and everything they lead to is checked.
import {
  ARRAY, CONSTANT, DICTIONARY_WORDS, ENTRY_WORDS, FALSE, INLINE_TEXT, INT, NEAR_TEXT, NULL, OBJECT, RECORD_WORDS, TEXT, TRUE,
} from '../../layout/json-layout.js'
import { locate, POINTER_WORDS, type Region } from '../../memory/region.js'
import { MAX_PROBES, MAX_TEXT_UNITS } from '../limits.js'
import { damaged } from '../problems.js'
import { TextBudget } from '../text/budget.js'
import { decodeUnits, wordsOf } from '../text/read.js'
import { needleOf, type Needle } from './needle.js'
import { follow, opened, type OpenRecord } from './record.js'
import { listingOrder } from './shapes.js'

/** What objects and arrays become when they are read. */
export interface Form {
  object(region: Region, word: number): object
  array(region: Region, word: number): object
}

const double = new Float64Array(1)
const halves = new Int32Array(double.buffer)
const code = String.fromCharCode

/** The number whose halves were read. */
export function doubleOf(lo: number, hi: number): number {
  halves[0] = lo
  halves[1] = hi
  return double[0]!
}

/** The value of the cell at a word, which lies inside the region. */
export function readCell(region: Region, p: number, form: Form): unknown {
  return valueOf(region, region.i32[p]! | 0, region.i32[p + 1]! | 0, form)
}

/** The value of a cell whose words were read from memory of `region`. Nothing at all, and damage, read as undefined. */
export function valueOf(region: Region, lo: number, hi: number, form: Form): unknown {
  switch (hi >> 16) {
    case INT: return lo
    case CONSTANT: return lo === NULL ? null : lo === TRUE ? true : lo === FALSE ? false : undefined
    case INLINE_TEXT: return inlineText(lo, hi)
    case NEAR_TEXT: return decodeText(region, region.high, lo)
    case TEXT: return decodeText(region, hi & 0xffff, lo)
    case OBJECT:
      follow(region, hi & 0xffff, lo, RECORD_WORDS)
      return form.object(opened.region, opened.word)
    case ARRAY:
      follow(region, hi & 0xffff, lo, RECORD_WORDS)
      return form.array(opened.region, opened.word)
    default: return lo === 0 && hi === 0 ? undefined : doubleOf(lo, hi)
  }
}

/** The text of a cell that holds one. @throws WildPointerError when it does not. */
export function textOf(region: Region, lo: number, hi: number): string {
  switch (hi >> 16) {
    case INLINE_TEXT: return inlineText(lo, hi)
    case NEAR_TEXT: return decodeText(region, region.high, lo)
    case TEXT: return decodeText(region, hi & 0xffff, lo)
    default: return damaged('a key of an object is no text')
  }
}

/** The text that lies in a cell. */
export function inlineText(lo: number, hi: number): string {
  const a = lo & 255
  const b = lo >>> 8 & 255
  const c = lo >>> 16 & 255
  switch (hi >>> 8 & 7) {
    case 0: return ''
    case 1: return code(a)
    case 2: return code(a, b)
    case 3: return code(a, b, c)
    case 4: return code(a, b, c, lo >>> 24)
    default: return code(a, b, c, lo >>> 24, hi & 255)
  }
}

/** Where a text's record lies, after {@link openText}. */
export const openedText = { a: new Int32Array(0) as Int32Array, start: 0, head: 0, words: 0 }

/** Finds a text's record and checks that all of it lies in memory. */
export function openText(region: Region, high: number, lo: number): void {
  const low = lo & ~3
  let home = region
  let k = (low - region.low) >>> 2
  if (high !== region.high || k > region.words - 1) {
    home = locate(region, high, low, 1)
    k = (low - home.low) >>> 2
  }
  if (--region.budget < 0) region.spent()
  const a = home.i32
  const head = a[k + home.shift]! | 0
  const words = wordsOf(head)
  if (words > home.words - 1 - k || (head & 0x7fff_ffff) > MAX_TEXT_UNITS) {
    damaged(`a text of ${head & 0x7fff_ffff} code units does not fit its region: the pointer is wild or the text damaged`)
  }
  openedText.a = a
  openedText.start = k + home.shift + 1
  openedText.head = head
  openedText.words = words
}

function decodeText(region: Region, high: number, lo: number): string {
  openText(region, high, lo)
  const { a, start, head, words } = openedText
  // A peer's many cells may all lead to one long text.
  if (words > POINTER_WORDS && (region.budget -= words / POINTER_WORDS | 0) < 0) region.spent()
  return decodeUnits(a, start, head, words)
}

/** The string of a text that is staged in private memory, by its relative address. */
export function stagedText(text: Int32Array, lo: number, hi: number): string {
  if (hi >> 16 === INLINE_TEXT) return inlineText(lo, hi)
  const at = lo >>> 2
  const head = text[at]!
  return decodeUnits(text, at + 1, head, wordsOf(head))
}

/** Word of the cell of a key in an opened object, or -1. The object stays opened. */
export function cellOfKey(object: OpenRecord, key: string): number {
  const { shape, word } = object
  if (shape === null) return cellOfNeedle(object, needleOf(key))
  const slot = shape.slotOf(key)
  return slot < 0 ? -1 : word + RECORD_WORDS + slot * 2
}

function cellOfNeedle(dictionary: OpenRecord, needle: Needle): number {
  const entry = findEntry(dictionary, needle)
  return entry < 0 ? -1 : entry + 2
}

/** Word of a dictionary's entry, or -1. */
export function findEntry({ region, word, count, capacity, bits, seed }: OpenRecord, needle: Needle): number {
  const a = region.i32
  const first = word + DICTIONARY_WORDS
  if (bits === 0) {
    for (let i = 0; i < count; i++) {
      const entry = first + i * ENTRY_WORDS
      if (needle.equals(region, a[entry]! | 0, a[entry + 1]! | 0)) return entry
    }
    return -1
  }
  const index = first + capacity * ENTRY_WORDS
  const mask = (1 << bits) - 1
  let place = needle.hashUnder(seed) >>> 32 - bits
  for (let probes = 0; probes <= mask; probes++) {
    const number = a[index + place]! >>> 0
    if (number === 0) return -1
    if (number > count || probes === MAX_PROBES) damaged('the index of a dictionary is damaged, or its keys were chosen to collide')
    const entry = first + (number - 1) * ENTRY_WORDS
    if (needle.equals(region, a[entry]! | 0, a[entry + 1]! | 0)) return entry
    place = place + 1 & mask
  }
  return -1
}

/** The text of one of several keys. */
export function keyText(texts: TextBudget, region: Region, lo: number, hi: number): string {
  const key = textOf(region, lo, hi)
  texts.spend(key.length)
  return key
}

/** The keys of an opened object, in JavaScript's order. */
export function keysOf(object: OpenRecord): string[] {
  const { shape, region, word, count } = object
  if (shape !== null) return shape.order.map((slot) => shape.keys[slot]!)
  const keys = new Set<string>()
  const texts = new TextBudget(region)
  for (let i = 0; i < count; i++) {
    const entry = word + DICTIONARY_WORDS + i * ENTRY_WORDS
    const lo = region.i32[entry]! | 0
    const hi = region.i32[entry + 1]! | 0
    if (lo !== 0 || hi !== 0) keys.add(keyText(texts, region, lo, hi))
  }
  const list = [...keys]
  return listingOrder(list).map((i) => list[i]!)
}
