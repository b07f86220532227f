import { randomInt } from 'node:crypto'
import { RpcError } from '../base/errors.js'
import type { Region } from '../memory/region.js'
import { building, type Build } from './build.js'
import { CODEC, Codec, codecOf, freeGathered, once, type Describer, type TypeNode } from './codec.js'
import type { Copier } from './copier.js'
import { pairsOf, requireElement, valuesOf } from './elements.js'
import { Gather } from './gather.js'
import { isKeyType, makeKeys, type Keys } from './map-key.js'
import { KEY, LIVE, NEXT, SEQUENCE, Table, USED, VALUE } from './map-table.js'
import { installProtocol } from './protocol.js'
import { allocatorOf, damaged, refuseWrite } from './problems.js'
import { borrowStaging, returnStaging } from './staging.js'
import { nothing } from './nothing.js'
import type { AnyType, KeyType, MapType, SetType } from './types.js'
import { ACCESS, SharedMap, SharedSet, type Part } from './map-view.js'

const MAX_SEQUENCE = 0xffff_ffff
// Unknown outside the process, so that nobody can prepare keys that collide.
const SEED = randomInt(0x1_0000_0000) | 0

/** Maps of one type, or sets: how their tables are searched, changed, copied and freed. A set is a map to nothing. */
export class MapCodec extends Codec {
  readonly bytes = 8
  readonly align = 8
  readonly #key: AnyType
  readonly #keys: () => Keys
  readonly #value: () => Codec
  readonly #tables: () => readonly [Table, Table]
  readonly #viewClass: () => MapClass

  constructor(type: MapType<AnyType, AnyType> | SetType<AnyType>) {
    super(type)
    const value = type.kind === 'map' ? type.value : nothing
    this.#key = type.key
    this.#keys = once(() => makeKeys(type.key))
    this.#value = once(() => codecOf(value))
    this.#tables = once(() => [new Table(this.#value().bytes), new Table(this.#value().bytes)])
    this.#viewClass = once(() => makeViewClass(this))
  }

  #place(entry: number): number {
    return (entry + VALUE) * (4 / this.#value().unit)
  }

  read(region: Region, p: number): SharedMap | SharedSet {
    return new (this.#viewClass())(region, p)
  }

  sizeOf(region: Region, p: number): number {
    const [table] = this.#tables()
    return table.open(region, p) ? table.live : 0
  }

  get(region: Region, p: number, key: unknown): unknown {
    const table = this.#find(region, p, key)
    return table === undefined ? undefined : this.#value().read(table.region, this.#place(found))
  }

  has(region: Region, p: number, key: unknown): boolean {
    return this.#find(region, p, key) !== undefined
  }

  /** The table, with the entry in `found`; undefined when there is none. */
  #find(region: Region, p: number, key: unknown): Table | undefined {
    const [table] = this.#tables()
    const keys = this.#keys()
    keys.prepare(key, this.type.label)
    if (!table.open(region, p)) return undefined
    found = table.find(keys)
    return found < 0 ? undefined : table
  }

  /** Stores a value; user code runs only before the table is touched. */
  set(region: Region, p: number, key: unknown, value: unknown): void {
    const allocator = allocatorOf(region, this.type.label)
    const codec = this.#value()
    const staged = borrowStaging(codec.bytes + 8)
    const old = codec.immediate ? null : new Gather()
    let oldTable = -1
    let home = region
    const where = this.type.label
    building(allocator, (build) => {
      codec.write(build, staged, 0, value, where)
      build.run()
      const table = this.#find(region, p, key)
      if (table === undefined) {
        oldTable = this.#insert(build, region, p, staged)
        home = this.#tables()[0].region
      } else {
        requireWritable(table.region, where)
        if (old !== null) codec.gather(old, table.region, this.#place(found))
        copyWords(staged, table, found + VALUE)
      }
    })
    returnStaging(staged)
    old?.free(allocator)
    if (oldTable >= 0) allocator.free(home, oldTable)
  }

  // The prepared key is not in the table. Returns the word of a table that was replaced, or -1.
  #insert(build: Build, region: Region, p: number, staged: Region): number {
    const [current] = this.#tables()
    const exists = current.open(region, p)
    const table = exists && current.used < current.capacity ? current : this.#biggerTable(build, exists)
    requireWritable(table.region, this.type.label)
    const hash = this.#keys().hash(table.seed)
    const entry = table.entry(table.used)
    const a = table.region.i32
    this.#keys().store(build, table.region, entry + KEY)
    a[entry + SEQUENCE] = table.next
    copyWords(staged, table, entry + VALUE)
    table.enter(hash, table.used)
    a[entry] = hash
    a[table.start + NEXT] = table.next + 1
    a[table.start + USED] = table.used + 1
    a[table.start + LIVE] = table.live + 1
    // From here on nothing can fail: a new table takes the old one's place.
    region.i32[p] = table.region.lowOf(table.start)
    region.i32[p + 1] = table.region.high
    return exists && table !== current ? current.start : -1
  }

