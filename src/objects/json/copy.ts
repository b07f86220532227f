// A document from another one, in whatever heap: each word of the source is checked, like everywhere.
import {
  ARRAY, DICTIONARY_WORDS, ENTRY_WORDS, INLINE_UNITS, NEAR_TEXT, OBJECT, RECORD_WORDS, TEXT,
} from '../../layout/json-layout.js'
import type { Region } from '../../memory/region.js'
import { damaged } from '../problems.js'
import { TextBudget } from '../text/budget.js'
import { TWO_BYTE } from '../text/read.js'
import type { JsonBuilder } from './builder.js'
import type { KeyNode } from './intern.js'
import { MAX_JSON_DEPTH, MAX_SHAPES_KNOWN } from './limits.js'
import { hashInline, needleOf } from './needle.js'
import { KeyTrack } from './objects.js'
import { keyText, openedText, openText } from './read.js'
import { follow, openContainer, opened } from './record.js'
import type { Shape } from './shapes.js'
import { cell } from './staging.js'

/** What a copy may still visit. */
export interface Spender {
  spend(nodes: number): void
}

/** Pushes a copy of a cell, whose words were read from memory of `region`. */
export function pushCopy(builder: JsonBuilder, spender: Spender, region: Region, lo: number, hi: number, depth: number): void {
  const tag = hi >> 16
  if (tag === NEAR_TEXT || tag === TEXT) {
    copyText(builder, region, tag === TEXT ? hi & 0xffff : region.high, lo)
    builder.push(cell.lo, cell.hi)
  } else if (tag === OBJECT || tag === ARRAY) {
    follow(region, hi & 0xffff, lo, RECORD_WORDS)
    copyContainer(builder, spender, opened.region, opened.word, tag, depth)
  } else builder.push(lo, hi)
}

/** Pushes a copy of the object or array at a word. */
export function copyContainer(builder: JsonBuilder, spender: Spender, region: Region, word: number, tag: number, depth: number): void {
  if (depth > MAX_JSON_DEPTH) damaged('a document is nested too deep, or goes in circles')
  const { region: home, word: record, count, shape } = openContainer(region, word, tag)
  spender.spend(1 + count)
  if (tag === OBJECT && shape === null) {
    copyDictionary(builder, spender, home, record, count, depth)
    return
  }
  const start = builder.sp
  const a = home.i32
  for (let i = 0, p = record + RECORD_WORDS; i < count; i++, p += 2) pushCopy(builder, spender, home, a[p]! | 0, a[p + 1]! | 0, depth + 1)
  if (shape === null) builder.closeArray(start)
  else closeAs(builder, start, shape)
}

function copyDictionary(builder: JsonBuilder, spender: Spender, home: Region, record: number, count: number, depth: number): void {
  const a = home.i32
  const known = new Set<string>()
  const texts = new TextBudget(home)
  const track = new KeyTrack(builder)
  for (let i = 0, p = record + DICTIONARY_WORDS; i < count; i++, p += ENTRY_WORDS) {
    const lo = a[p]! | 0
    const hi = a[p + 1]! | 0
    if (lo === 0 && hi === 0) continue
    const key = keyText(texts, home, lo, hi)
    if (known.has(key)) damaged('a dictionary names a key twice')
    known.add(key)
    track.enter(key)
    pushCopy(builder, spender, home, a[p + 2]! | 0, a[p + 3]! | 0, depth + 1)
  }
  track.close()
}

// What has a shape at its source gets one at once.
function closeAs(builder: JsonBuilder, start: number, shape: Shape): void {
  const { intern } = builder
  const node = intern === null ? null : nodeFor(intern, shape)
  if (node !== null) {
    builder.closeShaped(start, node)
    return
  }
  const keyStart = builder.kp
  for (const key of shape.keys) builder.pushNeedle(needleOf(key))
  builder.closeDictionary(start, keyStart)
}

function nodeFor(intern: NonNullable<JsonBuilder['intern']>, shape: Shape): KeyNode | null {
  let node = intern.copies.get(shape)
  if (node === undefined) {
    node = intern.nodeOf(shape.keys)
    if (intern.copies.size >= MAX_SHAPES_KNOWN) intern.copies.clear()
    intern.copies.set(shape, node)
  }
  return node
}

/** Stages a text; its cell is left in {@link cell}. The fingerprint is made afresh: the source's may be a lie. */
function copyText(builder: JsonBuilder, region: Region, high: number, lo: number): void {
  openText(region, high, lo)
  const { a, start, head, words } = openedText
  const units = head & 0x7fff_ffff
  const at = builder.reserveText(1 + words)
  const { text } = builder
  if (words <= 64) for (let i = 0; i < words; i++) text[at + 1 + i] = a[start + i]!
  else text.set(a.subarray(start, start + words), at + 1)
  // Texts are compared by words, so what lies behind the last unit must be zero.
  const rest = (head & TWO_BYTE) === 0 ? (units & 3) * 8 : (units & 1) * 16
  if (rest > 0) text[at + words] = text[at + words]! & (1 << rest) - 1
  if (units > INLINE_UNITS || (head & TWO_BYTE) !== 0) {
    builder.endText(at, head, at + 1 + words)
    return
  }
  // Honest texts of this length lie in their cell.
  cell.lo = units === 0 ? 0 : text[at + 1]!
  cell.hi = 0xffff_0000 | units << 8 | (units > 4 ? text[at + 2]! & 0xff : 0)
  cell.hash = hashInline(cell.lo, cell.hi)
}

