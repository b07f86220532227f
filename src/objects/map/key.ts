import { locate, type Region } from '../../memory/region.js'
import type { Source } from '../graph/build.js'
import { codecOf, type AnyType } from '../codec.js'
import { mismatch } from '../problems.js'
import { ScalarCodec } from '../scalar/scalars.js'
import { finish, mix } from '../text/compare.js'
import { decodeCell, TEXT_HEADER_WORDS, wordsOf } from '../text/read.js'
import { form, prepareText, storeRecord, takeText } from '../text/write.js'

/** A record's word for its hash, which the maps fill in. */
const HASH = 1

/**
 * A map's keys: 8-byte cells, hashed and compared by their words, so that a search decodes nothing. Equal keys have equal
 * words, because a text has only one form. One instance per map type; {@link prepare} comes before everything else.
 */
export interface Keys {
  /** Keys are texts, and may have records. */
  readonly hasText: boolean
  /** Takes a key to search for or store. */
  prepare(key: unknown, where: string): void
  /** Takes the key whose cell is at word `w`. */
  take(region: Region, w: number): void
  /** Words of the prepared key's record; 0 when it has none. */
  recordWords(): number
  /** Hash of the prepared key; bit 0 is always set, so that no hash is 0. */
  hash(seed: number): number
  /** Hash of the key whose cell is at word `w`. */
  hashAt(region: Region, w: number, seed: number): number
  /** Whether the cell at word `w` is the prepared key. */
  equals(region: Region, w: number): boolean
  /** Allocates the record of a prepared key that does not lie beside its entry. */
  allocateRecord(source: Source, hash: number): void
  /** Writes the prepared key's cell at word `w`, and at word `record` its record, unless one was allocated. */
  store(region: Region, w: number, record: number, hash: number): void
  read(region: Region, w: number): unknown
}

class TextKeys implements Keys {
  readonly hasText = true
  #hasBlock = false

  prepare(key: unknown, where: string): void {
    if (typeof key !== 'string') mismatch(where, 'a text as the key', key)
    prepareText(key)
    this.#hasBlock = false
  }

  take(region: Region, w: number): void {
    takeText(region, region.i32[w]! | 0, region.i32[w + 1]! | 0)
    this.#hasBlock = false
  }

  recordWords(): number {
    return form.words === 0 ? 0 : TEXT_HEADER_WORDS + form.words
  }

  hash(seed: number): number {
    if (form.words === 0) return finish(mix(mix(seed, form.lo), form.hi))
    let hash = mix(seed, form.head)
    const { data, words } = form
    for (let i = 0; i < words; i++) hash = mix(hash, data[i]!)
    return finish(hash)
  }

  hashAt(region: Region, w: number, seed: number): number {
    const lo = region.i32[w]! | 0
    const hi = region.i32[w + 1]! | 0
    if ((lo & 1) !== 0) return finish(mix(mix(seed, lo), hi))
    const home = locate(region, hi, lo, TEXT_HEADER_WORDS)
    return home.i32[((lo - home.low) >>> 2) + home.shift + HASH]! | 0
  }

  equals(region: Region, w: number): boolean {
    const lo = region.i32[w]! | 0
    const hi = region.i32[w + 1]! | 0
    if ((lo & 1) !== 0) return form.words === 0 && lo === form.lo && hi === form.hi
    return form.words !== 0 && recordEquals(region, lo, hi)
  }

  allocateRecord(source: Source, hash: number): void {
    const word = storeRecord(source)
    source.region.i32[word + HASH] = hash
    this.#hasBlock = true
  }

  store(region: Region, w: number, record: number, hash: number): void {
    const a = region.i32
    if (form.words === 0 || this.#hasBlock) {
      a[w] = form.lo
      a[w + 1] = form.hi
      return
    }
    const { data, words } = form
    a[w] = region.lowOf(record)
    a[w + 1] = region.high
    a[record] = form.head
    a[record + HASH] = hash
    for (let i = 0; i < words; i++) a[record + TEXT_HEADER_WORDS + i] = data[i]!
    if ((words & 1) !== 0) a[record + TEXT_HEADER_WORDS + words] = 0
  }

  read(region: Region, w: number): string {
    return decodeCell(region, region.i32[w]! | 0, region.i32[w + 1]! | 0)
  }
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

class IntegerKeys implements Keys {
  readonly hasText = false
  readonly #codec: ScalarCodec
  readonly #cell = new Int32Array(2)

  constructor(codec: ScalarCodec) {
    this.#codec = codec
  }

  prepare(key: unknown, where: string): void {
    this.#codec.writeCell(null, key, this.#cell, 0, where)
  }

  take(region: Region, w: number): void {
    this.#cell[0] = region.i32[w]!
    this.#cell[1] = region.i32[w + 1]!
  }

  recordWords(): number {
    return 0
  }

  hash(seed: number): number {
    return finish(mix(mix(seed, this.#cell[0]!), this.#cell[1]!))
  }

  hashAt(region: Region, w: number, seed: number): number {
    return finish(mix(mix(seed, region.i32[w]! | 0), region.i32[w + 1]! | 0))
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

const KEY_KINDS: ReadonlySet<string> = new Set(['text', 'u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'u64', 'i64', 'safeU64', 'safeI64'])

export function isKeyType(type: AnyType): boolean {
  return KEY_KINDS.has(type.kind)
}

export function makeKeys(type: AnyType): Keys {
  const codec = codecOf(type)
  return codec instanceof ScalarCodec ? new IntegerKeys(codec) : new TextKeys()
}
