// Changing a document in place, by its single writer. What is put in is a block of its own, owned by the cell; what is
// overwritten is freed when it was such a block, and stays as a gap in the document otherwise.
import { RpcError } from '../../base/errors.js'
import {
  CONSTANT, DICTIONARY, DICTIONARY_WORDS, ENTRY_WORDS, MOVED, NEAR_TEXT, NULL, OWNED, RECORD_WORDS, SEED_SHIFT, TEXT,
} from '../../layout/json-layout.js'
import type { Region } from '../../memory/region.js'
import { type Build, building } from '../graph/build.js'
import { willChange } from '../shared/journal.js'
import { allocatorOf } from '../problems.js'
import { TextBudget } from '../text/budget.js'
import { Blocks } from './blocks.js'
import { writeValue } from './from-value.js'
import { gatherCell } from './gather.js'
import { fillIndex, fillSeeded, freePlace } from './index-table.js'
import { internOf } from './intern.js'
import { INDEXED_FROM, MAX_JSON_LENGTH } from './limits.js'
import { needleOf, type Needle } from './needle.js'
import { cellOfKey, findEntry, keyText } from './read.js'
import { dictionaryWords, openArray, opened, openObject, type OpenRecord } from './record.js'

/** A value that was written, not yet in its place. */
interface Written {
  readonly lo: number
  readonly hi: number
}

const where = 'a value of json'

function write(build: Build, value: unknown): Written {
  const { lo, hi } = writeValue(build, build.allocator, value, where)
  return { lo, hi }
}

/** Stores a value under a key; undefined takes the key out. */
export function setKey(region: Region, word: number, key: string, value: unknown): void {
  if (value === undefined) {
    deleteKey(region, word, key)
    return
  }
  const allocator = allocatorOf(region, where)
  const old = new Blocks()
  building(allocator, (build) => {
    const { lo, hi } = write(build, value)
    const object = openObject(region, word)
    const p = cellOfKey(object, key)
    if (p < 0) addKey(build, old, region, word, key, lo, hi)
    else replace(old, object.region, p, lo, hi)
  })
  old.retire(allocator)
}

function replace(old: Blocks, region: Region, p: number, lo: number, hi: number): void {
  const { i32 } = region
  gatherCell(old, region, i32[p]! | 0, i32[p + 1]! | 0)
  willChange(region, p, 2)
  i32[p] = lo
  i32[p + 1] = hi
}

/** A key that is to be added, and its value. */
interface Added extends Written {
  readonly needle: Needle
}

// The opened object has no such key.
function addKey(build: Build, old: Blocks, region: Region, word: number, key: string, lo: number, hi: number): void {
  const { shape, region: home, word: record, count } = opened
  if (shape === null) {
    const added = { needle: needleOf(key), lo, hi }
    const place = placeFor(opened, added.needle)
    if (place < 0) makeDictionary(build, old, region, word, added)
    else appendEntry(build, opened, place, added)
    return
  }
  const node = internOf(build.allocator)?.nodeOf([...shape.keys, key]) ?? null
  if (node === null) {
    makeDictionary(build, old, region, word, { needle: needleOf(key), lo, hi })
    return
  }
  const target = build.allocate((RECORD_WORDS + (count + 1) * 2) * 4)
  const a = build.region.i32
  a[target] = node.shapeLo
  a[target + 1] = node.shapeHi
  copyCells(home, record + RECORD_WORDS, build.region, target + RECORD_WORDS, count)
  a[target + RECORD_WORDS + count * 2] = lo
  a[target + RECORD_WORDS + count * 2 + 1] = hi
  move(old, region, word, build.region, target)
}

/** Copies cells; a near text's cell that comes into another region gets the full address. */
function copyCells(from: Region, p: number, to: Region, q: number, count: number): void {
  for (let i = 0; i < count * 2; i += 2) {
    const hi = from.i32[p + i + 1]! | 0
    to.i32[q + i] = from.i32[p + i]!
    to.i32[q + i + 1] = hi >> 16 === NEAR_TEXT && from.high !== to.high ? TEXT << 16 | from.high : hi
  }
}

