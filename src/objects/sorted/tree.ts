// The B-tree of a sorted map. In its holder:
//
//   +0   u64  pointer to the root node; null when the map is empty
//   +8   u32  entries
//   +12  u32  version: changes whenever an entry comes or goes, so that walks know their place is no longer true
import { RpcError } from '../../base/errors.js'
import type { Allocator, Region } from '../../memory/region.js'
import type { Source } from '../graph/build.js'
import { willChange } from '../shared/journal.js'
import { damaged } from '../problems.js'
import { MAX_LEVELS, Node, type NodeShape } from './node.js'
import type { SearchKey } from './key.js'

export const COUNT = 2
export const VERSION = 3
export const HOLDER_WORDS = 4
const MAX_ENTRIES = 0xffff_fffe

interface Freed {
  readonly region: Region
  readonly word: number
}

/**
 * A path from the root to a place in a node, and what changes the tree there. One per map type, used up before the next
 * map of the type is opened; walks have their own.
 */
export class Path {
  readonly nodes: Node[]
  /** Nodes of the path; 0 for an empty tree. */
  depth = 0
  /** Entries that the next map will have, as far as its maker knows: it starts with room for them. */
  expected = 1
  /** Through which region the root is reached, where the holder lies in staging memory, from which no pointer leads anywhere. */
  home: Region | null = null
  readonly #spare: Node
  readonly #sibling: Node
  readonly #carry: Int32Array
  readonly #median: Int32Array

  constructor(readonly shape: NodeShape) {
    this.nodes = Array.from({ length: 3 }, () => new Node(shape))
    this.#spare = new Node(shape)
    this.#sibling = new Node(shape)
    // Prefix, key, value, and the child behind the entry.
    this.#carry = new Int32Array(shape.entryWords + 2)
    this.#median = new Int32Array(shape.entryWords + 2)
  }

  get top(): Node {
    return this.nodes[this.depth - 1]!
  }

  /** Opens the root of the map at `p`; false when it is empty. */
  openRoot(region: Region, p: number): boolean {
    const lo = region.i32[p]! | 0
    const hi = region.i32[p + 1]! | 0
    this.depth = 0
    if (lo === 0 && hi === 0) return false
    this.nodes[0]!.open(this.home ?? region, lo, hi, -1)
    this.depth = 1
    return true
  }

  /** Goes to the child in which the top node stands. */
  descend(): Node {
    const child = this.nodes[this.depth] ??= new Node(this.shape)
    child.openChild(this.top, this.top.at)
    this.depth++
    return child
  }

  /** Finds the entry with the key, whose node is then on top and stands at it; or the place in a leaf where it belongs. */
  find(region: Region, p: number, key: SearchKey): boolean {
    if (!this.openRoot(region, p)) return false
    for (;;) {
      const { top } = this
      if (search(top, key, false)) return true
      if (top.level === 0) return false
      this.descend()
    }
  }

  /** Goes to the place in a leaf before all entries that are not before the key; `after`: before all that are after it. */
  seek(region: Region, p: number, key: SearchKey, after: boolean): void {
    if (!this.openRoot(region, p)) return
    for (;;) {
      search(this.top, key, after)
      if (this.top.level === 0) return
      this.descend()
    }
  }

  /** Goes to the very first or very last place. */
  seekEnd(region: Region, p: number, last: boolean): void {
    if (!this.openRoot(region, p)) return
    for (;;) {
      const { top } = this
      top.at = last ? top.count : 0
      if (top.level === 0) return
      this.descend()
    }
  }

  /**
   * Inserts an entry where {@link find} has not found its key. Everything is allocated first; when that throws, nothing has
   * changed. Returns the block that a small root left behind, if one did.
   */
  insert(source: Source, region: Region, p: number, prefix: number, key: Int32Array, value: Int32Array): Freed | undefined {
    const count = region.i32[p + COUNT]! >>> 0
    if (count >= MAX_ENTRIES) throw new RpcError('OUT_OF_RANGE', 'a sorted map has at most four billion entries')
    const carry = this.#carry
    carry[0] = prefix | 0
    carry.set(key, 1)
    carry.set(value, 1 + this.shape.keyWords)
    const isAppend = this.nodes.every(({ at, count: entries }, i) => i >= this.depth || at === entries)
    const fresh = this.#allocate(source)
    const freed = this.#growRoot(fresh, region, p)
    for (let level = 0; ; level++) {
      const node = this.nodes[this.depth - 1 - level]
      if (node === undefined) {
        this.#newRoot(fresh.pop()!, region, p, level)
        break
      }
      node.willChange()
      if (node.count < node.capacity) {
        this.#put(node, node.at, carry)
        break
      }
      this.#split(node, fresh.pop()!, isAppend)
    }
    setHolder(region, p, count + 1)
    return freed
  }

