import { randomInt } from 'node:crypto'
import { RpcError } from '../../base/errors.js'
import type { Region } from '../../memory/region.js'
import { building, type Build, type Source } from '../graph/build.js'
import { CODEC, Codec, codecOf, once, retireGathered, type Describer, type TypeNode } from '../codec.js'
import type { Copier } from '../graph/copier.js'
import { pairsOf, requireElement, valuesOf } from '../sequence/elements.js'
import { Gather } from '../graph/gather.js'
import { willChange } from '../shared/journal.js'
import { KEY, VALUE } from './chunk.js'
import { MapEntries, UNINDEXED_MAX } from './entries.js'
import { MapIndex } from './hash-index.js'
import { asSingle, isBeside, isKeyType, makeKeys, type Keys } from './key.js'
import type { Cursor } from './order.js'
import { CHUNKS, DEPTH, EPOCH, FIRST, FREE, IDS, INDEX, LAST, ROOM, Table, TABLE_WORDS, type Drop } from './table.js'
import { SharedSet } from './set-view.js'
import { SharedMap, type Part } from './view.js'
import { nothing } from '../scalar/nothing.js'
import { keyedHash } from '../text/keyed-hash.js'
import { allocatorOf, damaged } from '../problems.js'
import { viewClassOf } from '../protocol.js'
import { borrowStaging, returnStaging } from '../graph/staging.js'
import type { AnyType, KeyType, MapType, SetType } from '../types.js'

// Unknown outside the process, so that nobody can prepare keys that collide. A map's seed lies in its table, where whoever reads the map finds it: it says
// nothing about that of another one.
const SECRET = [randomInt(0x1_0000_0000), randomInt(0x1_0000_0000)] as const
const made = new Int32Array(1)

/** Table, index and entries of the map that is open, and how its keys and values are read. */
class Opened {
  readonly table = new Table()
  readonly index = new MapIndex(this.table)
  readonly entries: MapEntries
  /** Positions of a value per word. */
  readonly perWord: number

  constructor(readonly keys: Keys, readonly value: Codec) {
    this.entries = new MapEntries(this.table, this.index, keys, Math.ceil(value.bytes / 8) * 2)
    this.perWord = 4 / value.unit
  }

  place(entry: number): number {
    return (entry + VALUE) * this.perWord
  }
}

/** Maps of one type, or sets: how they are searched, changed, copied and freed. A set is a map to nothing. */
export class MapCodec extends Codec {
  readonly bytes = 8
  readonly align = 8
  readonly #key: AnyType
  readonly #valueType: AnyType
  readonly #viewClass: () => MapClass
  #made: Opened | null = null

  constructor(type: MapType<AnyType, AnyType> | SetType<AnyType>) {
    super(type)
    this.#key = type.key
    this.#valueType = type.kind === 'map' ? type.value : nothing
    this.#viewClass = once(() => viewClassOf<SharedMap | SharedSet>(type.kind === 'set' ? SharedSet : SharedMap, this))
  }

