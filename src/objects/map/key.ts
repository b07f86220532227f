import { locate, type Region } from '../../memory/region.js'
import type { Source } from '../graph/build.js'
import { codecOf, type AnyType } from '../codec.js'
import { damaged, mismatch } from '../problems.js'
import { ScalarCodec } from '../scalar/scalars.js'
import { finish, mix } from '../text/compare.js'
import { decodeCell, decodeUnits, TEXT_HEADER_WORDS, TWO_BYTE, wordsOf } from '../text/read.js'
import { form, prepareText, storeRecord, takeText } from '../text/write.js'

/** A record's word for its hash, which the maps fill in. */
const HASH = 1

/*
 * The cell of a text key is inline or a pointer, as every text's (text/read.ts), or says that the units lie beside the entry:
 *
 *   lo   bits 0-2 = BESIDE, or BESIDE | WIDE for two bytes a unit; bits 3-31 length in units       hi   hash of the key
 *
 * So an entry may be moved as it is, and a search compares length and hash before it looks at the units.
 */
const BESIDE = 2
const WIDE = 4
const BESIDE_MASK = 3
const LENGTH_SHIFT = 3
/** Units of more words are a record of their own. */
const BESIDE_WORDS_MAX = 62

/** Whether the units of the text key whose cell begins with `lo` lie beside its entry. */
export function isBeside(lo: number): boolean {
  return (lo & BESIDE_MASK) === BESIDE
}

/** Words of units beside the entry whose text key's cell begins with `lo`. */
export function wordsBeside(lo: number): number {
  return isBeside(lo) ? wordsOf(headOf(lo)) : 0
}

/** What the first word of a record would be. */
function headOf(lo: number): number {
  return lo >>> LENGTH_SHIFT | ((lo & WIDE) === 0 ? 0 : TWO_BYTE)
}

/**
 * A map's keys: 8-byte cells, hashed and compared by their words, so that a search decodes nothing. Equal keys have equal
 * words, because a text has only one form. One instance per map type; {@link prepare} or {@link take} comes before everything else.
 */
export interface Keys {
  /** Keys are texts, and may have units beside their entries. */
  readonly hasText: boolean
  /** Hash of the prepared key; bit 0 is always set, so that no hash is 0. */
  readonly hash: number
  /** Words of units that lie beside the entry of the prepared key. */
  readonly wordsBeside: number
  /** Takes a key to search for or store. */
  prepare(key: unknown, where: string, seed: number): void
  /** Takes the key whose cell is at word `w`, and whose units, if they lie beside the entry, are at word `units`. */
  take(region: Region, w: number, units: number, seed: number): void
  /** Hash of the key whose cell is at word `w`. */
  hashAt(region: Region, w: number, seed: number): number
  /** Whether the key with its cell at word `w` is the prepared one. */
  equals(region: Region, w: number, units: number): boolean
  /** Allocates the record of a prepared key that is neither inline nor beside its entry. */
  allocateRecord(source: Source): void
  /** Writes the prepared key's cell at word `w`, and its units. */
  store(region: Region, w: number, units: number): void
  read(region: Region, w: number, units: number): unknown
}

class TextKeys implements Keys {
  readonly hasText = true
  hash = 0
  wordsBeside = 0
  /** First word of the prepared key's cell; 0 when it is a pointer. */
  #lo = 0

  prepare(key: unknown, where: string, seed: number): void {
    if (typeof key !== 'string') mismatch(where, 'a text as the key', key)
    prepareText(key)
    this.#prepared(seed)
  }

  take(region: Region, w: number, units: number, seed: number): void {
    const lo = region.i32[w]! | 0
    if (isBeside(lo)) takeUnits(region, units, headOf(lo))
    else takeText(region, lo, region.i32[w + 1]! | 0)
    this.#prepared(seed)
  }

  #prepared(seed: number): void {
    const { data, words, head } = form
    if (words === 0) {
      this.hash = finish(mix(mix(seed, form.lo, seed), form.hi, seed))
      this.wordsBeside = 0
      this.#lo = form.lo
      return
    }
    let hash = mix(seed, head, seed)
    for (let i = 0; i < words; i++) hash = mix(hash, data[i]!, seed)
    this.hash = finish(hash)
    this.wordsBeside = words > BESIDE_WORDS_MAX ? 0 : words
    this.#lo = words > BESIDE_WORDS_MAX ? 0 : head << LENGTH_SHIFT | (head < 0 ? BESIDE | WIDE : BESIDE)
  }

  hashAt(region: Region, w: number, seed: number): number {
    const lo = region.i32[w]! | 0
    const hi = region.i32[w + 1]! | 0
    if ((lo & 1) !== 0) return finish(mix(mix(seed, lo, seed), hi, seed))
    if (isBeside(lo)) return hi
    const home = locate(region, hi, lo, TEXT_HEADER_WORDS)
    return home.i32[((lo - home.low) >>> 2) + home.shift + HASH]! | 0
  }

  equals(region: Region, w: number, units: number): boolean {
    const a = region.i32
    const lo = a[w]! | 0
    const hi = a[w + 1]! | 0
    const { wordsBeside: words } = this
    if (words === 0) return form.words === 0 ? lo === form.lo && hi === form.hi : (lo & BESIDE_MASK) === 0 && recordEquals(region, lo, hi)
    if (lo !== this.#lo || hi !== this.hash || words > region.words - (units - region.shift)) return false
    const { data } = form
    for (let i = 0; i < words; i++) if (a[units + i] !== data[i]) return false
    return true
  }

  allocateRecord(source: Source): void {
    if (form.words === 0 || this.wordsBeside > 0) return
    const word = storeRecord(source)
    source.region.i32[word + HASH] = this.hash
  }

  store(region: Region, w: number, units: number): void {
    const a = region.i32
    const { wordsBeside: words } = this
    if (words === 0) {
      a[w] = form.lo
      a[w + 1] = form.hi
      return
    }
    const { data } = form
    a[w] = this.#lo
    a[w + 1] = this.hash
    for (let i = 0; i < words; i++) a[units + i] = data[i]!
    if ((words & 1) !== 0) a[units + words] = 0
  }

  read(region: Region, w: number, units: number): string {
    const lo = region.i32[w]! | 0
    if (!isBeside(lo)) return decodeCell(region, lo, region.i32[w + 1]! | 0)
    const head = headOf(lo)
    const words = wordsOf(head)
    if (words > region.words - (units - region.shift)) damaged('a map is damaged: a key does not fit its region')
    return decodeUnits(region.i32, units, head, words)
  }
}

