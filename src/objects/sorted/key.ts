// Keys of a sorted map: one or several parts of 8 bytes each. A part is
//
//   text      a text's cell (text/read.ts), in the order of JavaScript's `<`
//   number    u32 low, u32 high of an image that keeps the order: keys are compared as unsigned 64-bit numbers. Integers of up
//             to 32 bits lie in the high word; signed ones have their sign bit inverted; floats have all bits inverted when
//             negative, else the sign bit alone.
import { RpcError } from '../../base/errors.js'
import type { Region } from '../../memory/region.js'
import type { Source } from '../graph/build.js'
import { codecOf, type AnyType } from '../codec.js'
import { asSingle } from '../map/key.js'
import { mismatch } from '../problems.js'
import { ScalarCodec } from '../scalar/scalars.js'
import { comparePrefix, compareUnits, prefixMask, prefixOf, Units } from '../text/compare.js'
import { decodeCell } from '../text/read.js'
import { makeText, form } from '../text/write.js'
import type { ScalarKind } from '../types.js'

const SIGN = 0x8000_0000 | 0

/** A key in private memory, to be searched for: all parts of it, or the leading ones only. */
export class SearchKey {
  /** Parts that count. */
  parts = 0
  /** The last part stands for all texts that start with it. */
  isPrefix = false
  /** Of the first part: see {@link prefixOf}; numbers have their high word. */
  prefix = 0
  prefixMask = -1
  readonly words: Int32Array
  readonly texts: readonly (Units | null)[]
  /** The text parts as they were given, for storing them. */
  readonly strings: string[]

  constructor(readonly keys: SortedKeys) {
    this.words = new Int32Array(keys.kinds.length * 2)
    this.texts = keys.kinds.map((kind) => kind === 'text' ? new Units() : null)
    this.strings = keys.kinds.map(() => '')
  }

  /** Below, equal to or above zero as this key is before, the same as or after the one at word `w`; parts that do not count are the same. */
  compare(region: Region, w: number): number {
    const { texts, words, parts } = this
    const { i32 } = region
    for (let i = 0; i < parts; i++) {
      const lo = i32[w + i * 2]! | 0
      const hi = i32[w + i * 2 + 1]! | 0
      const text = texts[i]!
      if (text === null) {
        const low = words[i * 2]!
        const high = words[i * 2 + 1]!
        if (high !== hi) return high >>> 0 < hi >>> 0 ? -1 : 1
        if (low !== lo) return low >>> 0 < lo >>> 0 ? -1 : 1
        continue
      }
      const isLast = i === parts - 1
      if (isLast && !this.isPrefix && text.equalsCell(region, lo, hi)) return 0
      other.open(region, lo, hi)
      const order = isLast && this.isPrefix ? -comparePrefix(other, text) : compareUnits(text, other)
      if (order !== 0) return order
    }
    return 0
  }

  /** Writes the whole key into `out`, with records for its texts. */
  store(source: Source, out: Int32Array): void {
    for (const [i, text] of this.texts.entries()) {
      if (text === null) {
        out[i * 2] = this.words[i * 2]!
        out[i * 2 + 1] = this.words[i * 2 + 1]!
        continue
      }
      makeText(source, this.strings[i], '')
      out[i * 2] = form.lo
      out[i * 2 + 1] = form.hi
    }
  }
}

const other = new Units()

/** The keys of one type of sorted map. */
export class SortedKeys {
  readonly kinds: readonly string[]
  readonly #codecs: readonly (ScalarCodec | null)[]
  readonly #types: readonly AnyType[]