  /** Used up before the next map of the type is opened. */
  get #opened(): Opened {
    return this.#made ??= this.#open()
  }

  #open(): Opened {
    return new Opened(this.#made?.keys ?? makeKeys(this.#key), codecOf(this.#valueType))
  }

  read(region: Region, p: number): SharedMap | SharedSet {
    return new (this.#viewClass())(region, p)
  }

  sizeOf(region: Region, p: number): number {
    const { table } = this.#opened
    return table.open(region, p) ? table.live : 0
  }

  get(region: Region, p: number, key: unknown): unknown {
    const opened = this.#opened
    const { entries } = opened
    return this.#find(region, p, key) ? opened.value.read(entries.region, opened.place(entries.word)) : undefined
  }

  has(region: Region, p: number, key: unknown): boolean {
    return this.#find(region, p, key)
  }

  /** Whether there is an entry with the key, which is then the latest of the open map's entries. */
  #find(region: Region, p: number, key: unknown): boolean {
    const opened = this.#opened
    const { keys, table } = opened
    const isThere = table.open(region, p)
    keys.prepare(key, this.type.label, table.seed)
    return isThere && this.#search(opened)
  }

  #search({ table, index, entries, keys }: Opened): boolean {
    return table.depth < 0 ? entries.scan() : index.find(keys.hash)
  }

  /** Stores a value; user code runs only before the table is touched. */
  set(region: Region, p: number, key: unknown, value: unknown): void {
    const where = this.type.label
    const allocator = allocatorOf(region, where)
    const opened = this.#opened
    const { table, entries, keys, value: codec } = opened
    const staged = borrowStaging(codec.bytes + 8)
    const old = codec.immediate ? null : new Gather()
    const freed: Block[] = []
    building(allocator, (build) => {
      codec.write(build, staged, 0, value, where)
      build.run()
      const exists = table.open(region, p)
      if (!exists) makeTable(build, table)
      keys.prepare(key, where, table.seed)
      if (exists && this.#search(opened)) {
        if (old !== null) codec.gather(old, entries.region, opened.place(entries.word))
        willChange(entries.region, entries.word + VALUE, entries.valueWords)
      } else {
        this.#insert(build, opened, 1, (home, word) => freed.push([home, word]))
        if (!exists) point(region, p, table)
      }
      const a = entries.region.i32
      for (let i = 0; i < entries.valueWords; i++) a[entries.word + VALUE + i] = staged.i32[i]!
    })
    returnStaging(staged)
    old?.retire(allocator)
    for (const [home, word] of freed) allocator.free(home, word)
  }

  /**
   * Puts an entry for the prepared key, which is not there, into the open map. All memory is taken first: when that throws, the
   * map is as before. @param expected entries that are still to come, as far as known.
   */
  #insert(source: Source, { table, index, entries, keys }: Opened, expected: number, drop: Drop): void {
    const { live } = table
    const { hash } = keys
    entries.prepare(source, expected)
    keys.allocateRecord(source)
    const needsIndex = table.depth < 0 && live >= UNINDEXED_MAX
    if (table.depth >= 0) index.prepare(source, hash)
    else if (needsIndex) index.create(source, Math.max(live, expected) * 2)
    if (needsIndex) entries.forEach(() => index.put(entries.hash, entries.region, entries.word, drop))
    entries.append(drop)
    if (table.depth >= 0) index.put(hash, entries.region, entries.word, drop)
    table.setLive(live + 1)
  }

  delete(region: Region, p: number, key: unknown): boolean {
    const allocator = allocatorOf(region, this.type.label)
    if (!this.#find(region, p, key)) return false
    const { table, index, entries } = this.#opened
    if (table.live <= 1) {
      this.clear(region, p)
      return true
    }
    const old = new Gather()
    this.#gatherEntry(old, this.#opened, entries.region, entries.word)
    if (table.depth >= 0) index.remove(entries.hash, entries.region.lowOf(entries.word))
    table.willChange()
    table.setLive(table.live - 1)
    const freed: Block[] = []
    entries.remove((home, word) => freed.push([home, word]))
    old.retire(allocator)
    for (const [home, word] of freed) allocator.free(home, word)
    return true
  }

  clear(region: Region, p: number): void {
    const allocator = allocatorOf(region, this.type.label)
    const opened = this.#opened
    const { table } = opened
    if (!table.open(region, p)) return
    retireGathered(allocator, (gather) => {
      this.#gatherContent(gather, opened)
      table.willChange()
      for (const field of [FIRST, LAST, IDS, ROOM, FREE, DEPTH, INDEX, INDEX + 1, CHUNKS, CHUNKS + 1]) table.set(field, 0)
      table.set(EPOCH, table.get(EPOCH) + 1)
      table.setLive(0)
    })
  }

  /** The next entry for an iterator: its key and value, or undefined at the end. */
  step(region: Region, p: number, cursor: Cursor, part: Part): unknown {
    const opened = this.#opened
    const { table, entries, value } = opened
    if (--region.budget < 0) region.spent()
    if (!table.open(region, p) || !entries.step(cursor)) return undefined
    const { region: home, word } = entries
    if (part === 'keys') return { value: entries.readKey() }
    if (part === 'values') return { value: value.read(home, opened.place(word)) }
    const key = entries.readKey()
    return { value: [key, value.read(home, opened.place(word))] }
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    region.i32[p] = 0
    region.i32[p + 1] = 0
    if (value === undefined) return
    const pairs = this.type.kind === 'set' ? keysOf(value, where, this.#key) : entriesOf(value, where, this.#key)
    if (pairs.length === 0) return
    const opened = this.#open()
    const { table, entries, keys, value: codec } = opened
    makeTable(build, table)
    const drop: Drop = (at, word) => build.drop(at, word)
    build.enter(where)
    let left = pairs.length
    for (const [key, content] of pairs) {
      keys.prepare(key, where, table.seed)
      this.#insert(build, opened, left--, drop)
      codec.write(build, entries.region, opened.place(entries.word), content, where)
    }
    build.leave()
    point(region, p, table)
  }

  override gather(gather: Gather, region: Region, p: number): void {
    const opened = this.#open()
    const { table } = opened
    if (table.open(region, p) && gather.block(table.region, table.start)) this.#gatherContent(gather, opened)
  }

  /** All blocks but the table. */
  #gatherContent(gather: Gather, opened: Opened): void {
    const { index, entries } = opened
    // Other maps may lead to the same blocks: to have seen one costs as well.
    const visit: Drop = (home, word) => {
      gather.spend(1)
      gather.block(home, word)
    }
    gather.enter()
    entries.forEach(() => {
      gather.spend(1)
      this.#gatherEntry(gather, opened, entries.region, entries.word)
    }, (passed) => gather.spend(passed))
    entries.forEachBlock(visit)
    index.forEachBlock(visit)
    gather.leave()
  }

  #gatherEntry(gather: Gather, opened: Opened, home: Region, entry: number): void {
    const lo = home.i32[entry + KEY]! | 0
    if (opened.keys.hasText && !isBeside(lo)) codecOf(this.#key).gatherCell(gather, home, lo, home.i32[entry + KEY + 1]! | 0)
    opened.value.gather(gather, home, opened.place(entry))
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    to.i32[q] = 0
    to.i32[q + 1] = 0
    const source = this.#open()
    if (!source.table.open(from, p) || source.table.live === 0) return
    this.#copyTable(copier, source, to, q)
  }

  #copyTable(copier: Copier, source: Opened, to: Region, q: number): void {
    const target = this.#open()
    const { value: codec } = target
    const { live } = source.table
    copier.spend(live)
    makeTable(copier, target.table)
    const { seed } = target.table
    point(to, q, target.table)
    let left = live
    const drop: Drop = (home, word) => copier.drop(home, word)
    copier.enter()
    source.entries.forEach(() => {
      const { region: from, word } = source.entries
      if (left === 0) damaged('a map has more entries than it says')
      source.entries.take(target.keys, seed)
      this.#insert(copier, target, left--, drop)
      const { region: home, word: copied } = target.entries
      codec.copy(copier, from, target.place(word), home, target.place(copied))
    }, (passed) => copier.spend(passed))
    copier.leave()
  }

  describe(describer: Describer): TypeNode {
    const key = describer.node(this.#key)
    return this.type.kind === 'set' ? ['set', key] : ['map', key, describer.node(this.#valueType)]
  }
}

type MapClass = new (region: Region, word: number) => SharedMap | SharedSet

type Block = readonly [region: Region, word: number]

function makeTable(source: Source, table: Table): void {
  const word = source.allocate(TABLE_WORDS * 4)
  made[0]!++
  table.make(source.region, word, keyedHash(SECRET[0], SECRET[1], 0, made, 0, 1) | 1)
}

/** Lets the holder at `p` lead to the table. */
function point(region: Region, p: number, table: Table): void {
  willChange(region, p, 2)
  region.i32[p] = table.region.lowOf(table.start)
  region.i32[p + 1] = table.region.high
}

function keysOf(value: unknown, where: string, type: AnyType): ReadonlyArray<readonly [unknown, undefined]> {
  const keys = valuesOf(value, where)
  return [...new Set(type.kind === 'f32' ? keys.map(asSingle) : keys)].map((key) => [key, undefined] as const)
}

/** Of equal keys the last one counts, as for Map. */
function entriesOf(value: unknown, where: string, type: AnyType): ReadonlyArray<readonly [unknown, unknown]> {
  const entries = pairsOf(value, where)
  if (type.kind === 'f32') return [...new Map(entries.map(([key, content]) => [asSingle(key), content]))]
  return value instanceof Map ? entries : [...new Map(entries)]
}

/**
 * A hash map in order of insertion, with text or a scalar as the key. The holder owns it: assigning replaces all entries,
 * and frees the old ones with what they own (never the target of a ref).
 */
export function map<Key extends KeyType, Value extends AnyType>(key: Key, value: Value): MapType<Key, Value> {
  requireElement('map', value)
  requireKey('map', key)
  const type: MapType<Key, Value> = {
    kind: 'map', label: `map(${key.label}, ${value.label})`, key, value, [CODEC]: once(() => new MapCodec(type)),
  }
  return type
}

/** A hash set in order of insertion, of texts or scalars. The holder owns it: assigning replaces all keys. */
export function set<Key extends KeyType>(key: Key): SetType<Key> {
  requireKey('set', key)
  const type: SetType<Key> = { kind: 'set', label: `set(${key.label})`, key, [CODEC]: once(() => new MapCodec(type)) }
  return type
}

function requireKey(constructor: string, key: AnyType): void {
  requireElement(constructor, key)
  if (!isKeyType(key)) throw new RpcError('INVALID_ARGUMENT', `${constructor}(${key.label}…): a key is text or a scalar`)
}