/** Takes units that lie beside an entry as the prepared text. */
function takeUnits(region: Region, units: number, head: number): void {
  const words = wordsOf(head)
  if (words > BESIDE_WORDS_MAX || words > region.words - (units - region.shift)) damaged('a map is damaged: a key does not fit its region')
  const { i32 } = region
  for (let i = 0; i < words; i++) form.data[i] = i32[units + i]!
  form.head = head
  form.words = words
}

function recordEquals(region: Region, lo: number, hi: number): boolean {
  let home = region
  let k = (lo - region.low) >>> 2
  if (hi !== region.high || k > region.words - TEXT_HEADER_WORDS) {
    home = locate(region, hi, lo, TEXT_HEADER_WORDS)
    k = (lo - home.low) >>> 2
  }
  const a = home.i32
  const start = k + home.shift + TEXT_HEADER_WORDS
  const head = a[k + home.shift]! | 0
  if (head !== form.head || wordsOf(head) > home.words - TEXT_HEADER_WORDS - k) return false
  const { data, words } = form
  for (let i = 0; i < words; i++) if (a[start + i] !== data[i]) return false
  return true
}

/** Keys are told apart as Map does: a 0 is a -0, and NaN is itself. */
class ScalarKeys implements Keys {
  readonly hasText = false
  readonly wordsBeside = 0
  hash = 0
  readonly #codec: ScalarCodec
  readonly #form: ((key: unknown) => unknown) | null
  readonly #cell = new Int32Array(2)

  constructor(codec: ScalarCodec) {
    this.#codec = codec
    const { kind } = codec.type
    this.#form = kind === 'f64' ? oneForm : kind === 'f32' ? oneSingle : null
  }

  prepare(key: unknown, where: string, seed: number): void {
    this.#codec.writeCell(null, this.#form === null ? key : this.#form(key), this.#cell, 0, where)
    this.#prepared(seed)
  }

  take(region: Region, w: number, _units: number, seed: number): void {
    this.#cell[0] = region.i32[w]!
    this.#cell[1] = region.i32[w + 1]!
    this.#prepared(seed)
  }

  #prepared(seed: number): void {
    this.hash = finish(mix(mix(seed, this.#cell[0]!, seed), this.#cell[1]!, seed))
  }

  hashAt(region: Region, w: number, seed: number): number {
    return finish(mix(mix(seed, region.i32[w]! | 0, seed), region.i32[w + 1]! | 0, seed))
  }

  equals(region: Region, w: number): boolean {
    return region.i32[w] === this.#cell[0] && region.i32[w + 1] === this.#cell[1]
  }

  allocateRecord(): void {}

  store(region: Region, w: number): void {
    region.i32[w] = this.#cell[0]!
    region.i32[w + 1] = this.#cell[1]!
  }

  read(region: Region, w: number): unknown {
    return this.#codec.readCell(region, region.i32[w]! | 0, region.i32[w + 1]! | 0)
  }
}

/** Equal numbers as Map sees them, of one form: there are more than one of 0, and many of NaN. */
function oneForm(key: unknown): unknown {
  if (key === 0) return 0
  return Number.isNaN(key) ? Number.NaN : key
}

function oneSingle(key: unknown): unknown {
  return oneForm(asSingle(key))
}

/** As a key is stored in 32 bits: different numbers may then be equal, and what is nearly 0 becomes 0, or -0. */
export function asSingle(key: unknown): unknown {
  return typeof key === 'number' ? Math.fround(key) : key
}

const KEY_KINDS: ReadonlySet<string> = new Set(['text', 'bool', 'f32', 'f64', 'u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'u64', 'i64', 'safeU64', 'safeI64'])

export function isKeyType(type: AnyType): boolean {
  return KEY_KINDS.has(type.kind)
}

export function makeKeys(type: AnyType): Keys {
  const codec = codecOf(type)
  return codec instanceof ScalarCodec ? new ScalarKeys(codec) : new TextKeys()
}
