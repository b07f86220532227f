import { locate, type Region } from '../memory/region.js'
import type { Source } from './build.js'
import { codecOf, type AnyType } from './codec.js'
import { mismatch } from './problems.js'
import { ScalarCodec } from './scalars.js'
import { finish, mix } from './text-compare.js'
import { decodeCell, TEXT_HEADER_WORDS, wordsOf } from './text-read.js'
import { form, prepareText, storeRecord } from './text-write.js'

/**
 * A map's keys: 8-byte cells, hashed and compared by their words, so that a search decodes nothing. Equal keys have equal
 * words, because a text has only one form. One instance per map type; {@link prepare} comes before everything else.
 */
export interface Keys {
  /** Takes a key to search for or store. */
  prepare(key: unknown, where: string): void
  /** Hash of the prepared key; bit 0 is always set, so that no hash is 0. */
  hash(seed: number): number
  /** Whether the cell at word `w` is the prepared key. */
  equals(region: Region, w: number): boolean
  /** Writes the prepared key's cell, and a record for it where it needs one. */
  store(source: Source, region: Region, w: number): void
  read(region: Region, w: number): unknown
}

function makeTextKeys(): Keys {
  return {
    prepare(key, where) {
      if (typeof key !== 'string') mismatch(where, 'a text as the key', key)
      prepareText(key)
    },
    hash(seed) {
      if (form.words === 0) return finish(mix(mix(seed, form.lo), form.hi))
      let hash = mix(seed, form.head)
      const { data, words } = form
      for (let i = 0; i < words; i++) hash = mix(hash, data[i]!)
      return finish(hash)
    },
    equals(region, w) {
      const lo = region.i32[w]! | 0
      const hi = region.i32[w + 1]! | 0
      if ((lo & 1) !== 0) return form.words === 0 && lo === form.lo && hi === form.hi
      return form.words !== 0 && recordEquals(region, lo, hi)
    },
    store(source, region, w) {
      if (form.words !== 0) storeRecord(source)
      region.i32[w] = form.lo
      region.i32[w + 1] = form.hi
    },
    read: (region, w) => decodeCell(region, region.i32[w]! | 0, region.i32[w + 1]! | 0),
  }
}

function recordEquals(region: Region, lo: number, hi: number): boolean {
  const home = locate(region, hi, lo, TEXT_HEADER_WORDS)
  const k = (lo - home.low) >>> 2
  const a = home.i32
  const start = k + home.shift + TEXT_HEADER_WORDS
  const head = a[k + home.shift]! | 0
  if (head !== form.head || wordsOf(head) > home.words - TEXT_HEADER_WORDS - k) return false
  const { data, words } = form
  for (let i = 0; i < words; i++) if (a[start + i] !== data[i]) return false
  return true
}

function makeIntegerKeys(codec: ScalarCodec): Keys {
  const cell = new Int32Array(2)
  return {
    prepare(key, where) {
      codec.writeCell(null, key, cell, 0, where)
    },
    hash: (seed) => finish(mix(mix(seed, cell[0]!), cell[1]!)),
    equals: (region, w) => region.i32[w] === cell[0] && region.i32[w + 1] === cell[1],
    store(_source, region, w) {
      region.i32[w] = cell[0]!
      region.i32[w + 1] = cell[1]!
    },
    read: (region, w) => codec.readCell(region, region.i32[w]! | 0, region.i32[w + 1]! | 0),
  }
}

const KEY_KINDS: ReadonlySet<string> = new Set(['text', 'u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'u64', 'i64', 'safeU64', 'safeI64'])

export function isKeyType(type: AnyType): boolean {
  return KEY_KINDS.has(type.kind)
}

export function makeKeys(type: AnyType): Keys {
  const codec = codecOf(type)
  return codec instanceof ScalarCodec ? makeIntegerKeys(codec) : makeTextKeys()
}
