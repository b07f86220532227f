import type { Region } from '../../memory/region.js'
import { Extent } from '../extent.js'
import { damaged } from '../problems.js'
import { COUNT, search, VERSION, type Path } from './tree.js'
import type { SearchKey } from './key.js'
import type { Node } from './node.js'

/** Walks of this isolate that a change asks to remember their place; the oldest gives way, by remembering its place at each step. */
const ATTENTIVE_MAX = 64
const attentive = new Set<Walk>()

/** Comes before a change of the sorted map at a word: what the latest key of a walk through it lies in may be gone afterwards. */
export function beforeChange(region: Region, p: number): void {
  for (const walk of attentive) if (walk.goesThrough(region, p)) walk.rememberAside()
}

/** Where a walk starts and ends. The keys are its own. */
export interface Bounds {
  readonly first: SearchKey | undefined
  /** Entries equal to `first` are left out. */
  readonly afterFirst: boolean
  readonly last: SearchKey | undefined
  /** Entries equal to `last` are left out. */
  readonly beforeLast: boolean
  readonly reverse: boolean
}

/**
 * Goes through the entries between two keys, in either direction. When the map was changed since the last step it goes on
 * behind the key it gave last, wherever that is now: an entry added ahead is visited, a removed one is not.
 */
export class Walk {
  readonly path: Path
  readonly #region: Region
  readonly #p: number
  /** Address of the map's holder. */
  readonly #high: number
  readonly #low: number
  readonly #bounds: Bounds
  /** The latest key, once it was asked for. */
  readonly #latest: SearchKey
  readonly #readKey: (region: Region, w: number) => unknown
  #isRemembered = false
  #hasMoved = false
  #isEager = false
  #isOver = false
  /** Throws what kept the walk from remembering its place in time. */
  #failure: (() => never) | undefined
  #version = 0
  #lo = 0
  #hi = 0
  /** In the leaf on top: up to where entries are known to lie inside the bounds. */
  #limit = -1
  /** Entries that the map can still have ahead, as it says. */
  #left = 0
  /** Nodes entered since the start; those that lead to the start are few. */
  #extent: Extent | undefined
  /** The current entry. */
  region: Region
  key = 0
  value = 0

  constructor(path: Path, latest: SearchKey, readKey: (region: Region, w: number) => unknown, region: Region, p: number, bounds: Bounds) {
    this.path = path
    this.#latest = latest
    this.#readKey = readKey
    this.#region = region
    this.#p = p
    this.#high = region.high
    this.#low = region.lowOf(p)
    this.#bounds = bounds
    this.region = region
  }

