import { INLINE_TEXT, INLINE_UNITS, RELATIVE } from '../../layout/json-layout.js'
import { TWO_BYTE } from '../text/read.js'
import type { JsonBuilder } from './builder.js'
import { hashEnd, hashInline, hashStep, nearHigh } from './needle.js'
import { HASHED_WORDS } from './limits.js'
import type { Input } from './parse-input.js'
import { decodeUtf8 } from './utf8.js'
import { cell } from './staging.js'

/**
 * Bytes that are copied at once; what is longer is measured first, so that it gets a block of its size. All words of what
 * is shorter count for its hash.
 */
const SHORT_BYTES = HASHED_WORDS * 4 - 4

/** Above this many bytes, what is not plain is read by the engine. */
const ENGINE_BYTES = 256

/**
 * Stages the string whose opening quote lies before `start`, and leaves its cell in {@link cell}; returns the position
 * behind the closing quote.
 */
export function parseString(input: Input, builder: JsonBuilder, start: number): number {
  const { view, offset } = input
  const at = builder.reserveText(2 + SHORT_BYTES / 4)
  const words = builder.text
  // Four bytes at a time, as long as none of them is a quote, a backslash, a control or beyond ASCII.
  const last = Math.min(input.end - 4, start + SHORT_BYTES - 4)
  let pos = start
  let to = at + 1
  let hash = 0
  while (pos <= last) {
    const word = view.getInt32(offset + pos, true)
    const quote = word ^ 0x2222_2222
    const slash = word ^ 0x5c5c_5c5c
    const special = (word | (word - 0x2020_2020) | (quote - 0x0101_0101) & ~quote | (slash - 0x0101_0101) & ~slash) & 0x8080_8080
    if (special !== 0) {
      // The lowest bit belongs to the first byte that is one of these: carries only go up.
      const bits = 31 - Math.clz32(special & -special) & 24
      pos += bits >>> 3
      if ((word >>> bits & 255) !== 0x22) return parseSlowly(input, builder, start, pos)
      return endString(builder, at, to, pos - start, word & (1 << bits) - 1, hash, pos)
    }
    words[to++] = word
    hash = hashStep(hash, word)
    pos += 4
  }
  const { bytes } = input
  let word = 0
  for (let i = 0; i < 4; i++) {
    const byte = pos < input.end ? bytes[pos]! : 0
    if (byte === 0x22) return endString(builder, at, to, pos - start, word, hash, pos)
    if (byte < 0x20 || byte === 0x5c || byte >= 0x80) break
    word |= byte << i * 8
    pos++
  }
  return parseSlowly(input, builder, start, pos)
}

/** Ends a staged string, whose last word, not yet there, has the units that are left over. */
function endString(builder: JsonBuilder, at: number, to: number, units: number, word: number, before: number, pos: number): number {
  const words = builder.text
  if (units <= INLINE_UNITS) {
    endInline(units, units < 4 ? word : words[at + 1]!, units < 5 ? 0 : word)
    return pos + 1
  }
  let hash = before
  let end = to
  if ((units & 3) !== 0) {
    words[end++] = word
    hash = hashStep(hash, word)
  }
  words[at] = units
  builder.textUsed = end
  hash = hashEnd(hash, units)
  cell.hash = hash
  cell.lo = at << 2 | RELATIVE
  cell.hi = nearHigh(hash)
  return pos + 1
}

function endInline(units: number, lo: number, fifth: number): void {
  cell.lo = lo
  cell.hi = INLINE_TEXT << 16 | units << 8 | fifth
  cell.hash = hashInline(cell.lo, cell.hi)
}

