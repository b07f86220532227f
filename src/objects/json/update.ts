// Changing a document in place, by its single writer. What is put in is a block of its own, owned by the cell; what is
// overwritten is freed when it was such a block, and stays as a gap in the document otherwise.
import { RpcError } from '../../base/errors.js'
import {
  CONSTANT, DICTIONARY, DICTIONARY_WORDS, ENTRY_WORDS, MOVED, NEAR_TEXT, NULL, OWNED, RECORD_WORDS, TEXT,
} from '../../layout/json-layout.js'
import type { Region } from '../../memory/region.js'
import { type Build, building } from '../graph/build.js'
import { willChange } from '../shared/journal.js'
import { allocatorOf } from '../problems.js'
import { Blocks } from './blocks.js'
import { writeValue } from './from-value.js'
import { gatherCell } from './gather.js'
import { internOf } from './intern.js'
import { INDEXED_FROM, MAX_JSON_LENGTH } from './limits.js'
import { needleOf, type Needle } from './needle.js'
import { cellOfKey, findEntry, textOf } from './read.js'
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
  old.free(allocator)
}

function replace(old: Blocks, region: Region, p: number, lo: number, hi: number): void {
  const { i32 } = region
  gatherCell(old, region, i32[p]! | 0, i32[p + 1]! | 0)
  willChange(region, p, 2)
  i32[p] = lo
  i32[p + 1] = hi
}

// The opened object has no such key.
function addKey(build: Build, old: Blocks, region: Region, word: number, key: string, lo: number, hi: number): void {
  const { shape, region: home, word: record, count, capacity } = opened
  if (shape === null) {
    if (count < capacity && opened.live > count) throw new RpcError('INVALID_ARGUMENT', 'the dictionary of an object is damaged')
    const entry = writeKey(build, key)
    if (count === capacity) makeDictionary(build, old, region, word, Math.max(8, opened.live * 2))
    appendEntry(openObject(region, word), entry, lo, hi)
    return
  }
  const node = internOf(build.allocator)?.nodeOf([...shape.keys, key]) ?? null
  if (node === null) {
    const entry = writeKey(build, key)
    makeDictionary(build, old, region, word, Math.max(8, count * 2))
    appendEntry(openObject(region, word), entry, lo, hi)
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

/** Makes the opened object, at (region, word), a dictionary of the given capacity; its keys' texts lie behind the index. */
function makeDictionary(build: Build, old: Blocks, region: Region, word: number, capacity: number): void {
  const { shape, region: home, word: record, count } = opened
  if (capacity > MAX_JSON_LENGTH) throw new RpcError('RESOURCE_EXHAUSTED', `an object of json has at most ${MAX_JSON_LENGTH} keys`)
  const entries: Array<{ readonly needle: Needle, readonly cell: number }> = []
  for (let i = 0; i < count; i++) {
    if (shape !== null) {
      entries.push({ needle: needleOf(shape.keys[i]!), cell: record + RECORD_WORDS + i * 2 })
      continue
    }
    const entry = record + DICTIONARY_WORDS + i * ENTRY_WORDS
    const lo = home.i32[entry]! | 0
    const hi = home.i32[entry + 1]! | 0
    if (lo === 0 && hi === 0) continue
    entries.push({ needle: needleOf(textOf(home, lo, hi)), cell: entry + 2 })
    gatherCell(old, home, lo, hi)
  }
  const bits = capacity < INDEXED_FROM ? 0 : 32 - Math.clz32(capacity * 2 - 1)
  const words = dictionaryWords(capacity, bits)
  const texts = entries.reduce((sum, { needle }) => sum + (needle.inline ? 0 : 1 + needle.words.length), 0)
  const target = build.allocate((words + texts) * 4)
  const to = build.region
  const a = to.i32
  a.fill(0, target, target + words)
  a[target + 1] = DICTIONARY | bits
  a[target + 2] = capacity
  let text = target + words
  const made = { ...opened, region: to, word: target, shape: null, count: 0, capacity, live: 0, bits }
  for (const { needle, cell } of entries) {
    const entry = enter(made, needle, needle.inline ? needle.lo : to.lowOf(text), needle.inline ? needle.hi : needle.hi >> 16 === TEXT ? needle.hi | to.high : needle.hi)
    if (!needle.inline) text = writeRecord(to, text, needle)
    copyCells(home, cell, to, entry + 2, 1)
    made.count++
  }
  a[target] = made.count
  a[target + 3] = made.count
  move(old, region, word, to, target)
}

function writeRecord({ i32 }: Region, at: number, { head, words }: Needle): number {
  i32[at] = head
  for (let i = 0; i < words.length; i++) i32[at + 1 + i] = words[i]!
  return at + 1 + words.length
}

/** Writes a key as the next entry of a dictionary and enters it into the index; returns the entry's word. */
function enter({ region, word, count, capacity, bits }: OpenRecord, needle: Needle, lo: number, hi: number): number {
  const a = region.i32
  const entry = word + DICTIONARY_WORDS + count * ENTRY_WORDS
  willChange(region, entry, ENTRY_WORDS)
  a[entry] = lo
  a[entry + 1] = hi
  if (bits === 0) return entry
  const index = word + DICTIONARY_WORDS + capacity * ENTRY_WORDS
  const mask = (1 << bits) - 1
  let place = needle.hash >>> 32 - bits
  for (let probes = 0; a[index + place] !== 0; probes++) {
    if (probes === mask) throw new RpcError('INVALID_ARGUMENT', 'the index of a dictionary is damaged')
    place = place + 1 & mask
  }
  willChange(region, index + place, 1)
  a[index + place] = count + 1
  return entry
}

/** The cell of a key that is to be added. It comes before all changes: memory may be short, and what was moved already is not moved back. */
function writeKey(build: Build, key: string): Written & { readonly needle: Needle } {
  const needle = needleOf(key)
  if (needle.inline) return { needle, lo: needle.lo, hi: needle.hi }
  const text = build.allocate((1 + needle.words.length) * 4)
  writeRecord(build.region, text, needle)
  return { needle, lo: build.region.lowOf(text) | OWNED, hi: TEXT << 16 | build.region.high }
}

// The opened dictionary has room.
function appendEntry(dictionary: OpenRecord, key: ReturnType<typeof writeKey>, lo: number, hi: number): void {
  const { region, word, count, live } = dictionary
  const entry = enter(dictionary, key.needle, key.lo, key.hi)
  const a = region.i32
  a[entry + 2] = lo
  a[entry + 3] = hi
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
    old.free(allocator)
    return true
  }
  const slot = shape.slotOf(key)
  if (slot < 0) return false
  const node = internOf(allocator)?.nodeOf(shape.keys.filter((other) => other !== key)) ?? null
  if (node === null) {
    building(allocator, (build) => makeDictionary(build, old, region, word, Math.max(8, count)))
    old.free(allocator)
    return deleteKey(region, word, key)
  }
  const p = record + RECORD_WORDS + slot * 2
  const a = home.i32
  gatherCell(old, home, a[p]! | 0, a[p + 1]! | 0)
  willChange(home, record, RECORD_WORDS + count * 2)
  for (let i = p; i < record + RECORD_WORDS + (count - 1) * 2; i++) a[i] = a[i + 2]!
  a[record] = node.shapeLo
  a[record + 1] = node.shapeHi
  old.free(allocator)
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
  old.free(allocator)
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
  old.free(allocator)
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
  old.free(allocator)
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