/** The record at a word lies at (target, at) from now on; a block that it had outside its document goes. */
function move(old: Blocks, region: Region, word: number, target: Region, at: number): void {
  const { i32 } = region
  const hi = i32[word + 1]! | 0
  if ((hi & DICTIONARY) === MOVED) old.leaf(region, i32[word]! | 0, hi & 0xffff)
  willChange(region, word, 2)
  i32[word] = target.lowOf(at)
  i32[word + 1] = MOVED | target.high
}

/** Makes the opened object, at (region, word), a dictionary with room for more keys; all keys' texts lie behind the index. */
function makeDictionary(build: Build, old: Blocks, region: Region, word: number, added: Added | null): void {
  const { shape, region: home, word: record, count } = opened
  let { seed } = opened
  const needles: Needle[] = []
  const texts = new TextBudget(home)
  const cells: number[] = []
  for (let i = 0; i < count; i++) {
    if (shape !== null) {
      needles.push(needleOf(shape.keys[i]!))
      cells.push(record + RECORD_WORDS + i * 2)
      continue
    }
    const entry = record + DICTIONARY_WORDS + i * ENTRY_WORDS
    const lo = home.i32[entry]! | 0
    const hi = home.i32[entry + 1]! | 0
    if (lo === 0 && hi === 0) continue
    needles.push(needleOf(keyText(texts, home, lo, hi)))
    cells.push(entry + 2)
    gatherCell(old, home, lo, hi)
  }
  if (added !== null) needles.push(added.needle)
  const total = needles.length
  if (total > MAX_JSON_LENGTH) throw new RpcError('RESOURCE_EXHAUSTED', `an object of json has at most ${MAX_JSON_LENGTH} keys`)
  const capacity = Math.min(MAX_JSON_LENGTH, Math.max(8, added === null ? total : total * 2))
  const bits = capacity < INDEXED_FROM ? 0 : 32 - Math.clz32(capacity * 2 - 1)
  const words = dictionaryWords(capacity, bits)
  const textWords = needles.reduce((sum, needle) => sum + (needle.inline ? 0 : 1 + needle.words.length), 0)
  const target = build.allocate((words + textWords) * 4)
  const to = build.region
  const a = to.i32
  const index = target + DICTIONARY_WORDS + capacity * ENTRY_WORDS
  a.fill(0, target, index)
  let text = target + words
  for (const [i, needle] of needles.entries()) {
    const entry = target + DICTIONARY_WORDS + i * ENTRY_WORDS
    a[entry] = needle.inline ? needle.lo : to.lowOf(text)
    a[entry + 1] = needle.hi >> 16 === TEXT ? needle.hi | to.high : needle.hi
    if (!needle.inline) text = writeRecord(to, text, needle)
    if (i < cells.length) copyCells(home, cells[i]!, to, entry + 2, 1)
    else {
      a[entry + 2] = added!.lo
      a[entry + 3] = added!.hi
    }
  }
  if (bits > 0 && (seed !== 0 || !fillIndex(a, index, bits, total, (i) => needles[i]!.hash))) {
    seed = fillSeeded(a, index, bits, total, (i, by) => needles[i]!.hashUnder(by))
  }
  a[target] = total
  a[target + 1] = DICTIONARY | seed << SEED_SHIFT | bits
  a[target + 2] = capacity
  a[target + 3] = total
  move(old, region, word, to, target)
}

function writeRecord({ i32 }: Region, at: number, { head, words }: Needle): number {
  i32[at] = head
  for (let i = 0; i < words.length; i++) i32[at + 1 + i] = words[i]!
  return at + 1 + words.length
}

/** Where the index of a dictionary takes a further key: its place in an index, 0 where there is none. Negative when it has to be made anew. */
function placeFor({ region, word, count, capacity, bits, seed }: OpenRecord, needle: Needle): number {
  if (count === capacity) return -1
  return bits === 0 ? 0 : freePlace(region.i32, word + DICTIONARY_WORDS + capacity * ENTRY_WORDS, bits, needle.hashUnder(seed))
}