  /** Goes to the next entry; false at the end. */
  step(): boolean {
    if (this.#isOver) return this.#fail()
    const { i32 } = this.#region
    const p = this.#p
    if (!this.#hasMoved || i32[p + VERSION] !== this.#version || i32[p] !== this.#lo || i32[p + 1] !== this.#hi) this.#start()
    if (this.#bounds.reverse ? this.#back() : this.#forth()) {
      this.#hasMoved = true
      this.#isRemembered = false
      if (this.#isEager) this.#remember()
      // What is private does not change, and must not be kept from the garbage collector by a walk that nobody ends.
      else if (!this.#region.isPrivate) this.#attend()
      return true
    }
    this.end()
    return false
  }

  /** No further step will come. */
  end(): void {
    this.#isOver = true
    attentive.delete(this)
  }

  /** Whether it is the map at a word that this walk goes through, by whatever region: its own may be gone. */
  goesThrough(region: Region, p: number): boolean {
    return region.high === this.#high && region.lowOf(p) === this.#low
  }

  /**
   * Remembers its place while somebody else is at work, whom it is no business of when that fails: the walk may have been forgotten, its memory
   * be freed or written by a peer. Whoever still goes on with the walk gets the error.
   */
  rememberAside(): void {
    try {
      this.#remember()
    } catch (error) {
      this.end()
      this.#failure = () => {
        throw error
      }
    }
  }

  /** Tells once what ended the walk before its end. */
  #fail(): false {
    const failure = this.#failure
    this.#failure = undefined
    failure?.()
    return false
  }

  /** Takes the latest key into private memory. */
  #remember(): void {
    if (this.#isRemembered || !this.#hasMoved || this.#isOver) return
    this.#latest.keys.take(this.#latest, this.#readKey(this.region, this.key), '')
    this.#isRemembered = true
  }

  #attend(): void {
    if (attentive.has(this)) return
    attentive.add(this)
    if (attentive.size <= ATTENTIVE_MAX) return
    const [oldest] = attentive
    attentive.delete(oldest!)
    oldest!.rememberAside()
    oldest!.#isEager = true
  }

  #start(): void {
    const { reverse, first, afterFirst, last, beforeLast } = this.#bounds
    if (this.#hasMoved) this.#remember()
    const { i32 } = this.#region
    this.#version = i32[this.#p + VERSION]!
    this.#lo = i32[this.#p]!
    this.#hi = i32[this.#p + 1]!
    this.#left = i32[this.#p + COUNT]! >>> 0
    this.#limit = -1
    this.#extent?.reset()
    if (this.#hasMoved) this.path.seek(this.#region, this.#p, this.#latest, !reverse)
    else if (!reverse && first !== undefined) this.path.seek(this.#region, this.#p, first, afterFirst)
    else if (reverse && last !== undefined) this.path.seek(this.#region, this.#p, last, !beforeLast)
    else this.path.seekEnd(this.#region, this.#p, reverse)
  }

  #forth(): boolean {
    const path = this.path
    while (path.depth > 0) {
      const { top } = path
      if (top.at >= top.count) {
        path.depth--
        continue
      }
      if (top.level === 0) {
        if (this.#limit < 0) this.#limit = this.#limitOf(top)
        if (top.at >= this.#limit) return false
        this.#give(top, top.at++)
        return true
      }
      const i = top.at
      const { last, beforeLast } = this.#bounds
      if (last !== undefined && isBeyond(last.compare(top.region, top.key(i)), beforeLast)) return false
      this.#give(top, i)
      top.at = i + 1
      while (path.top.level > 0) this.#descend().at = 0
      this.#limit = -1
      return true
    }
    return false
  }

  #back(): boolean {
    const path = this.path
    while (path.depth > 0) {
      const { top } = path
      if (top.at === 0) {
        path.depth--
        continue
      }
      const i = top.at - 1
      if (top.level === 0) {
        if (this.#limit < 0) this.#limit = this.#limitOf(top)
        if (i < this.#limit) return false
        this.#give(top, i)
        top.at = i
        return true
      }
      const { first, afterFirst } = this.#bounds
      if (first !== undefined && isBeyond(-first.compare(top.region, top.key(i)), afterFirst)) return false
      this.#give(top, i)
      top.at = i
      while (path.top.level > 0) {
        const child = this.#descend()
        child.at = child.count
      }
      this.#limit = -1
      return true
    }
    return false
  }

  // A damaged tree may lead to the same nodes again and again.
  #descend(): Node {
    const child = this.path.descend()
    const extent = this.#extent ??= new Extent()
    extent.spend(child.region, child.shape.words(child.level, child.capacity), 'a sorted map')
    return child
  }

  /** The entries of a leaf that lie inside the bounds end (in reverse: begin) here. */
  #limitOf(leaf: Node): number {
    const { reverse, first, afterFirst, last, beforeLast } = this.#bounds
    const key = reverse ? first : last
    if (key === undefined) return reverse ? 0 : leaf.count
    const { at } = leaf
    search(leaf, key, reverse ? afterFirst : !beforeLast)
    const limit = leaf.at
    leaf.at = at
    return limit
  }

  #give(node: Node, i: number): void {
    if (--this.#left < 0) damaged('a sorted map has more entries than it says')
    if (--this.#region.budget < 0) this.#region.spent()
    this.region = node.region
    this.key = node.key(i)
    this.value = node.value(i)
  }
}

/** `order` compares the bound with an entry. */
function isBeyond(order: number, excluded: boolean): boolean {
  return order < 0 || (excluded && order === 0)
}
