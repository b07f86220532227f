import { RpcError } from '../../base/errors.js'
import { type OptionNames, requireOptions } from '../../base/options.js'
import type { Region } from '../../memory/region.js'
import { building, type Build } from '../graph/build.js'
import { CODEC, Codec, codecOf, isType, once, retireGathered, type Describer, type TypeNode } from '../codec.js'
import type { Copier } from '../graph/copier.js'
import { pairsOf } from '../sequence/elements.js'
import { Gather } from '../graph/gather.js'
import { willChange } from '../shared/journal.js'
import { allocatorOf, damaged } from '../problems.js'
import { viewClassOf } from '../protocol.js'
import { isSortedKeyType, SearchKey, SortedKeys } from './key.js'
import { Node, NodeShape } from './node.js'
import { COUNT, HOLDER_WORDS, Path, VERSION } from './tree.js'
import { SharedSortedMap } from './view.js'
import { beforeChange, Walk, type Bounds } from './walk.js'
import type { AnyType, SortedKeyType, SortedMapType } from '../types.js'
import type { Range } from '../views.js'

const RANGE_NAMES: OptionNames<Range<unknown>> = { from: true, after: true, to: true, before: true, prefix: true, reverse: true }

/** Sorted maps of one type: how their trees are searched, changed, copied and freed. */
export class SortedMapCodec extends Codec {
  readonly bytes = HOLDER_WORDS * 4
  readonly align = 8
  readonly #keys: () => SortedKeys
  readonly #value: () => Codec
  readonly #shape: () => NodeShape
  readonly #search: () => { readonly key: SearchKey, readonly path: Path, readonly cells: Int32Array }
  readonly #viewClass: () => MapClass
  #sparePath: Path | null = null

  constructor(type: SortedMapType<SortedKeyType | readonly SortedKeyType[], AnyType>) {
    super(type)
    const isTuple = Array.isArray(type.key)
    const parts = (isTuple ? type.key : [type.key]) as readonly AnyType[]
    this.#keys = once(() => new SortedKeys(parts, isTuple))
    this.#value = once(() => codecOf(type.value))
    this.#shape = once(() => new NodeShape(parts.length))
    this.#search = once(() => ({ key: new SearchKey(this.#keys()), path: new Path(this.#shape()), cells: new Int32Array(parts.length * 2) }))
    this.#viewClass = once(() => viewClassOf(SharedSortedMap, this))
  }

  read(region: Region, p: number): SharedSortedMap {
    return new (this.#viewClass())(region, p)
  }

  sizeOf(region: Region, p: number): number {
    return region.i32[p + COUNT]! >>> 0
  }

  get(region: Region, p: number, key: unknown): unknown {
    const top = this.#find(region, p, key)
    return top === undefined ? undefined : this.#readValueAt(top.region, top.value(top.at))
  }

  has(region: Region, p: number, key: unknown): boolean {
    return this.#find(region, p, key) !== undefined
  }

  #find(region: Region, p: number, key: unknown): Node | undefined {
    const { key: wanted, path } = this.#search()
    this.#keys().take(wanted, key, this.type.label)
    return path.find(region, p, wanted) ? path.top : undefined
  }