  /** Nodes that the insertion needs: the root, last of all, is taken first. */
  #allocate(source: Source): Freed[] {
    const { shape, nodes, depth } = this
    const fresh: Freed[] = []
    const take = (level: number, capacity: number): void => {
      const word = source.allocate(shape.words(level, capacity) * 4)
      fresh.unshift({ region: source.region, word })
    }
    if (depth === 0) {
      take(0, shape.firstCapacity(this.expected))
      return fresh
    }
    const leaf = nodes[depth - 1]!
    if (leaf.count === leaf.capacity && leaf.capacity < shape.leafCapacity) {
      take(0, shape.firstCapacity(leaf.capacity + 1))
      return fresh
    }
    let level = 0
    while (level < depth && nodes[depth - 1 - level]!.count === nodes[depth - 1 - level]!.capacity) {
      take(level, shape.capacityAt(level))
      level++
    }
    if (level === depth) {
      if (level > MAX_LEVELS) damaged('a sorted map has too many levels')
      take(level, shape.innerCapacity)
    }
    return fresh
  }

  /** Makes the first leaf, or moves a full small one into a larger. */
  #growRoot(fresh: Freed[], region: Region, p: number): Freed | undefined {
    const leaf = this.nodes[Math.max(0, this.depth - 1)]!
    if (this.depth > 0 && (leaf.count < leaf.capacity || leaf.capacity === this.shape.leafCapacity)) return undefined
    const { region: home, word } = fresh.pop()!
    const { region: oldHome, word: oldWord, count, at } = leaf
    const spare = this.#spare
    const existed = this.depth > 0
    spare.make(home, word, 0, this.shape.firstCapacity(existed ? leaf.capacity + 1 : this.expected))
    if (existed) {
      spare.take(leaf, 0, 0, count)
      spare.setCount(count)
    }
    willChange(region, p, HOLDER_WORDS)
    region.i32[p] = home.lowOf(word)
    region.i32[p + 1] = home.high
    leaf.open(home, home.lowOf(word), home.high, -1)
    leaf.at = existed ? at : 0
    this.depth = 1
    return existed ? { region: oldHome, word: oldWord } : undefined
  }

  #newRoot({ region: home, word }: Freed, region: Region, p: number, level: number): void {
    const root = this.#spare
    root.make(home, word, level, this.shape.innerCapacity)
    root.setChild(0, region.i32[p]!, region.i32[p + 1]!)
    this.#put(root, 0, this.#carry)
    willChange(region, p, HOLDER_WORDS)
    region.i32[p] = home.lowOf(word)
    region.i32[p + 1] = home.high
  }

  /** Puts the carried entry at `at`, and its child behind it. */
  #put(node: Node, at: number, carry: Int32Array): void {
    const { count } = node
    const { keyWords, entryWords } = this.shape
    node.take(node, at, at + 1, count - at)
    const a = node.region.i32
    a[node.word + 2 + at] = carry[0]!
    for (let i = 0; i < keyWords; i++) a[node.key(at) + i] = carry[1 + i]!
    a[node.value(at)] = carry[1 + keyWords]!
    a[node.value(at) + 1] = carry[2 + keyWords]!
    if (node.level > 0) {
      node.takeChildren(node, at + 1, at + 2, count - at)
      node.setChild(at + 1, carry[entryWords]!, carry[entryWords + 1]!)
    }
    node.setCount(count + 1)
  }

  /** Puts the carried entry into a full node by splitting it; the middle one is carried on. A growing end leaves full nodes behind. */
  #split(node: Node, { region, word }: Freed, isAppend: boolean): void {
    const { capacity, count, level, at } = node
    const middle = isAppend ? count - 1 : count >>> 1
    const right = this.#spare
    right.make(region, word, level, capacity)
    const carry = this.#carry
    const median = this.#median
    if (at === middle) {
      right.take(node, middle, 0, count - middle)
      if (level > 0) {
        right.takeChildren(node, middle + 1, 1, count - middle)
        right.setChild(0, carry[this.shape.entryWords]!, carry[this.shape.entryWords + 1]!)
      }
      right.setCount(count - middle)
      node.setCount(middle)
    } else {
      const taken = at < middle ? middle - 1 : middle
      this.#lift(node, taken, median)
      right.take(node, taken + 1, 0, count - taken - 1)
      if (level > 0) right.takeChildren(node, taken + 1, 0, count - taken)
      right.setCount(count - taken - 1)
      node.setCount(taken)
      if (at < middle) this.#put(node, at, carry)
      else this.#put(right, at - middle - 1, carry)
      carry.set(median)
    }
    carry[this.shape.entryWords] = region.lowOf(word)
    carry[this.shape.entryWords + 1] = region.high
  }

  /** Copies an entry into private memory. */
  #lift(node: Node, i: number, into: Int32Array): void {
    const { keyWords } = this.shape
    const a = node.region.i32
    into[0] = node.prefix(i)
    for (let k = 0; k < keyWords; k++) into[1 + k] = a[node.key(i) + k]!
    into[1 + keyWords] = a[node.value(i)]!
    into[2 + keyWords] = a[node.value(i) + 1]!
  }

  /** Removes the entry at which the top node stands; what it owned was gathered before. Frees the nodes that became empty. */
  remove(allocator: Allocator, region: Region, p: number): void {
    const freed: Freed[] = []
    const node = this.top
    node.willChange()
    if (node.level > 0) {
      // The last entry before it takes its place.
      for (let next = this.descend(); ; next = this.descend()) {
        next.at = next.count
        if (next.level === 0) break
      }
      const leaf = this.top
      if (leaf.count === 0) damaged('a leaf of a sorted map is empty')
      leaf.at = leaf.count - 1
      leaf.willChange()
      node.take(leaf, leaf.at, node.at, 1)
    }
    const leaf = this.top
    leaf.take(leaf, leaf.at + 1, leaf.at, leaf.count - leaf.at - 1)
    leaf.setCount(leaf.count - 1)
    setHolder(region, p, Math.max(0, (region.i32[p + COUNT]! >>> 0) - 1))
    this.#rebalance(freed)
    this.#shrinkRoot(freed, region, p)
    for (const block of freed) allocator.free(block.region, block.word)
  }

  #rebalance(freed: Freed[]): void {
    for (let d = this.depth - 1; d > 0; d--) {
      const node = this.nodes[d]!
      if (node.count >= node.capacity >>> 2) return
      const parent = this.nodes[d - 1]!
      const sibling = this.#sibling
      // The node and its left neighbour; at the left end the right one.
      const first = parent.at > 0 ? parent.at - 1 : 0
      if (first >= parent.count) damaged('a node of a sorted map has no entry')
      sibling.openChild(parent, parent.at > 0 ? first : 1)
      const [left, right] = parent.at > 0 ? [sibling, node] : [node, sibling]
      parent.willChange()
      sibling.willChange()
      node.willChange()
      if (left.count + right.count < left.capacity) {
        this.#merge(left, right, parent, first)
        freed.push({ region: right.region, word: right.word })
      } else if (left === node) this.#rotateLeft(left, right, parent, first)
      else this.#rotateRight(left, right, parent, first)
    }
  }

  /** Moves the entry between two nodes, and the right one's, to the end of the left one. */
  #merge(left: Node, right: Node, parent: Node, i: number): void {
    const { count } = left
    left.take(parent, i, count, 1)
    left.take(right, 0, count + 1, right.count)
    if (left.level > 0) left.takeChildren(right, 0, count + 1, right.count + 1)
    left.setCount(count + 1 + right.count)
    parent.take(parent, i + 1, i, parent.count - i - 1)
    parent.takeChildren(parent, i + 2, i + 1, parent.count - i - 1)
    parent.setCount(parent.count - 1)
  }

  #rotateLeft(left: Node, right: Node, parent: Node, i: number): void {
    const { count } = left
    left.take(parent, i, count, 1)
    parent.take(right, 0, i, 1)
    right.take(right, 1, 0, right.count - 1)
    if (left.level > 0) {
      left.takeChildren(right, 0, count + 1, 1)
      right.takeChildren(right, 1, 0, right.count)
    }
    left.setCount(count + 1)
    right.setCount(right.count - 1)
  }

  #rotateRight(left: Node, right: Node, parent: Node, i: number): void {
    const { count } = right
    right.take(right, 0, 1, count)
    right.take(parent, i, 0, 1)
    parent.take(left, left.count - 1, i, 1)
    if (right.level > 0) {
      right.takeChildren(right, 0, 1, count + 1)
      right.takeChildren(left, left.count, 0, 1)
    }
    right.setCount(count + 1)
    left.setCount(left.count - 1)
  }

  #shrinkRoot(freed: Freed[], region: Region, p: number): void {
    const root = this.nodes[0]!
    if (root.count > 0) return
    const a = region.i32
    const inner = root.level > 0
    const from = root.region.i32
    willChange(region, p, HOLDER_WORDS)
    a[p] = inner ? from[root.children]! : 0
    a[p + 1] = inner ? from[root.children + 1]! : 0
    freed.push({ region: root.region, word: root.word })
  }
}

/** Sets `node.at` to the first entry that is not before the key (`after`: that is after it); whether one is the same. */
export function search(node: Node, key: SearchKey, after: boolean): boolean {
  const mask = key.prefixMask
  const wanted = (key.prefix & mask) >>> 0
  let low = 0
  let high = node.count
  let found = false
  while (low < high) {
    const middle = low + high >>> 1
    const prefix = (node.prefix(middle) & mask) >>> 0
    const order = prefix === wanted ? key.compare(node.region, node.key(middle)) : wanted < prefix ? -1 : 1
    if (order === 0) found = true
    if (order < 0 || (order === 0 && !after)) high = middle
    else low = middle + 1
  }
  node.at = low
  return found
}

function setHolder(region: Region, p: number, count: number): void {
  const a = region.i32
  willChange(region, p, HOLDER_WORDS)
  a[p + COUNT] = count
  a[p + VERSION] = a[p + VERSION]! + 1
}