/** Strings that are long, or hold escapes or more than ASCII. `clean` is how far it is known to be ASCII without them. */
function parseSlowly(input: Input, builder: JsonBuilder, start: number, clean: number): number {
  const close = findQuote(input, clean)
  if (close.simple) {
    const units = close.pos - start
    const at = builder.reserveText(1 + (units + 3 >>> 2))
    const end = at + 1 + (units + 3 >>> 2)
    builder.text[end - 1] = 0
    builder.bytes.set(input.bytes.subarray(start, close.pos), (at + 1) * 4)
    builder.endText(at, units, end)
    return close.pos + 1
  }
  if (close.pos - start > ENGINE_BYTES) {
    const text = byEngine(input, start, close.pos)
    if (text !== null) {
      builder.writeString(text)
      return close.pos + 1
    }
  }
  const at = builder.reserveText(2 + (close.pos - start + 1 >>> 1))
  const scratch = scratchFor(close.pos - start)
  const units = unescape(input, start, close.pos, scratch)
  let all = 0
  for (let i = 0; i < units; i++) all |= scratch[i]!
  if (all <= 0xff && units <= INLINE_UNITS) {
    let lo = 0
    for (let i = 0; i < units && i < 4; i++) lo |= scratch[i]! << i * 8
    endInline(units, lo, units > 4 ? scratch[4]! : 0)
    return close.pos + 1
  }
  const perWord = all <= 0xff ? 4 : 2
  const end = at + 1 + Math.ceil(units / perWord)
  builder.text[end - 1] = 0
  if (all <= 0xff) for (let i = 0, to = (at + 1) * 4; i < units; i++) builder.bytes[to + i] = scratch[i]!
  else {
    for (let i = 0, to = (at + 1) * 4; i < units; i++, to += 2) {
      builder.bytes[to] = scratch[i]!
      builder.bytes[to + 1] = scratch[i]! >>> 8
    }
  }
  builder.endText(at, all <= 0xff ? units : units | TWO_BYTE, end)
  return close.pos + 1
}

/** The string by JSON.parse, from a private copy, because nobody else's memory is for native code; null when it refuses it. */
function byEngine({ bytes }: Input, start: number, end: number): string | null {
  const copy = Buffer.from(bytes.subarray(start, end))
  try {
    return JSON.parse(`"${copy.toString()}"`) as string
  } catch {
    return null
  }
}

const found = { pos: 0, simple: true }

/** The closing quote; `simple` when nothing before it needs more than copying. */
function findQuote(input: Input, from: number): typeof found {
  const { bytes, view, offset, end } = input
  found.simple = true
  for (let pos = from; pos < end; pos++) {
    let all = 0
    // Four bytes at a time, as long as none of them is a quote, a backslash or a control.
    for (; pos + 4 <= end; pos += 4) {
      const word = view.getInt32(offset + pos, true)
      const quote = word ^ 0x2222_2222
      const slash = word ^ 0x5c5c_5c5c
      if (((word - 0x2020_2020) & ~word | (quote - 0x0101_0101) & ~quote | (slash - 0x0101_0101) & ~slash) & 0x8080_8080) break
      all |= word
    }
    if ((all & 0x8080_8080) !== 0) found.simple = false
    if (pos === end) break
    const byte = bytes[pos]!
    if (byte === 0x22) {
      found.pos = pos
      return found
    }
    if (byte < 0x20) input.fail(pos, 'an escape or the end of the string (controls are written as escapes)')
    if (byte === 0x5c) pos++
    if (byte === 0x5c || byte >= 0x80) found.simple = false
  }
  return input.fail(end, 'the closing quote of a string')
}

let scratchUnits = new Uint16Array(1024)

// A string never has more units than its text has bytes.
function scratchFor(units: number): Uint16Array {
  if (units > 1 << 16) return new Uint16Array(units)
  if (units > scratchUnits.length) scratchUnits = new Uint16Array(units)
  return scratchUnits
}

const ESCAPES: Readonly<Record<number, number>> = { 0x22: 0x22, 0x5c: 0x5c, 0x2f: 0x2f, 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9 }

/** Writes the code units of a string's text to `units`; returns how many there are. */
function unescape(input: Input, start: number, end: number, units: Uint16Array): number {
  const { bytes } = input
  let to = 0
  let pos = start
  while (pos < end) {
    const byte = bytes[pos]!
    if (byte === 0x5c) {
      const escape = bytes[pos + 1]!
      if (escape === 0x75) {
        units[to++] = hexadecimal(input, pos + 2, end)
        pos += 6
        continue
      }
      const unit = ESCAPES[escape]
      if (unit === undefined) input.fail(pos + 1, 'one of "\\/bfnrtu after a backslash')
      units[to++] = unit
      pos += 2
    } else if (byte < 0x80) {
      units[to++] = byte
      pos++
    } else {
      const decoded = decodeUtf8(bytes, pos, end)
      if (decoded.point > 0xffff) {
        units[to++] = 0xd800 + (decoded.point - 0x1_0000 >>> 10)
        units[to++] = 0xdc00 + (decoded.point & 0x3ff)
      } else units[to++] = decoded.point
      pos = decoded.next
    }
  }
  return to
}

function hexadecimal(input: Input, from: number, end: number): number {
  let value = 0
  for (let pos = from; pos < from + 4; pos++) {
    const byte = pos < end ? input.bytes[pos]! : 0
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66 ? (byte | 0x20) - 0x57 : -1
    if (digit < 0) input.fail(pos, 'one of four hexadecimal digits')
    value = value << 4 | digit
  }
  return value
}
