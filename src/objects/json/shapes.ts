// Shapes as a reader knows them: read from shared memory once, checked, and copied.
import { MOVED, SHAPE_MAGIC, SHAPE_WORDS } from '../../layout/json-layout.js'
import { addressHigh, addressLow, makeAddress } from '../../base/numbers.js'
import { locate, type Region, SHAPE_BITS } from '../../memory/region.js'
import { damaged } from '../problems.js'
import { decodeUnits, wordsOf } from '../text/read.js'
import { MAX_COMPILED_KEYS, MAX_SHAPE_KEYS, MAX_SHAPE_WORDS, MAX_SHAPES_KNOWN } from './limits.js'

/** A list of keys. Private, and the same object for the same keys, wherever shapes with them lie. */
export class Shape {
  readonly #slots: ReadonlyMap<string, number>
  #order: readonly number[] | null = null

  /** @param number what {@link Region.shapes} and slot tables say for it. */
  constructor(readonly number: number, readonly keys: readonly string[]) {
    this.#slots = new Map(keys.map((key, slot) => [key, slot]))
  }

  /** Slot of a key, or -1. */
  slotOf(key: string): number {
    return this.#slots.get(key) ?? -1
  }

  /** Slots in the order in which JavaScript lists the keys. */
  get order(): readonly number[] {
    return this.#order ??= listingOrder(this.keys)
  }
}

/** Indices of keys in JavaScript's order: those that look like array indices first, by value, then as they come. */
export function listingOrder(keys: readonly string[]): number[] {
  const indices: number[] = []
  const others: number[] = []
  for (let i = 0; i < keys.length; i++) (indexOf(keys[i]!) >= 0 ? indices : others).push(i)
  if (indices.length === 0) return others
  indices.sort((a, b) => Number(keys[a]) - Number(keys[b]))
  return indices.concat(others)
}

/** The array index that a key spells, or -1. */
export function indexOf(key: string): number {
  const first = key.charCodeAt(0)
  if (!(first >= 0x30 && first <= 0x39) || key.length > 10) return -1
  const index = Number(key)
  return index >>> 0 === index && index < 0xffff_ffff && String(index) === key ? index : -1
}

const empty = new Shape(0, [])
let known: Shape[] = [empty]
let byKeys = new Map<string, Shape>([[signature([]), empty]])
let regions: WeakRef<Region>[] = []
/** So many regions are remembered before it is looked which of them are gone. */
const REGIONS_MIN = 256
let regionsMax = REGIONS_MIN
let regionShapes = new WeakMap<Region, RegionShapes>()

/** The shapes that objects of one region have. */
interface RegionShapes {
  readonly byAddress: Map<number, Shape>
  /** At how many shapes it is worth while to look for a better factor again. */
  searchFrom: number
}

const slotTables = new Map<string, Uint8Array>()

/** In a slot table: the shape was not looked at yet, and has no such key. Otherwise slot + {@link FIRST_SLOT}. */
export const UNKNOWN_SLOT = 0
export const NO_SLOT = 1
export const FIRST_SLOT = 2

/**
 * Where a key lies in each shape, by the shape's number; filled by {@link slotIn}. The same table for the same key. Undefined when
 * there are tables for too many keys.
 */
export function slotTable(key: string): Uint8Array | undefined {
  let table = slotTables.get(key)
  if (table === undefined && slotTables.size < MAX_COMPILED_KEYS) {
    table = new Uint8Array(MAX_SHAPES_KNOWN)
    slotTables.set(key, table)
  }
  return table
}

/** Looks a key up in a shape and notes the answer in its table. */
export function slotIn(table: Uint8Array, shape: Shape, key: string): number {
  const slot = shape.slotOf(key)
  table[shape.number] = slot < 0 ? NO_SLOT : slot + FIRST_SLOT
  return slot
}

/** Position in {@link Region.shapes} of the entry for a shape's address. */
function entryOf(factor: number, lo: number): number {
  return Math.imul(lo, factor) >>> 32 - SHAPE_BITS << 1
}

/** The shape that an object's header points to. @throws WildPointerError when there is none. */
export function shapeAt(region: Region, lo: number, hi: number): Shape {
  const { shapes } = region
  const entry = entryOf(region.shapeFactor, lo)
  if (shapes[entry] === lo && hi === region.high) return known[shapes[entry + 1]!]!
  return shapeSlowly(region, lo, hi)
}