  #biggerTable(build: Build, exists: boolean): Table {
    const [table, bigger] = this.#tables()
    if (!exists) bigger.make(build, 0, SEED, 1)
    else {
      const capacity = table.live * 2 > table.capacity ? table.capacity * 2 : table.capacity
      if (table.next >= MAX_SEQUENCE) damaged('a map was changed four billion times: assign a fresh copy of it')
      bigger.make(build, capacity, table.seed, table.next)
      bigger.take(table)
    }
    return bigger
  }

  delete(region: Region, p: number, key: unknown): boolean {
    const allocator = allocatorOf(region, this.type.label)
    const table = this.#find(region, p, key)
    if (table === undefined) return false
    requireWritable(table.region, this.type.label)
    const { i32 } = table.region
    const entry = found
    const old = new Gather()
    this.#gatherEntry(old, table.region, entry)
    i32[entry] = 0
    i32[table.start + LIVE] = table.live - 1
    old.free(allocator)
    return true
  }

  clear(region: Region, p: number): void {
    const allocator = allocatorOf(region, this.type.label)
    const [table] = this.#tables()
    if (!table.open(region, p)) return
    const { region: home, start, bits } = table
    requireWritable(home, this.type.label)
    freeGathered(allocator, false, (gather) => {
      this.#gatherEntries(gather, home, table)
      home.i32.fill(0, start + 8, start + 8 + 2 ** bits)
      home.i32[start + USED] = 0
      home.i32[start + LIVE] = 0
    })
  }

  /** The next entry for an iterator that last saw `sequence` at `index`: its key and value, or undefined at the end. */
  step(region: Region, p: number, cursor: Cursor, part: Part): unknown {
    const [table] = this.#tables()
    if (!table.open(region, p)) return undefined
    const index = table.after(cursor.sequence, cursor.index)
    if (index < 0) return undefined
    const entry = table.entry(index)
    const home = table.region
    cursor.sequence = home.i32[entry + SEQUENCE]! >>> 0
    cursor.index = index + 1
    if (part === 'keys') return { value: this.#keys().read(home, entry + KEY) }
    if (part === 'values') return { value: this.#value().read(home, this.#place(entry)) }
    const key = this.#keys().read(home, entry + KEY)
    return { value: [key, this.#value().read(home, this.#place(entry))] }
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    region.i32[p] = 0
    region.i32[p + 1] = 0
    if (value === undefined) return
    const entries = this.type.kind === 'set' ? keysOf(value, where) : entriesOf(value, where)
    if (entries.length === 0) return
    const codec = this.#value()
    const table = new Table(codec.bytes)
    const keys = makeKeys(this.#key)
    table.make(build, entries.length, SEED, 1)
    build.enter(where)
    for (const [key, content] of entries) {
      keys.prepare(key, where)
      const hash = keys.hash(table.seed)
      const entry = table.entry(table.used)
      const a = table.region.i32
      keys.store(build, table.region, entry + KEY)
      a[entry] = hash
      a[entry + SEQUENCE] = table.next++
      table.enter(hash, table.used++)
      codec.write(build, table.region, this.#place(entry), content, where)
    }
    build.leave()
    const a = table.region.i32
    a[table.start + USED] = table.used
    a[table.start + LIVE] = table.used
    a[table.start + NEXT] = table.next
    region.i32[p] = table.region.lowOf(table.start)
    region.i32[p + 1] = table.region.high
  }

  override gather(gather: Gather, region: Region, p: number): void {
    const table = new Table(this.#value().bytes)
    if (!table.open(region, p)) return
    if (gather.block(table.region, table.start)) this.#gatherEntries(gather, table.region, table)
  }

  #gatherEntries(gather: Gather, home: Region, { used, entries, stride }: Table): void {
    gather.spend(used)
    gather.enter()
    for (let i = 0; i < used; i++) {
      const entry = entries + i * stride
      if ((home.i32[entry]! | 0) !== 0) this.#gatherEntry(gather, home, entry)
    }
    gather.leave()
  }

  #gatherEntry(gather: Gather, home: Region, entry: number): void {
    codecOf(this.#key).gatherCell(gather, home, home.i32[entry + KEY]! | 0, home.i32[entry + KEY + 1]! | 0)
    this.#value().gather(gather, home, this.#place(entry))
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    to.i32[q] = 0
    to.i32[q + 1] = 0
    const codec = this.#value()
    const source = new Table(codec.bytes)
    if (!source.open(from, p)) return
    const target = new Table(codec.bytes)
    copier.spend(source.used)
    target.make(copier, source.live, source.seed, source.next)
    target.take(source)
    copier.enter()
    const key = codecOf(this.#key)
    const a = target.region.i32
    for (let i = 0; i < target.used; i++) {
      const entry = target.entry(i)
      key.copyCell(copier, source.region, a[entry + KEY]! | 0, a[entry + KEY + 1]! | 0, target.region, entry + KEY)
    }
    for (let i = 0, k = 0; i < source.used && k < target.used; i++) {
      const entry = source.entry(i)
      if ((source.region.i32[entry]! | 0) !== 0) codec.copy(copier, source.region, this.#place(entry), target.region, this.#place(target.entry(k++)))
    }
    copier.leave()
    copier.point(to, q, target.region, target.start)
  }

  describe(describer: Describer): TypeNode {
    const key = describer.node(this.#key)
    return this.type.kind === 'set' ? ['set', key] : ['map', key, describer.node(this.#value().type)]
  }
}

type MapClass = new (region: Region, word: number) => SharedMap | SharedSet

function makeViewClass(codec: MapCodec): MapClass {
  const Base = (codec.type.kind === 'set' ? SharedSet : SharedMap) as typeof SharedMap
  const viewClass = class extends Base {}
  Object.defineProperty(viewClass.prototype, ACCESS, { value: codec })
  installProtocol(viewClass.prototype, codec.type)
  Object.defineProperty(viewClass, 'name', { value: codec.type.label })
  return viewClass
}

/** Where the latest search found its entry. */
let found = -1

export interface Cursor {
  sequence: number
  index: number
}

/** A map's holder may be written, and a peer's pointer still lead to a table in memory that is only read here. */
function requireWritable(region: Region, where: string): void {
  if (region.readOnly) refuseWrite(where)
}

function copyWords(staged: Region, table: Table, target: number): void {
  const words = table.stride - VALUE
  for (let i = 0; i < words; i++) table.region.i32[target + i] = staged.i32[i]!
}

function keysOf(value: unknown, where: string): ReadonlyArray<readonly [unknown, undefined]> {
  return [...new Set(valuesOf(value, where))].map((key) => [key, undefined] as const)
}

/** Of equal keys the last one counts, as for Map. */
function entriesOf(value: unknown, where: string): ReadonlyArray<readonly [unknown, unknown]> {
  const entries = pairsOf(value, where)
  return value instanceof Map ? entries : [...new Map(entries)]
}

/**
 * A hash map in order of insertion, with text or an integer as the key. The holder owns it: assigning replaces all entries,
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

/** A hash set in order of insertion, of texts or integers. The holder owns it: assigning replaces all keys. */
export function set<Key extends KeyType>(key: Key): SetType<Key> {
  requireKey('set', key)
  const type: SetType<Key> = { kind: 'set', label: `set(${key.label})`, key, [CODEC]: once(() => new MapCodec(type)) }
  return type
}

function requireKey(constructor: string, key: AnyType): void {
  requireElement(constructor, key)
  if (!isKeyType(key)) throw new RpcError('INVALID_ARGUMENT', `${constructor}(${key.label}…): a key is text or an integer`)
}
