// Generated code that finds the cell of a key in an object, in a handful of loads when its shape was met before.
import { OBJECT, RECORD_WORDS } from '../../layout/json-layout.js'
import { type Region, SHAPE_BITS } from '../../memory/region.js'
import type { Emitter } from '../emit.js'
import { cellOfKey } from './read.js'
import { follow, opened, openObject } from './record.js'
import { FIRST_SLOT, NO_SLOT, slotIn, UNKNOWN_SLOT } from './shapes.js'

/** Words from an object to the cell that a slot table's entry names. */
const SLOT_BASE = RECORD_WORDS - FIRST_SLOT * 2

/** Word of a key's cell in the object at a word, or -1; its region is left in {@link opened}. Fills the key's slot table. */
function findSlowly(table: Uint8Array | undefined, key: string): (region: Region, word: number) => number {
  return (region, word) => {
    const object = openObject(region, word)
    const { shape } = object
    if (shape !== null && table !== undefined && table[shape.number] === UNKNOWN_SLOT) slotIn(table, shape, key)
    return cellOfKey(object, key)
  }
}

/**
 * Statements that find a key's cell in the object at (`r`, `w`) and leave its words in `v` and `h`, its region in `r`; they
 * run `missing` when there is none. `r`, `w`, `a`, `s`, `p`, `e`, `v`, `h` are variables.
 * @param table the key's slot table; without one every object is searched.
 * @param likely slot in which the key most often lies: its address then waits for nothing.
 */
export function emitFind(emitter: Emitter, table: Uint8Array | undefined, key: string, likely: number, missing: string): string {
  const slow = emitter.constant(findSlowly(table, key), 'find')
  emitter.named('opened', opened)
  if (table === undefined) return `p = ${slow}(r, w)\nif (p < 0) ${missing}\nr = opened.region; a = r.i32; v = a[p]; h = a[p + 1]`
  const slots = emitter.constant(table, 'slots')
  const guess = Math.max(0, likely) + FIRST_SLOT
  return `v = a[w]; e = Math.imul(v, r.shapeFactor) >>> ${32 - SHAPE_BITS} << 1
s = r.shapes[e] === v && a[w + 1] === r.high ? ${slots}[r.shapes[e + 1]] : ${UNKNOWN_SLOT}
p = s === ${guess} ? w + ${guess * 2 + SLOT_BASE} : w + s * 2 + ${SLOT_BASE}
if (s < ${FIRST_SLOT} || p - r.shift > r.words - 2) {
if (s === ${NO_SLOT}) ${missing}
p = ${slow}(r, w)
if (p < 0) ${missing}
r = opened.region; a = r.i32
}
v = a[p]; h = a[p + 1]`
}

/** Statements that go on to the object to which `v` and `h` point, and leave it in (`r`, `w`). */
export function emitEnter(emitter: Emitter, missing: string): string {
  emitter.named('opened', opened)
  emitter.named('follow', follow)
  return `if (h === (${OBJECT << 16} | r.high) && (e = ((v & -8) - r.low) >>> 2) <= r.words - ${RECORD_WORDS}) {
if (--r.budget < 0) r.spent()
w = e + r.shift
} else if (h >> 16 === ${OBJECT}) { follow(r, h & 65535, v, ${RECORD_WORDS}); r = opened.region; w = opened.word; a = r.i32 }
else ${missing}`
}
