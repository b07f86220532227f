// Generated code that finds the cell of a key in an object, in a handful of loads when its shape was met before. What it cannot do so
// it leaves, and all that comes after, to functions: the short code is inlined where it is used, and needs to know nothing twice.
import { ARRAY, OBJECT, RECORD_WORDS } from '../../layout/json-layout.js'
import { type Region, SHAPE_BITS } from '../../memory/region.js'
import type { Emitter } from '../emit.js'
import { cellOfKey } from './read.js'
import { follow, openArray, opened, openObject } from './record.js'
import { FIRST_SLOT, indexOf, NO_SLOT, slotIn, slotTable, UNKNOWN_SLOT } from './shapes.js'

/** Words from an object to the cell that a slot table's entry names. */
const SLOT_BASE = RECORD_WORDS - FIRST_SLOT * 2

/** What is made of a cell at the end of a path, whose words were read from memory of a region. */
export type Finish = (region: Region, lo: number, hi: number) => unknown

/** The same without generated code, for any object: follows keys and fills their slot tables. */
export class Walk {
  readonly #keys: readonly string[]
  readonly #tables: readonly (Uint8Array | undefined)[]
  readonly #missing: unknown
  readonly #finish: Finish

  /** @param missing what comes of a path that leads nowhere. */
  constructor(keys: readonly string[], missing: unknown, finish: Finish) {
    this.#keys = keys
    this.#tables = keys.map(slotTable)
    this.#missing = missing
    this.#finish = finish
  }

  /** Goes on with a key, by its position in the path, from the object at a word. */
  from(region: Region, word: number, position: number): unknown {
    const key = this.#keys[position]!
    const object = openObject(region, word)
    const { shape } = object
    const table = this.#tables[position]
    if (shape !== null && table !== undefined) {
      const slot = table[shape.number]
      if (slot === NO_SLOT) return this.#missing
      if (slot === UNKNOWN_SLOT) slotIn(table, shape, key)
    }
    const p = cellOfKey(object, key)
    if (p < 0) return this.#missing
    return this.#behind(object.region, p, position)
  }

  /** Goes on with a key, by its position in the path, from the array at a word. */
  fromArray(region: Region, word: number, position: number): unknown {
    const index = indexOf(this.#keys[position]!)
    if (index < 0) return this.#missing
    const array = openArray(region, word)
    return index < array.count ? this.#behind(array.region, array.word + RECORD_WORDS + index * 2, position) : this.#missing
  }

  /** What comes of the cell of a key. */
  #behind(region: Region, p: number, position: number): unknown {
    const lo = region.i32[p]! | 0
    const hi = region.i32[p + 1]! | 0
    return position + 1 === this.#keys.length ? this.#finish(region, lo, hi) : this.enter(region, lo, hi, position + 1)
  }

  /** Goes on with a key from what a cell leads to. */
  enter(region: Region, lo: number, hi: number, position: number): unknown {
    const tag = hi >> 16
    if (tag !== OBJECT && tag !== ARRAY) return this.#missing
    follow(region, hi & 0xffff, lo, RECORD_WORDS)
    return tag === ARRAY ? this.fromArray(opened.region, opened.word, position) : this.from(opened.region, opened.word, position)
  }
}

/**
 * The start of a block of statements, which is run when the code finds a key's cell in the object at (`r`, `w`), with its words in `v` and
 * `h`; otherwise what comes behind the block is to return {@link emitWalk}. `a` are the region's words; `s`, `p`, `e`, `t` are variables.
 * It is short, and calls nothing: V8 inlines 920 bytes of bytecode into a function, and a reading loop uses several of these.
 * @param likely slot in which the key most often lies: its address then waits for nothing.
 */
export function emitFind(emitter: Emitter, table: Uint8Array, likely: number): string {
  emitter.named('imul', Math.imul)
  const slots = emitter.constant(table, 'slots')
  const guess = Math.max(0, likely) + FIRST_SLOT
  return `v = a[w]; t = r.shapes; e = imul(v, r.shapeFactor) >>> ${32 - SHAPE_BITS} << 1
if (t[e] === v && a[w + 1] === r.high && (s = ${slots}[t[e + 1]]) >= ${FIRST_SLOT} &&
(p = s === ${guess} ? w + ${guess * 2 + SLOT_BASE} : w + s * 2 + ${SLOT_BASE}) - r.shift <= r.words - 2) {
v = a[p]; h = a[p + 1]`
}

/** What comes of a path from one of its keys on, at the object at (`r`, `w`). */
export function emitWalk(walk: string, position: number): string {
  return `return ${walk}.from(r, w, ${position})`
}

/** Statements that go on to the object to which `v` and `h` point, and leave it in `w`. */
export function emitEnter(walk: string, position: number): string {
  return `if (h !== (${OBJECT << 16} | r.high) || (e = ((v & -8) - r.low) >>> 2) > r.words - ${RECORD_WORDS}) return ${walk}.enter(r, v, h, ${position})
if (--r.budget < 0) r.spent()
w = e + r.shift`
}

/** Statements that leave the cell of an element of the array at (`r`, `w`) in `v` and `h`. One that has moved has no capacity here. */
export function emitElement(walk: string, position: number, index: number): string {
  return `if (!((e = a[w]) > ${index} && e <= a[w + 1] && (p = w + ${RECORD_WORDS + index * 2}) - r.shift <= r.words - 2)) return ${walk}.fromArray(r, w, ${position})
v = a[p]; h = a[p + 1]`
}

/** The start of a block of statements, which is run when `v` and `h` point to an array, and which finds its place in `w`. */
export function emitEnterArray(): string {
  return `if (h === (${ARRAY << 16} | r.high) && (e = ((v & -8) - r.low) >>> 2) <= r.words - ${RECORD_WORDS}) {
if (--r.budget < 0) r.spent()
w = e + r.shift`
}