// The opened dictionary has room. Memory comes before all changes: it may be short.
function appendEntry(build: Build, dictionary: OpenRecord, place: number, { needle, lo, hi }: Added): void {
  const { region, word, count, live, bits, capacity } = dictionary
  let { lo: keyLo, hi: keyHi } = needle
  if (!needle.inline) {
    const text = build.allocate((1 + needle.words.length) * 4)
    writeRecord(build.region, text, needle)
    keyLo = build.region.lowOf(text) | OWNED
    keyHi = TEXT << 16 | build.region.high
  }
  const a = region.i32
  const entry = word + DICTIONARY_WORDS + count * ENTRY_WORDS
  willChange(region, entry, ENTRY_WORDS)
  a[entry] = keyLo
  a[entry + 1] = keyHi
  a[entry + 2] = lo
  a[entry + 3] = hi
  if (bits > 0) {
    const index = word + DICTIONARY_WORDS + capacity * ENTRY_WORDS
    willChange(region, index + place, 1)
    a[index + place] = count + 1
  }
  willChange(region, word, DICTIONARY_WORDS)
  a[word] = count + 1
  a[word + 3] = live + 1
}

/** Takes a key out; tells whether it was there. */
export function deleteKey(region: Region, word: number, key: string): boolean {
  const allocator = allocatorOf(region, where)
  const { shape, region: home, word: record, count, live } = openObject(region, word)
  const old = new Blocks()
  if (shape === null) {
    const entry = findEntry(opened, needleOf(key))
    if (entry < 0) return false
    const a = home.i32
    gatherCell(old, home, a[entry]! | 0, a[entry + 1]! | 0)
    replace(old, home, entry + 2, 0, 0)
    willChange(home, entry, 2)
    willChange(home, record, DICTIONARY_WORDS)
    a[entry] = 0
    a[entry + 1] = 0
    a[record + 3] = live - 1
    old.retire(allocator)
    return true
  }
  const slot = shape.slotOf(key)
  if (slot < 0) return false
  const node = internOf(allocator)?.nodeOf(shape.keys.filter((other) => other !== key)) ?? null
  if (node === null) {
    building(allocator, (build) => makeDictionary(build, old, region, word, null))
    old.retire(allocator)
    return deleteKey(region, word, key)
  }
  const p = record + RECORD_WORDS + slot * 2
  const a = home.i32
  gatherCell(old, home, a[p]! | 0, a[p + 1]! | 0)
  willChange(home, record, RECORD_WORDS + count * 2)
  for (let i = p; i < record + RECORD_WORDS + (count - 1) * 2; i++) a[i] = a[i + 2]!
  a[record] = node.shapeLo
  a[record + 1] = node.shapeHi
  old.retire(allocator)
  return true
}

/** Makes room for `needed` elements; returns the array, opened. */
function roomFor(build: Build, old: Blocks, region: Region, word: number, needed: number): OpenRecord {
  const { region: home, word: record, count, capacity } = openArray(region, word)
  if (needed <= capacity) return opened
  if (needed > MAX_JSON_LENGTH) throw new RpcError('INVALID_ARGUMENT', `an array of json has at most ${MAX_JSON_LENGTH} elements`)
  const room = Math.min(MAX_JSON_LENGTH, Math.max(4, needed, capacity * 2))
  const target = build.allocate((RECORD_WORDS + room * 2) * 4)
  const to = build.region
  to.i32[target] = count
  to.i32[target + 1] = room
  copyCells(home, record + RECORD_WORDS, to, target + RECORD_WORDS, count)
  to.i32.fill(0, target + RECORD_WORDS + count * 2, target + RECORD_WORDS + room * 2)
  move(old, region, word, to, target)
  return openArray(region, word)
}

