// The blocks of a document, for freeing it. Whatever depth it has: documents are made 1000 levels deep at most, and may grow deeper by
// assignments; one that could not be freed would be lost. Data that goes in circles ends with the walk's budget of values.
import { RpcError } from '../../base/errors.js'
import {
  ARRAY, DICTIONARY_WORDS, DOCUMENT_MAGIC, DOCUMENT_WORDS, ENTRY_WORDS, NEAR_TEXT, OBJECT, OWNED, RECORD_WORDS, TEXT,
} from '../../layout/json-layout.js'
import type { Region } from '../../memory/region.js'
import { locate } from '../../memory/region.js'
import { damaged } from '../problems.js'
import type { BlockSink } from './blocks.js'
import { MAX_JSON_DEPTH } from './limits.js'
import { follow, openContainer, opened } from './record.js'

/** Objects and arrays at which the stack is as deep as it may get: their contents are collected when it is empty again. */
const deep: Array<{ readonly region: Region, readonly word: number, readonly tag: number }> = []

/** Collects what a cell owns, inside an unowned part of a document too. */
export function gatherCell(gather: BlockSink, region: Region, lo: number, hi: number): void {
  try {
    gatherFrom(gather, region, lo, hi, 0)
    for (let next = deep.pop(); next !== undefined; next = deep.pop()) gatherContents(gather, next.region, next.word, next.tag, 0)
  } finally {
    deep.length = 0
  }
}

function gatherFrom(gather: BlockSink, region: Region, lo: number, hi: number, depth: number): void {
  const tag = hi >> 16
  if (tag === NEAR_TEXT || tag === TEXT) {
    if ((lo & OWNED) !== 0) gather.leaf(region, lo & ~3, tag === TEXT ? hi & 0xffff : region.high)
    return
  }
  if (tag !== OBJECT && tag !== ARRAY) return
  follow(region, hi & 0xffff, lo, RECORD_WORDS)
  if ((lo & OWNED) !== 0) gatherRoot(gather, opened.region, opened.word, tag, depth)
  else gatherContents(gather, opened.region, opened.word, tag, depth)
}

function gatherRoot(gather: BlockSink, region: Region, word: number, tag: number, depth: number): void {
  const start = word - DOCUMENT_WORDS
  const lo = start < region.shift ? 0 : region.i32[start]! | 0
  const hi = start < region.shift ? 0 : region.i32[start + 1]! | 0
  if (hi >>> 16 !== DOCUMENT_MAGIC) {
    throw new RpcError('INVALID_ARGUMENT', 'this is a part of a document, or was freed already: free the whole document, by its root')
  }
  if (!gather.block(region, start)) return
  if (lo !== 0 || (hi & 0xffff) !== 0) gatherChunks(gather, region, lo, hi & 0xffff)
  gatherContents(gather, region, word, tag, depth)
}

function gatherChunks(gather: BlockSink, region: Region, lo: number, high: number): void {
  const home = locate(region, high, lo & ~7, 2)
  const k = ((lo & ~7) - home.low) >>> 2
  const start = k + home.shift
  const count = home.i32[start]! >>> 0
  if (count * 2 > home.words - 2 - k) damaged('the list of a document\'s blocks is damaged')
  gather.spend(count)
  for (let i = start + 2; i < start + 2 + count * 2; i += 2) gather.leaf(region, home.i32[i]! | 0, home.i32[i + 1]! | 0)
}

function gatherContents(gather: BlockSink, region: Region, word: number, tag: number, depth: number): void {
  if (depth > MAX_JSON_DEPTH) {
    deep.push({ region, word, tag })
    return
  }
  const record = openContainer(region, word, tag)
  const { region: home, word: start, count, moved } = record
  const isDictionary = tag === OBJECT && record.shape === null
  gather.spend(1 + count)
  if (moved && !gather.block(home, start)) return
  const step = isDictionary ? ENTRY_WORDS : RECORD_WORDS
  const a = home.i32
  for (let i = 0, p = start + (isDictionary ? DICTIONARY_WORDS : RECORD_WORDS); i < count; i++, p += step) {
    if (isDictionary) gatherFrom(gather, home, a[p]! | 0, a[p + 1]! | 0, depth + 1)
    const value = isDictionary ? p + 2 : p
    const hi = a[value + 1]! | 0
    const kind = hi >> 16
    if (kind >= NEAR_TEXT && kind <= ARRAY) gatherFrom(gather, home, a[value]! | 0, hi, depth + 1)
  }
}