  /** @param isTuple keys are arrays, also of one part. */
  constructor(types: readonly AnyType[], readonly isTuple: boolean) {
    this.#types = types
    this.kinds = types.map(({ kind }) => kind)
    this.#codecs = types.map((type) => {
      const codec = codecOf(type)
      return codec instanceof ScalarCodec ? codec : null
    })
  }

  /** Takes a whole key. */
  take(into: SearchKey, key: unknown, where: string): void {
    const parts = this.#partsOf(key, where)
    if (parts.length !== this.kinds.length) mismatch(where, `a key of ${this.kinds.length} parts`, parts.length)
    this.#take(into, parts, where)
  }

  /** Takes the end of a range: a whole key, or leading parts of one. */
  takeBound(into: SearchKey, key: unknown, isPrefix: boolean, where: string): void {
    const parts = this.#partsOf(key, where)
    if (parts.length > this.kinds.length || parts.length === 0) mismatch(where, `1 to ${this.kinds.length} parts of a key`, parts.length)
    const endsWithText = this.kinds[parts.length - 1] === 'text'
    if (isPrefix && !endsWithText && !this.isTuple) mismatch(where, 'a prefix of a text', key)
    this.#take(into, parts, where)
    // Of parts without a text at the end there is one key, or all that begin with them: as of any bound.
    into.isPrefix = isPrefix && endsWithText
    if (into.isPrefix && parts.length === 1) into.prefixMask = prefixMask(into.texts[0]!)
  }

  #partsOf(key: unknown, where: string): readonly unknown[] {
    if (!this.isTuple) return [key]
    if (!Array.isArray(key)) mismatch(where, 'an array of the parts of a key', key)
    return key as unknown[]
  }

  #take(into: SearchKey, parts: readonly unknown[], where: string): void {
    into.parts = parts.length
    into.isPrefix = false
    into.prefixMask = -1
    for (let i = 0; i < parts.length; i++) {
      const text = into.texts[i]!
      if (text !== null) {
        const part = parts[i]
        if (typeof part !== 'string') mismatch(where, 'a text as the key', part)
        text.set(part)
        into.strings[i] = part
      } else {
        this.#codecs[i]!.writeCell(null, parts[i], into.words, i * 2, where)
        toImage(this.kinds[i] as ScalarKind, into.words, i * 2, where)
      }
    }
    into.prefix = into.texts[0] === null ? into.words[1]! >>> 0 : prefixOf(into.texts[0]!)
  }

  /** A key that was taken before, as it is stored: different numbers may be one in 32 bits. */
  asStored(key: unknown): unknown {
    if (!this.kinds.includes('f32')) return key
    return this.isTuple ? (key as unknown[]).map((part, i) => this.kinds[i] === 'f32' ? asSingle(part) : part) : asSingle(key)
  }

  /** The key at word `w`. */
  read(region: Region, w: number): unknown {
    if (!this.isTuple) return this.#readPart(region, w, 0)
    return this.kinds.map((_, i) => this.#readPart(region, w + i * 2, i))
  }

  #readPart(region: Region, w: number, i: number): unknown {
    const lo = region.i32[w]! | 0
    const hi = region.i32[w + 1]! | 0
    const codec = this.#codecs[i]!
    if (codec === null) return decodeCell(region, lo, hi)
    image[0] = lo
    image[1] = hi
    fromImage(this.kinds[i] as ScalarKind, image)
    return codec.readCell(region, image[0], image[1])
  }

  /** Calls back with the place of each text part of the key at word `w`. */
  forEachText(w: number, visit: (type: AnyType, w: number) => void): void {
    for (let i = 0; i < this.kinds.length; i++) if (this.#codecs[i] === null) visit(this.#types[i]!, w + i * 2)
  }

  /** Whether freeing an entry frees memory of its key. */
  get hasText(): boolean {
    return this.kinds.includes('text')
  }
}

const image = new Int32Array(2)

// From a cell's words to the image, in place.
function toImage(kind: ScalarKind, words: Int32Array, at: number, where: string): void {
  const lo = words[at]!
  const hi = words[at + 1]!
  switch (kind) {
    case 'u64': case 'safeU64': return
    case 'i64': case 'safeI64':
      words[at + 1] = hi ^ SIGN
      return
    case 'f64':
      takeFloat(words, at, lo, hi, (hi & 0x7fff_ffff) > 0x7ff0_0000 || ((hi & 0x7fff_ffff) === 0x7ff0_0000 && lo !== 0), where)
      return
    case 'f32':
      takeFloat(words, at, 0, lo, (lo & 0x7fff_ffff) > 0x7f80_0000, where)
      return
    case 'i8': case 'i16': case 'i32':
      words[at] = 0
      words[at + 1] = lo ^ SIGN
      return
    case 'u8': case 'u16': case 'u32': case 'bool':
      words[at] = 0
      words[at + 1] = lo
  }
}

function takeFloat(words: Int32Array, at: number, lo: number, hi: number, isNaN: boolean, where: string): void {
  if (isNaN) throw new RpcError('INVALID_ARGUMENT', `${where}: NaN cannot be a key, because it is neither before nor after any number`)
  // -0 is the same key as 0, as in Map.
  const isNegative = hi < 0 && !(hi === SIGN && lo === 0)
  words[at] = isNegative ? ~lo : lo
  words[at + 1] = isNegative ? ~hi : hi | SIGN
}

function fromImage(kind: ScalarKind, words: Int32Array): void {
  const lo = words[0]!
  const hi = words[1]!
  switch (kind) {
    case 'u64': case 'safeU64': return
    case 'i64': case 'safeI64':
      words[1] = hi ^ SIGN
      return
    case 'f64':
      words[0] = hi < 0 ? lo : ~lo
      words[1] = hi < 0 ? hi ^ SIGN : ~hi
      return
    case 'f32':
      words[0] = hi < 0 ? hi ^ SIGN : ~hi
      words[1] = 0
      return
    case 'i8': case 'i16': case 'i32':
      words[0] = hi ^ SIGN
      words[1] = 0
      return
    case 'u8': case 'u16': case 'u32': case 'bool':
      words[0] = hi
      words[1] = 0
  }
}

const PART_KINDS: ReadonlySet<string> = new Set([
  'text', 'bool', 'u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'u64', 'i64', 'safeU64', 'safeI64', 'f32', 'f64',
])

/** What may be a part of a sorted map's key: text, and every scalar. */
export function isSortedKeyType(type: AnyType): boolean {
  return PART_KINDS.has(type.kind)
}