/** Makes an array longer, by nulls; returns it, opened. */
function lengthen(build: Build, old: Blocks, region: Region, word: number, length: number): OpenRecord {
  const { region: home, word: record, count } = roomFor(build, old, region, word, length)
  const a = home.i32
  willChange(home, record, RECORD_WORDS + length * 2)
  for (let i = record + RECORD_WORDS + count * 2; i < record + RECORD_WORDS + length * 2; i += 2) {
    a[i] = NULL
    a[i + 1] = CONSTANT << 16
  }
  a[record] = length
  return opened
}

/** Stores an element; what lies between the end and a further index becomes null. */
export function setElement(region: Region, word: number, index: number, value: unknown): void {
  if (index >>> 0 !== index || index >= MAX_JSON_LENGTH) {
    throw new RpcError('OUT_OF_RANGE', `${String(index)} is no index of an array of json: these go from 0 to ${MAX_JSON_LENGTH - 1}`)
  }
  const allocator = allocatorOf(region, where)
  const old = new Blocks()
  building(allocator, (build) => {
    const { lo, hi } = writeElement(build, value)
    // Only now: what a value runs when it is written (toJSON, a getter) may change this array.
    let array = openArray(region, word)
    if (index >= array.count) array = lengthen(build, old, region, word, index + 1)
    replace(old, array.region, array.word + RECORD_WORDS + index * 2, lo, hi)
  })
  old.retire(allocator)
}

/** Cuts an array off, or makes it longer by nulls. */
export function setLength(region: Region, word: number, length: number): void {
  const allocator = allocatorOf(region, where)
  const { count } = openArray(region, word)
  if (length <= count) {
    spliceElements(region, word, length, count - length, [])
    return
  }
  const old = new Blocks()
  building(allocator, (build) => lengthen(build, old, region, word, length))
  old.retire(allocator)
}

// In an array undefined is null, as JSON.stringify has it.
function writeElement(build: Build, value: unknown): Written {
  return write(build, value === undefined ? null : value)
}

/** Puts values in the place of `remove` elements from `start`, both within the array. */
export function spliceElements(region: Region, word: number, start: number, remove: number, values: readonly unknown[]): void {
  const allocator = allocatorOf(region, where)
  const old = new Blocks()
  building(allocator, (build) => {
    const written = values.map((value) => writeElement(build, value))
    const { region: source, word: at, count: before } = openArray(region, word)
    const from = Math.min(start, before)
    const removed = Math.min(remove, before - from)
    const count = before - removed + written.length
    // What is damaged is refused here, before anything has moved.
    for (let i = 0, p = at + RECORD_WORDS + from * 2; i < removed; i++, p += 2) gatherCell(old, source, source.i32[p]! | 0, source.i32[p + 1]! | 0)
    const { region: home, word: record } = roomFor(build, old, region, word, count)
    const a = home.i32
    const first = record + RECORD_WORDS
    willChange(home, record, RECORD_WORDS + Math.max(before, count) * 2)
    a.copyWithin(first + (from + written.length) * 2, first + (from + removed) * 2, first + before * 2)
    for (const [i, { lo, hi }] of written.entries()) {
      a[first + (from + i) * 2] = lo
      a[first + (from + i) * 2 + 1] = hi
    }
    a[record] = count
  })
  old.retire(allocator)
}

/** Puts the elements into another order: element i becomes the one that was at `order[i]`. */
export function reorderElements(region: Region, word: number, order: readonly number[]): void {
  allocatorOf(region, where)
  const { region: home, word: record, count } = openArray(region, word)
  if (order.length !== count) throw new RpcError('ABORTED', 'the array changed while it was sorted')
  const first = record + RECORD_WORDS
  willChange(home, record, RECORD_WORDS + count * 2)
  const cells = home.i32.slice(first, first + count * 2)
  for (let i = 0; i < count; i++) {
    home.i32[first + i * 2] = cells[order[i]! * 2]!
    home.i32[first + i * 2 + 1] = cells[order[i]! * 2 + 1]!
  }
}

