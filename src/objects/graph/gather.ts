import { RpcError } from '../../base/errors.js'
import type { Allocator, Region } from '../../memory/region.js'
import { locate, retireBlock } from '../../memory/region.js'
import { Column, Forwards } from './forward.js'
import { MAX_NESTING, MAX_WALK_NODES } from '../limits.js'
import { tooDeep } from '../problems.js'

/** A struct's codec, as a walk over refs sees it. */
export interface Traversable {
  gatherObject(gather: Gather, region: Region, lo: number, hi: number): void
}

/** Objects behind refs that are not visited yet, by column: a million of them must not be a million small objects. */
interface Later {
  readonly codecs: Traversable[]
  readonly homes: Region[]
  readonly pointers: Column
}

/**
 * Collects the blocks that belong to a value before any of them is freed, because a freed block's words are the allocator's.
 * With `deep`, follows refs too: each object once, through a queue.
 */
export class Gather {
  readonly deep: boolean
  /** Set when some of it is a value that is read as a view of its own blocks, not of the place that holds it. */
  hasViews = false
  // What most walks do not need is made when it is: an object and its texts are freed in less time than a table is made.
  readonly #words: number[] = []
  readonly #regions: Region[] = []
  /** The first block that holds more, and a table of all of them once there is another. */
  #first: Region | null = null
  #firstWord = 0
  #seen: Forwards<null> | null = null
  #later: Later | null = null
  #depth = 0
  #nodes = MAX_WALK_NODES

  constructor(deep = false) {
    this.deep = deep
  }

  #add(region: Region, word: number): void {
    this.#regions.push(region)
    this.#words.push(word)
  }

  /** A block that holds no pointers, named by the pointer to it. Null and words that are no pointer are passed over. */
  leaf(region: Region, lo: number, hi: number): void {
    if (lo === 0 && hi === 0) return
    const home = locate(region, hi, lo, 2)
    this.#add(home, ((lo - home.low) >>> 2) + home.shift)
  }

  /** A block that holds more; false when it was seen already, so that damaged cyclic data ends. */
  block(region: Region, word: number): boolean {
    if (this.#isSeen(region, word)) return false
    this.#add(region, word)
    return true
  }

  /** Notes a block; whether it was noted before. */
  #isSeen(region: Region, word: number): boolean {
    if (this.#first === null) {
      this.#first = region
      this.#firstWord = word
      return false
    }
    if (this.#first === region && this.#firstWord === word) return true
    const seen = (this.#seen ??= new Forwards<null>()).of(null, region)
    if (seen.get(word) !== 0) return true
    seen.set(word, 1)
    return false
  }

  /** Something behind a ref: visited later, in deep walks only. */
  later(codec: Traversable, region: Region, lo: number, hi: number): void {
    if (!this.deep || (lo === 0 && hi === 0)) return
    const later = this.#later ??= { codecs: [], homes: [], pointers: new Column() }
    later.codecs.push(codec)
    later.homes.push(region)
    later.pointers.push(lo)
    later.pointers.push(hi)
  }

  run(): void {
    const later = this.#later
    if (later === null) return
    const { codecs, homes, pointers } = later
    for (let codec = codecs.pop(); codec !== undefined; codec = codecs.pop()) {
      const hi = pointers.pop()
      const lo = pointers.pop()
      codec.gatherObject(this, homes.pop()!, lo, hi)
    }
  }

  enter(): void {
    if (++this.#depth > MAX_NESTING) tooDeep('release', MAX_NESTING)
  }

  leave(): void {
    this.#depth--
  }

  /** Counts elements about to be visited. */
  spend(nodes: number): void {
    this.#nodes -= nodes
    if (this.#nodes < 0) throw new RpcError('RESOURCE_EXHAUSTED', `more than ${MAX_WALK_NODES} elements belong to this value`)
  }

  /** Frees what was overwritten: at once, where nobody can hold a view of it. The first block is refused before any has gone. */
  retire(allocator: Allocator): void {
    if (!this.hasViews) return this.free(allocator)
    for (let i = 0; i < this.#words.length; i++) retireBlock(allocator, this.#regions[i]!, this.#words[i]!)
    return undefined
  }

  /** Frees what was gathered. The first block is freed first: if that is refused, nothing has been freed. */
  free(allocator: Allocator): void {
    const [words, regions] = [this.#words, this.#regions]
    for (let i = 0; i < words.length; i++) allocator.free(regions[i]!, words[i]!)
  }
}
