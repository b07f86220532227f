// Texts of json compared where they lie, code unit by code unit: no string is made.
import { INLINE_TEXT, NEAR_TEXT, TEXT } from '../../layout/json-layout.js'
import type { Region } from '../../memory/region.js'
import { TWO_BYTE } from '../text/read.js'
import { openedText, openText } from './read.js'

const inline = new Int32Array(2)

/** The code units of a string, for the comparisons below. */
export function unitsOf(text: string): Uint16Array {
  return Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))
}

/** Opens the text of a cell whose words were read from memory of `region`; false when the cell holds none. */
export function openUnits(region: Region, lo: number, hi: number): boolean {
  const tag = hi >> 16
  if (tag === INLINE_TEXT) {
    inline[0] = lo
    inline[1] = hi & 0xff
    openedText.a = inline
    openedText.start = 0
    // Seven would fit the bits; there is room for five.
    openedText.head = Math.min(5, hi >>> 8 & 7)
    return true
  }
  if (tag !== NEAR_TEXT && tag !== TEXT) return false
  openText(region, tag === TEXT ? hi & 0xffff : region.high, lo)
  return true
}

/** Whether the opened text starts with these units. */
export function startsWithUnits(units: Uint16Array): boolean {
  return (openedText.head & 0x7fff_ffff) >= units.length && difference(units, units.length) === 0
}

/** Below, equal to or above zero as the opened text is before, the same as or after these units, in the order of JavaScript's `<`. */
export function compareUnits(units: Uint16Array): number {
  const length = openedText.head & 0x7fff_ffff
  return difference(units, Math.min(length, units.length)) || length - units.length
}

function difference(units: Uint16Array, count: number): number {
  const { a, start, head } = openedText
  const wide = (head & TWO_BYTE) !== 0
  for (let i = 0; i < count; i++) {
    const unit = wide ? a[start + (i >>> 1)]! >>> (i & 1) * 16 & 0xffff : a[start + (i >>> 2)]! >>> (i & 3) * 8 & 0xff
    if (unit !== units[i]) return unit - units[i]!
  }
  return 0
}
