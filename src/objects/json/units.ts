// Texts of json as units to be compared where they lie: no string is made.
import { INLINE_TEXT, INLINE_UNITS, NEAR_TEXT, TEXT } from '../../layout/json-layout.js'
import type { Region } from '../../memory/region.js'
import type { Units } from '../text/compare.js'
import { openedText, openText } from './read.js'

const inline = new Int32Array(2)

/** Opens the text of a cell whose words were read from memory of `region`; false when the cell holds none. */
export function openUnits(text: Units, region: Region, lo: number, hi: number): boolean {
  const tag = hi >> 16
  if (tag === INLINE_TEXT) {
    inline[0] = lo
    inline[1] = hi & 0xff
    // The bits could say seven.
    text.lie(inline, 0, Math.min(INLINE_UNITS, hi >>> 8 & 7))
    return true
  }
  if (tag !== NEAR_TEXT && tag !== TEXT) return false
  openText(region, tag === TEXT ? hi & 0xffff : region.high, lo)
  text.lie(openedText.a, openedText.start, openedText.head)
  return true
}