  #readValueAt(region: Region, w: number): unknown {
    return this.#value().readCell(region, region.i32[w]! | 0, region.i32[w + 1]! | 0)
  }

  /** Stores a value; user code runs only before the tree is touched. */
  set(region: Region, p: number, key: unknown, value: unknown): void {
    const allocator = allocatorOf(region, this.type.label)
    const cell = new Int32Array(2)
    const old = new Gather()
    const freed = building(allocator, (build) => {
      this.#value().writeOwnedCell(build, value, cell, 0, this.type.label)
      build.run()
      // Getters of the value may have gone on with a walk.
      beforeChange(region, p)
      return this.#store(build, region, p, key, cell, old)
    })
    if (freed !== undefined) allocator.free(freed.region, freed.word)
    old.retire(allocator)
  }

  #store(build: Build, region: Region, p: number, key: unknown, cell: Int32Array, old: Gather): { readonly region: Region, readonly word: number } | undefined {
    const found = this.#find(region, p, key)
    const { key: wanted, path, cells } = this.#search()
    if (found === undefined) {
      wanted.store(build, cells)
      return path.insert(build, region, p, wanted.prefix, cells, cell)
    }
    const { i32 } = found.region
    const w = found.value(found.at)
    this.#value().gatherCell(old, found.region, i32[w]! | 0, i32[w + 1]! | 0)
    willChange(found.region, w, 2)
    i32[w] = cell[0]!
    i32[w + 1] = cell[1]!
    return undefined
  }

  delete(region: Region, p: number, key: unknown): boolean {
    const allocator = allocatorOf(region, this.type.label)
    beforeChange(region, p)
    const found = this.#find(region, p, key)
    if (found === undefined) return false
    const old = new Gather()
    this.#gatherEntry(old, found, found.at)
    this.#search().path.remove(allocator, region, p)
    old.retire(allocator)
    return true
  }

  clear(region: Region, p: number): void {
    const allocator = allocatorOf(region, this.type.label)
    beforeChange(region, p)
    retireGathered(allocator, (gather) => {
      this.gather(gather, region, p)
      willChange(region, p, HOLDER_WORDS)
      const { i32 } = region
      i32[p] = 0
      i32[p + 1] = 0
      i32[p + COUNT] = 0
      i32[p + VERSION] = i32[p + VERSION]! + 1
    })
  }

  /** A walk through a range; end it with {@link endWalk} when it is left before its end. */
  walk(region: Region, p: number, range: Range<unknown>): Walk {
    const path = this.#sparePath ?? new Path(this.#shape())
    this.#sparePath = null
    const keys = this.#keys()
    return new Walk(path, new SearchKey(keys), (home, w) => keys.read(home, w), region, p, this.#boundsOf(range))
  }

  endWalk(walk: Walk): void {
    walk.end()
    this.#sparePath = walk.path
  }

  #boundsOf(range: Range<unknown>): Bounds {
    const where = this.type.label
    requireOptions(where, range, RANGE_NAMES)
    const { from, after, to, before, prefix, reverse } = range
    if ((from !== undefined && after !== undefined) || (to !== undefined && before !== undefined) ||
        (prefix !== undefined && (from ?? after ?? to ?? before) !== undefined)) {
      throw new RpcError('INVALID_ARGUMENT', `${where}: a range has from or after, to or before; or prefix alone`)
    }
    const bound = (key: unknown, isPrefix: boolean): SearchKey | undefined => {
      if (key === undefined) return undefined
      const made = new SearchKey(this.#keys())
      this.#keys().takeBound(made, key, isPrefix, where)
      return made
    }
    const shared = bound(prefix, true)
    return {
      first: shared ?? bound(from ?? after, false), afterFirst: after !== undefined,
      last: shared ?? bound(to ?? before, false), beforeLast: before !== undefined, reverse: reverse === true,
    }
  }

  readKey(walk: Walk): unknown {
    return this.#keys().read(walk.region, walk.key)
  }

  readValue(walk: Walk): unknown {
    return this.#readValueAt(walk.region, walk.value)
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    region.i32.fill(0, p, p + HOLDER_WORDS)
    region.i32[p + VERSION] = ++made
    if (value === undefined) return
    const entries = this.#inOrder(pairsOf(value, where), where)
    const cell = new Int32Array(2)
    const none = new Gather()
    const { path } = this.#search()
    build.enter(where)
    for (const [key, content] of entries) {
      this.#value().writeOwnedCell(build, content, cell, 0, where)
      path.expected = entries.length
      path.home = build.region
      try {
        this.#store(build, region, p, key, cell, none)
      } finally {
        path.expected = 1
        path.home = null
      }
    }
    build.leave()
  }

  /** Sorted, so that nodes are filled to the end; of equal keys the last one counts, as for Map. */
  #inOrder(pairs: ReadonlyArray<readonly [unknown, unknown]>, where: string): ReadonlyArray<readonly [unknown, unknown]> {
    const { key } = this.#search()
    for (const [given] of pairs) this.#keys().take(key, given, where)
    const sorted = pairs.map(([given, content]) => [this.#keys().asStored(given), content] as const).sort(([a], [b]) => compareKeys(a, b))
    return sorted.filter(([given], i) => i === sorted.length - 1 || compareKeys(given, sorted[i + 1]![0]) !== 0)
  }

  override assign(region: Region, p: number, value: unknown, where: string, stillThere?: () => void): void {
    super.assign(region, p, value, where, () => {
      stillThere?.()
      beforeChange(region, p)
    })
  }

  override gather(gather: Gather, region: Region, p: number): void {
    const root = new Node(this.#shape())
    const lo = region.i32[p]! | 0
    const hi = region.i32[p + 1]! | 0
    if (lo === 0 && hi === 0) return
    root.open(region, lo, hi, -1)
    gather.enter()
    this.#gatherNode(gather, root)
    gather.leave()
  }

  #gatherNode(gather: Gather, node: Node): void {
    if (!gather.block(node.region, node.word)) return
    gather.spend(node.count)
    const { count, level } = node
    for (let i = 0; i < count; i++) this.#gatherEntry(gather, node, i)
    if (level === 0) return
    const child = new Node(this.#shape())
    for (let i = 0; i <= count; i++) {
      child.openChild(node, i)
      this.#gatherNode(gather, child)
    }
  }

  #gatherEntry(gather: Gather, node: Node, i: number): void {
    const { region } = node
    const { i32 } = region
    this.#keys().forEachText(node.key(i), (type, w) => codecOf(type).gatherCell(gather, region, i32[w]! | 0, i32[w + 1]! | 0))
    const w = node.value(i)
    this.#value().gatherCell(gather, region, i32[w]! | 0, i32[w + 1]! | 0)
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    to.i32.fill(0, q, q + HOLDER_WORDS)
    const lo = from.i32[p]! | 0
    const hi = from.i32[p + 1]! | 0
    if (lo === 0 && hi === 0) return
    const root = new Node(this.#shape())
    root.open(from, lo, hi, -1)
    copier.enter()
    const counted = { entries: 0, most: from.i32[p + COUNT]! >>> 0 }
    const word = this.#copyNode(copier, root, counted)
    const { region } = copier
    copier.leave()
    copier.point(to, q, region, word)
    to.i32[q + COUNT] = counted.entries
    to.i32[q + VERSION] = ++made
  }

  /** Copies a node with all below it; its region is then the copier's. */
  #copyNode(copier: Copier, source: Node, counted: { entries: number, readonly most: number }): number {
    const shape = this.#shape()
    const { count, level, capacity, region: from } = source
    copier.spend(count + 1)
    counted.entries += count
    if (counted.entries > counted.most) damaged('a sorted map has more entries than it says')
    const word = copier.allocate(shape.words(level, capacity) * 4)
    const { region } = copier
    const target = new Node(shape)
    target.make(region, word, level, capacity)
    target.take(source, 0, 0, count)
    for (let i = 0; i < count; i++) {
      const shift = target.key(i) - source.key(i)
      this.#keys().forEachText(source.key(i), (type, w) =>
        codecOf(type).copyCell(copier, from, region.i32[w + shift]! | 0, region.i32[w + shift + 1]! | 0, region, w + shift))
      const w = target.value(i)
      this.#value().copyCell(copier, from, region.i32[w]! | 0, region.i32[w + 1]! | 0, region, w)
    }
    if (level > 0) {
      const child = new Node(shape)
      for (let i = 0; i <= count; i++) {
        child.openChild(source, i)
        const copied = this.#copyNode(copier, child, counted)
        target.setChild(i, copier.region.lowOf(copied), copier.region.high)
      }
    }
    target.setCount(count)
    copier.region = region
    return word
  }

  describe(describer: Describer): TypeNode {
    const { key } = this.type as SortedMapType<AnyType | readonly AnyType[], AnyType>
    const keys = Array.isArray(key) ? ['key', ...key.map((part: AnyType) => describer.node(part))] as const : describer.node(key as AnyType)
    return ['sortedMap', keys, describer.node(this.#value().type)]
  }
}

/** The order of keys that were accepted before: texts, numbers, booleans, or arrays of these. */
function compareKeys(a: unknown, b: unknown): number {
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < a.length; i++) {
      const order = compareKeys(a[i], b[i])
      if (order !== 0) return order
    }
    return 0
  }
  const [x, y] = [a as number, b as number]
  return x < y ? -1 : x > y ? 1 : 0
}

