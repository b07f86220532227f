// Text in shared memory.
//
//   cell (8 bytes)   inline:   byte 0 = 1 | length << 1, bytes 1..7 = up to seven Latin-1 characters
//                    pointer:  to a record, 8-aligned, so that bit 0 is clear; all zero is the empty text
//   record           +0 length in code units, bit 31 set when two bytes each   +4 hash (0 = none)   +8 units, zero padded to 4
//
// A text has one form only: inline when it fits, else one byte a unit when all are Latin-1, else two. So texts are equal
// when their words are. Nothing of the engine ever sees live memory: words are read once, into private ones, then decoded.
import { locate, POINTER_WORDS, type Region } from '../../memory/region.js'
import { MAX_TEXT_UNITS } from '../limits.js'
import { damaged } from '../problems.js'

export const TEXT_HEADER_WORDS = 2
export const TWO_BYTE = 0x8000_0000 | 0
const SCRATCH_WORDS = 0x4000
/** Above this many words a bulk copy beats a loop (measured). */
const LOOP_WORDS = 16

/** Node's own, faster than toString('latin1') and declared nowhere. */
interface FastBuffer extends Buffer {
  latin1Slice?(start: number, end: number): string
}

const scratch: FastBuffer = Buffer.allocUnsafeSlow(SCRATCH_WORDS * 4)
const scratchWords = new Int32Array(scratch.buffer)
const code = String.fromCharCode

export function readText(region: Region, p: number): string {
  return decodeCell(region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
}

/** The text of a cell whose words were copied. */
export function decodeCell(region: Region, lo: number, hi: number): string {
  if ((lo & 1) !== 0) return decodeInline(lo, hi)
  return lo === 0 && hi === 0 ? '' : decodeRecord(region, lo, hi)
}

function decodeInline(lo: number, hi: number): string {
  const a = lo >>> 8 & 255
  const b = lo >>> 16 & 255
  const c = lo >>> 24
  switch (lo >>> 1 & 7) {
    case 0: return ''
    case 1: return code(a)
    case 2: return code(a, b)
    case 3: return code(a, b, c)
    case 4: return code(a, b, c, hi & 255)
    case 5: return code(a, b, c, hi & 255, hi >>> 8 & 255)
    case 6: return code(a, b, c, hi & 255, hi >>> 8 & 255, hi >>> 16 & 255)
    default: return code(a, b, c, hi & 255, hi >>> 8 & 255, hi >>> 16 & 255, hi >>> 24)
  }
}

function decodeRecord(region: Region, lo: number, hi: number): string {
  let home = region
  let k = (lo - region.low) >>> 2
  if (hi !== region.high || k > region.words - TEXT_HEADER_WORDS) {
    home = locate(region, hi, lo, TEXT_HEADER_WORDS)
    k = (lo - home.low) >>> 2
  }
  if (--region.budget < 0) region.spent()
  const head = home.i32[k + home.shift]! | 0
  const units = head & 0x7fff_ffff
  const words = wordsOf(head)
  if (words > home.words - TEXT_HEADER_WORDS - k || units > MAX_TEXT_UNITS) {
    damaged(`a text of ${units} code units does not fit its region: the pointer is wild or the text damaged`)
  }
  // A peer's many cells may all lead to one long text.
  if (words > POINTER_WORDS && (region.budget -= words / POINTER_WORDS | 0) < 0) region.spent()
  return decodeUnits(home.i32, k + home.shift + TEXT_HEADER_WORDS, head, words)
}

/** The text whose units lie at a word, all of it inside the array; `words` is what {@link wordsOf} says of the head. */
export function decodeUnits(a: Int32Array, start: number, head: number, words: number): string {
  const units = head & 0x7fff_ffff
  return head >= 0 && units <= 16 ? decodeShort(a, start, units) : decodeLong(a, start, units, words, head < 0)
}

/** Words that the units of a record take, by its first word. */
export function wordsOf(head: number): number {
  const units = head & 0x7fff_ffff
  return head < 0 ? (units + 1) >>> 1 : (units + 3) >>> 2
}

function decodeShort(words: Int32Array, start: number, units: number): string {
  let text = ''
  let at = start
  let left = units
  while (left >= 8) {
    const a = words[at]!
    const b = words[at + 1]!
    text += code(a & 255, a >>> 8 & 255, a >>> 16 & 255, a >>> 24, b & 255, b >>> 8 & 255, b >>> 16 & 255, b >>> 24)
    at += 2
    left -= 8
  }
  if (left >= 4) {
    const a = words[at++]!
    text += code(a & 255, a >>> 8 & 255, a >>> 16 & 255, a >>> 24)
    left -= 4
  }
  if (left === 0) return text
  const a = words[at]!
  if (left === 1) return text + code(a & 255)
  if (left === 2) return text + code(a & 255, a >>> 8 & 255)
  return text + code(a & 255, a >>> 8 & 255, a >>> 16 & 255)
}

function decodeLong(words: Int32Array, start: number, units: number, count: number, wide: boolean): string {
  let copy: FastBuffer = scratch
  if (count <= LOOP_WORDS) {
    for (let i = 0; i < count; i++) scratchWords[i] = words[start + i]!
  } else if (count <= SCRATCH_WORDS) {
    scratchWords.set(words.subarray(start, start + count))
  } else {
    copy = Buffer.allocUnsafeSlow(count * 4)
    new Int32Array(copy.buffer).set(words.subarray(start, start + count))
  }
  if (wide) return copy.toString('utf16le', 0, units * 2)
  return copy.latin1Slice === undefined ? copy.toString('latin1', 0, units) : copy.latin1Slice(0, units)
}
