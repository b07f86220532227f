import { locate, type Allocator, type Region } from '../../memory/region.js'
import type { Source } from '../graph/build.js'
import { MAX_TEXT_UNITS } from '../limits.js'
import { allocatorOf, damaged, mismatch, refuseWrite } from '../problems.js'
import { TEXT_HEADER_WORDS, TWO_BYTE, wordsOf } from './read.js'
import { willChange } from '../shared/journal.js'

const SCRATCH_BYTES = 0x10000
const INLINE_UNITS = 7
/** Up to here a loop over charCodeAt beats the encoder (measured). */
const LOOP_UNITS = 40
/** Above this many words a bulk copy beats a loop (measured). */
const LOOP_WORDS = 64

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
const scratchWords = new Int32Array(scratch.buffer)
const encoder = new TextEncoder()

/**
 * The form a string takes in memory, in private memory. One instance serves all: it is used up before the next string.
 * With `words === 0` the cell is (lo, hi) itself; otherwise a record of `head` and `words` words of `data`.
 */
export const form: { lo: number, hi: number, head: number, words: number, data: Int32Array } = { lo: 0, hi: 0, head: 0, words: 0, data: scratchWords }

export function prepareText(text: string): void {
  if (text.length <= INLINE_UNITS && prepareInline(text)) return
  prepareWords(text)
}

/** The form of a record, also of a text that could lie in its cell. */
export function prepareWords(text: string): void {
  const units = text.length
  if (units <= LOOP_UNITS) {
    prepareShort(text, units)
    return
  }
  if (units > MAX_TEXT_UNITS) mismatch('text', `at most ${MAX_TEXT_UNITS} code units`, text)
  let bytes = scratch
  let data = scratchWords
  if (units * 2 + 4 > SCRATCH_BYTES) {
    bytes = Buffer.allocUnsafeSlow((units * 2 + 7) & -4)
    data = new Int32Array(bytes.buffer)
  }
  form.data = data
  const { read, written } = encoder.encodeInto(text, bytes)
  if (read === units && written === units) {
    oneByte(bytes, units)
  } else if (!/[^\0-\xff]/.test(text)) {
    bytes.write(text, 0, units, 'latin1')
    oneByte(bytes, units)
  } else {
    bytes.write(text, 0, units * 2, 'utf16le')
    if ((units & 1) !== 0) bytes.writeUInt16LE(0, units * 2)
    form.head = units | TWO_BYTE
    form.words = (units + 1) >>> 1
  }
}

function oneByte(bytes: Buffer, units: number): void {
  const words = (units + 3) >>> 2
  for (let i = units; i < words * 4; i++) bytes[i] = 0
  form.head = units
  form.words = words
}

/** False when the text does not fit into its cell. */
function prepareInline(text: string): boolean {
  const units = text.length
  let all = 0
  let lo = 1 | units << 1
  let hi = 0
  for (let i = 0; i < units; i++) {
    const unit = text.charCodeAt(i)
    all |= unit
    if (i < 3) lo |= unit << 8 * (i + 1)
    else hi |= unit << 8 * (i - 3)
  }
  if (all > 0xff) return false
  form.lo = lo
  form.hi = hi
  form.words = 0
  return true
}

function prepareShort(text: string, units: number): void {
  form.data = scratchWords
  let all = 0
  // Whole words are stored: what is written by bytes can be read back by words only after a stall of the processor.
  let i = 0
  let at = 0
  for (; i + 4 <= units; i += 4) {
    const a = text.charCodeAt(i)
    const b = text.charCodeAt(i + 1)
    const c = text.charCodeAt(i + 2)
    const d = text.charCodeAt(i + 3)
    all |= a | b | c | d
    scratchWords[at++] = a | b << 8 | c << 16 | d << 24
  }
  if (i < units) {
    let word = 0
    for (let shift = 0; i < units; i++, shift += 8) {
      const unit = text.charCodeAt(i)
      all |= unit
      word |= unit << shift
    }
    scratchWords[at++] = word
  }
  form.head = units
  form.words = at
  if (all <= 0xff) return
  const words = (units + 1) >>> 1
  for (let i = 0; i < words; i++) {
    const high = i * 2 + 1 < units ? text.charCodeAt(i * 2 + 1) : 0
    scratchWords[i] = text.charCodeAt(i * 2) | high << 16
  }
  form.head = units | TWO_BYTE
  form.words = words
}

/** Prepares the text of a cell whose words were copied: no string is made. */
export function takeText(region: Region, lo: number, hi: number): void {
  form.data = scratchWords
  if ((lo & 1) !== 0 || (lo === 0 && hi === 0)) {
    form.lo = lo === 0 ? 1 : lo
    form.hi = hi
    form.words = 0
    return
  }
  const home = locate(region, hi, lo, TEXT_HEADER_WORDS)
  const start = ((lo - home.low) >>> 2) + home.shift
  const head = home.i32[start]! | 0
  const words = wordsOf(head)
  if (words > home.words - TEXT_HEADER_WORDS - (start - home.shift)) damaged('a text does not fit its region: the pointer is wild or the text damaged')
  if (words > scratchWords.length) form.data = new Int32Array(words)
  for (let i = 0; i < words; i++) form.data[i] = home.i32[start + TEXT_HEADER_WORDS + i]!
  form.head = head
  form.words = words
}

/** Writes the prepared record and returns its word; leaves the pointer to it in `form.lo` and `form.hi`. */
export function storeRecord(source: Source): number {
  const { head, words, data } = form
  const w = source.allocate((TEXT_HEADER_WORDS + words) * 4)
  const { region } = source
  const a = region.i32
  a[w] = head
  a[w + 1] = 0
  if (words <= LOOP_WORDS) for (let i = 0; i < words; i++) a[w + TEXT_HEADER_WORDS + i] = data[i]!
  else a.set(data.subarray(0, words), w + TEXT_HEADER_WORDS)
  form.lo = region.lowOf(w)
  form.hi = region.high
  form.data = scratchWords
  return w
}

/** Makes a string's cell, its record included; leaves it in `form.lo` and `form.hi`. */
export function makeText(source: Source, value: unknown, where: string): void {
  if (typeof value !== 'string') mismatch(where, 'a string', value)
  prepareText(value)
  if (form.words !== 0) storeRecord(source)
}

/** Writes a text into fresh memory. */
export function writeText(source: Source, region: Region, p: number, value: unknown, where: string): void {
  makeText(source, value, where)
  region.i32[p] = form.lo
  region.i32[p + 1] = form.hi
}

/** Replaces a text and frees the old one. */
export function assignText(region: Region, p: number, value: unknown, where: string): void {
  if (typeof value !== 'string') mismatch(where, 'a string', value)
  if (region.readOnly) refuseWrite(where, region)
  const a = region.i32
  const lo = a[p]! | 0
  const hi = a[p + 1]! | 0
  const ownsRecord = (lo & 1) === 0 && (lo !== 0 || hi !== 0)
  prepareText(value)
  const allocator = ownsRecord || form.words !== 0 ? allocatorOf(region, where) : null
  if (form.words !== 0) storeRecord(allocator!)
  willChange(region, p, 2)
  a[p] = form.lo
  a[p + 1] = form.hi
  if (ownsRecord) freePointer(allocator!, region, lo, hi)
}

/** Frees the block a pointer leads to. */
export function freePointer(allocator: Allocator, region: Region, lo: number, hi: number): void {
  const home = locate(region, hi, lo, 2)
  allocator.free(home, ((lo - home.low) >>> 2) + home.shift)
}