/** Where versions start: another one for each map, so that a walk notices when its map was replaced by another. */
let made = 0

type MapClass = new (region: Region, word: number) => SharedSortedMap

/** Parts of a key: more would leave a node with too few entries. */
const MAX_PARTS = 8

/**
 * A map in the order of its keys: texts as JavaScript compares them, numbers (all scalars, but no NaN), or tuples of these,
 * ordered by their first part, then by the next. `sortedMap([f64, u32], ref(Document))` is an index that holds many documents
 * of one value: find them with `index.values({ from: [value], to: [value] })`.
 *
 * The holder owns it: assigning replaces all entries, and frees the old ones with what they own (never the target of a ref).
 */
export function sortedMap<const Key extends SortedKeyType | readonly SortedKeyType[], Value extends AnyType>(key: Key, value: Value): SortedMapType<Key, Value> {
  const parts = (Array.isArray(key) ? key : [key]) as readonly unknown[]
  if (parts.length === 0 || parts.length > MAX_PARTS || !parts.every((part) => isType(part) && isSortedKeyType(part))) {
    throw new RpcError('INVALID_ARGUMENT', `sortedMap(key, value): a key is text, a scalar, or an array of 1 to ${MAX_PARTS} of these`)
  }
  if (!isType(value)) throw new RpcError('INVALID_ARGUMENT', 'sortedMap(key, value) takes a type; where it is declared further down, write the field as a getter')
  const labels = (parts as readonly AnyType[]).map(({ label }) => label).join(', ')
  const type: SortedMapType<Key, Value> = {
    kind: 'sortedMap', label: `sortedMap(${Array.isArray(key) ? `[${labels}]` : labels}, ${value.label})`, key, value,
    [CODEC]: once(() => new SortedMapCodec(type)),
  }
  return type
}
