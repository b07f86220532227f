import type { JsonBuilder } from './builder.js'
import { INT } from '../../layout/json-layout.js'
import type { Input } from './parse-input.js'

/** Digits of which every integer is a small one. */
const SMALL_DIGITS = 9
/** Digits of which every integer is exact in a double, and powers of ten that are. */
const EXACT_DIGITS = 15
const POWERS = Array.from({ length: 23 }, (_, i) => Number(`1e${i}`))
const ZERO = 0x30
const code = String.fromCharCode

/** Pushes the number at a position, which holds a minus or a digit; returns the position behind it. */
export function parseNumber(input: Input, builder: JsonBuilder, start: number): number {
  const { bytes } = input
  const negative = bytes[start] === 0x2d
  let pos = negative ? start + 1 : start
  const first = pos
  let value = 0
  let byte = bytes[pos]!
  while (byte >= ZERO && byte <= 0x39) {
    value = value * 10 + (byte - ZERO)
    byte = bytes[++pos]!
  }
  const digits = pos - first
  if (digits === 0) input.fail(pos, 'a digit')
  if (digits > 1 && bytes[first] === ZERO) input.fail(first + 1, 'a dot, an exponent or the end of the number, because it starts with 0,')
  if (byte !== 0x2e && byte !== 0x65 && byte !== 0x45) {
    if (digits <= SMALL_DIGITS && (value !== 0 || !negative)) builder.push(negative ? -value : value, INT << 16)
    else if (digits <= EXACT_DIGITS) builder.pushNumber(negative ? -value : value)
    else builder.pushNumber(slowly(input, start, pos))
    return pos
  }
  return parseFraction(input, builder, start, pos, digits, negative ? -value : value, negative)
}

function parseFraction(input: Input, builder: JsonBuilder, start: number, from: number, whole: number, value: number, negative: boolean): number {
  const { bytes } = input
  let pos = from
  let mantissa = Math.abs(value)
  let digits = whole
  let scale = 0
  if (bytes[pos] === 0x2e) {
    const first = ++pos
    let byte = bytes[pos]!
    while (byte >= ZERO && byte <= 0x39) {
      mantissa = mantissa * 10 + (byte - ZERO)
      byte = bytes[++pos]!
    }
    if (pos === first) input.fail(pos, 'a digit')
    scale = first - pos
    digits += pos - first
  }
  if (bytes[pos] === 0x65 || bytes[pos] === 0x45) {
    pos++
    const sign = bytes[pos]
    if (sign === 0x2b || sign === 0x2d) pos++
    const first = pos
    let exponent = 0
    let byte = bytes[pos]!
    while (byte >= ZERO && byte <= 0x39) {
      exponent = exponent < 10_000 ? exponent * 10 + (byte - ZERO) : exponent
      byte = bytes[++pos]!
    }
    if (pos === first) input.fail(pos, 'a digit')
    scale += sign === 0x2d ? -exponent : exponent
  }
  if (digits <= EXACT_DIGITS && scale <= 22 && scale >= -22) {
    // Both operands are exact, so that the result is the nearest double.
    const magnitude = scale < 0 ? mantissa / POWERS[-scale]! : mantissa * POWERS[scale]!
    builder.pushNumber(negative ? -magnitude : magnitude)
  } else builder.pushNumber(slowly(input, start, pos))
  return pos
}

/** By the engine, from a private copy. */
function slowly({ bytes }: Input, start: number, end: number): number {
  let text = ''
  for (let i = start; i < end; i++) text += code(bytes[i]!)
  return Number(text)
}
