// Objects, dictionaries and arrays as they lie in shared memory: every header is read once and checked here.
import { ARRAY, DICTIONARY, DICTIONARY_WORDS, ENTRY_WORDS, RECORD_WORDS, SEED_BITS, SEED_SHIFT } from '../../layout/json-layout.js'
import { locate, type Region } from '../../memory/region.js'
import { damaged } from '../problems.js'
import { INDEXED_FROM, MAX_JSON_LENGTH } from './limits.js'
import { type Shape, shapeAt } from './shapes.js'

/** Index bits that a dictionary may have. */
export const MAX_INDEX_BITS = 28

/** A record that was opened: where it is, and its header's words. Used up before the next one is opened. */
export interface OpenRecord {
  region: Region
  word: number
  /** The shape; null for dictionaries and arrays. */
  shape: Shape | null
  /** Keys of the shape, entries in use of the dictionary (deleted ones included), elements of the array. */
  count: number
  /** Of a dictionary or array: what there is room for. */
  capacity: number
  /** Of a dictionary. */
  live: number
  /** Of its index, and of the hash that this goes by. */
  bits: number
  seed: number
  /** Whether it lies in a block of its own, having outgrown its place. */
  moved: boolean
}

/** The record opened last. */
export const opened: OpenRecord = {
  region: null as unknown as Region, word: 0, shape: null, count: 0, capacity: 0, live: 0, bits: 0, seed: 0, moved: false,
}

/** Follows an address whose words were copied, to `words` words; the place is left in {@link opened}. */
export function follow(region: Region, high: number, lo: number, words: number): void {
  const low = lo & ~7
  let home = region
  let k = (low - region.low) >>> 2
  if (high !== region.high || k > region.words - words) {
    home = locate(region, high, low, words)
    k = (low - home.low) >>> 2
  }
  if (--region.budget < 0) region.spent()
  opened.region = home
  opened.word = k + home.shift
}

/** Opens the object at a word whose header lies inside the region. */
export function openObject(region: Region, word: number): OpenRecord {
  const lo = region.i32[word]! | 0
  const hi = region.i32[word + 1]! | 0
  opened.region = region
  opened.word = word
  opened.moved = false
  if (hi < 0) {
    if ((hi & DICTIONARY) === DICTIONARY) return openDictionary(lo, hi)
    follow(region, hi & 0xffff, lo, RECORD_WORDS)
    opened.moved = true
    const home = opened.region
    return openHere(home.i32[opened.word]! | 0, home.i32[opened.word + 1]! | 0)
  }
  return openHere(lo, hi)
}

function openHere(lo: number, hi: number): OpenRecord {
  if ((hi & DICTIONARY) === DICTIONARY) return openDictionary(lo, hi)
  const { region, word } = opened
  const shape = shapeAt(region, lo, hi)
  opened.shape = shape
  opened.count = shape.keys.length
  requireRoom(region, word, RECORD_WORDS + opened.count * 2)
  return opened
}

function openDictionary(lo: number, hi: number): OpenRecord {
  const { region, word } = opened
  requireRoom(region, word, DICTIONARY_WORDS)
  opened.shape = null
  opened.count = lo >>> 0
  opened.bits = hi & (1 << SEED_SHIFT) - 1
  opened.seed = hi >>> SEED_SHIFT & (1 << SEED_BITS) - 1
  opened.capacity = region.i32[word + 2]! >>> 0
  opened.live = region.i32[word + 3]! >>> 0
  if (opened.count > opened.capacity || opened.live > opened.count || opened.capacity > MAX_JSON_LENGTH || opened.bits > MAX_INDEX_BITS ||
    !indexFits(opened.capacity, opened.bits)) {
    damaged('the dictionary of an object is damaged')
  }
  requireRoom(region, word, dictionaryWords(opened.capacity, opened.bits))
  return opened
}

/** Without an index keys are compared one by one, and in one without a free place a search does not end soon. */
function indexFits(capacity: number, bits: number): boolean {
  return bits === 0 ? capacity < INDEXED_FROM : 1 << bits > capacity
}

/** Words of a dictionary's record. */
export function dictionaryWords(capacity: number, bits: number): number {
  return DICTIONARY_WORDS + capacity * ENTRY_WORDS + (bits === 0 ? 0 : 1 << bits)
}

/** Opens the array at a word whose header lies inside the region. */
export function openArray(region: Region, word: number): OpenRecord {
  let lo = region.i32[word]! | 0
  let hi = region.i32[word + 1]! | 0
  opened.region = region
  opened.word = word
  opened.moved = false
  if (hi < 0) {
    follow(region, hi & 0xffff, lo, RECORD_WORDS)
    opened.moved = true
    lo = opened.region.i32[opened.word]! | 0
    hi = opened.region.i32[opened.word + 1]! | 0
  }
  opened.shape = null
  opened.count = lo >>> 0
  opened.capacity = hi >>> 0
  if (opened.count > opened.capacity || opened.capacity > MAX_JSON_LENGTH) damaged('an array of json is damaged')
  requireRoom(opened.region, opened.word, RECORD_WORDS + opened.capacity * 2)
  return opened
}

/** Opens what a cell of the given tag pointed to. */
export function openContainer(region: Region, word: number, tag: number): OpenRecord {
  return tag === ARRAY ? openArray(region, word) : openObject(region, word)
}

function requireRoom(region: Region, word: number, words: number): void {
  if (words > region.words - (word - region.shift)) damaged('an object of json does not fit its region')
}