function shapeSlowly({ origin: region }: Region, lo: number, hi: number): Shape {
  if (lo === 0 && hi === 0) return empty
  if ((hi & MOVED) !== 0) damaged('expected an object with a shape')
  let of = regionShapes.get(region)
  if (of === undefined) {
    of = { byAddress: new Map(), searchFrom: 0 }
    regionShapes.set(region, of)
    region.shapes = new Int32Array(2 << SHAPE_BITS)
    if (regions.length >= regionsMax) {
      regions = regions.filter((one) => one.deref() !== undefined)
      regionsMax = Math.max(REGIONS_MIN, regions.length * 2)
    }
    regions.push(new WeakRef(region))
  }
  const address = makeAddress(hi, lo)
  let shape = of.byAddress.get(address)
  if (shape === undefined) {
    shape = sharedShape(readKeys(region, lo, hi))
    // Reading it may have made everything be forgotten.
    if (regionShapes.get(region) !== of) return shapeSlowly(region, lo, hi)
    if (of.byAddress.size >= MAX_SHAPES_KNOWN) of.byAddress.clear()
    of.byAddress.set(address, shape)
  }
  if (hi === region.high) enter(region, of, lo, shape)
  return shape
}

function enter(region: Region, of: RegionShapes, lo: number, shape: Shape): void {
  const entry = entryOf(region.shapeFactor, lo)
  if (region.shapes[entry] !== 0 && region.shapes[entry] !== lo && of.byAddress.size >= of.searchFrom) {
    of.searchFrom = of.byAddress.size + 1
    spread(region, of)
    return
  }
  region.shapes[entry] = lo
  region.shapes[entry + 1] = shape.number
}

/** Factors tried in one search, and shapes up to which one is worth its time. */
const FACTORS_TRIED = 24
const SPREAD_MAX = 1 << SHAPE_BITS - 2

/** Two shapes in one place of the table push each other out all the time: finds a factor that keeps them apart. */
function spread(region: Region, { byAddress }: RegionShapes): void {
  const entries = [...byAddress].map(([address, shape]) => ({ hi: addressHigh(address), lo: addressLow(address) | 0, shape }))
    .filter(({ hi }) => hi === region.high)
  if (entries.length > SPREAD_MAX) return
  let best = region.shapeFactor
  let most = 0
  for (let i = 1, factor = region.shapeFactor; i <= FACTORS_TRIED && most < entries.length; i++) {
    factor = Math.imul(factor, 0x2c1b_3c6d) + 0x297a_2d39 | 1
    const places = new Set(entries.map(({ lo }) => entryOf(factor, lo))).size
    if (places <= most) continue
    most = places
    best = factor
  }
  region.shapeFactor = best
  region.shapes.fill(0)
  for (const { lo, shape } of entries) {
    const entry = entryOf(best, lo)
    region.shapes[entry] = lo
    region.shapes[entry + 1] = shape.number
  }
}

/** The shape with these keys, which are distinct. */
function sharedShape(keys: readonly string[]): Shape {
  const name = signature(keys)
  let shape = byKeys.get(name)
  if (shape === undefined) {
    if (known.length >= MAX_SHAPES_KNOWN) forget()
    shape = new Shape(known.length, keys)
    known.push(shape)
    byKeys.set(name, shape)
  }
  return shape
}

function signature(keys: readonly string[]): string {
  return keys.map((key) => `${key.length}:${key}`).join()
}

/** Forgets everything: whoever floods this process with shapes costs everybody some microseconds for each one in use. */
function forget(): void {
  for (const region of regions) region.deref()?.shapes.fill(0)
  for (const table of slotTables.values()) table.fill(UNKNOWN_SLOT)
  regions = []
  regionsMax = REGIONS_MIN
  regionShapes = new WeakMap()
  known = [empty]
  byKeys = new Map([[signature([]), empty]])
}

/** What this process knows of shapes: each number has a bound, whatever is read. */
export function knownShapes(): { readonly shapes: number, readonly keys: number, readonly regions: number } {
  return { shapes: known.length, keys: slotTables.size, regions: regions.length }
}

const copy = new Int32Array(MAX_SHAPE_WORDS)

/** The keys of the shape at an address. @throws WildPointerError when there is none. */
export function readKeys(region: Region, lo: number, hi: number): string[] {
  const home = locate(region, hi, lo, SHAPE_WORDS)
  const k = (lo - home.low) >>> 2
  const a = home.i32
  const start = k + home.shift
  const magic = a[start]!
  const count = a[start + 1]! >>> 0
  const words = a[start + 2]! >>> 0
  if (magic !== SHAPE_MAGIC || count > MAX_SHAPE_KEYS || words > MAX_SHAPE_WORDS || words > home.words - k) {
    damaged('the shape of an object is damaged, or the pointer to it wild')
  }
  for (let i = 0; i < words; i++) copy[i] = a[start + i]!
  const keys: string[] = []
  let at = SHAPE_WORDS
  while (keys.length < count) {
    const head = copy[at++]!
    const length = wordsOf(head)
    if (at > words || length > words - at) damaged('the keys of a shape do not fit into it')
    keys.push(decodeUnits(copy, at, head, length))
    at += length
  }
  if (new Set(keys).size !== count) damaged('a shape names a key twice')
  return keys
}
