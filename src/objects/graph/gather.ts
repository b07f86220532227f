import { RpcError } from '../../base/errors.js'
import type { Allocator, Region } from '../../memory/region.js'
import { locate } from '../../memory/region.js'
import { Column, Forwards } from './forward.js'
import { MAX_NESTING, MAX_WALK_NODES } from '../limits.js'
import { tooDeep } from '../problems.js'

/** A struct's codec, as a walk over refs sees it. */
export interface Traversable {
  gatherObject(gather: Gather, region: Region, lo: number, hi: number): void
}

/**
 * Collects the blocks that belong to a value before any of them is freed, because a freed block's words are the allocator's.
 * With `deep`, follows refs too: each object once, through a queue.
 */
export class Gather {
  readonly deep: boolean
  // By column: a million blocks must not be a million small objects.
  readonly #blocks = new Column()
  readonly #regions: Region[] = []
  readonly #seen = new Forwards<null>()
  readonly #later = new Column()
  readonly #codecs: Traversable[] = []
  readonly #homes: Region[] = []
  #depth = 0
  #nodes = MAX_WALK_NODES

  constructor(deep = false) {
    this.deep = deep
  }

  #add(region: Region, word: number): void {
    this.#regions.push(region)
    this.#blocks.push(word)
  }

  /** A block that holds no pointers, named by the pointer to it. Null and words that are no pointer are passed over. */
  leaf(region: Region, lo: number, hi: number): void {
    if (lo === 0 && hi === 0) return
    const home = locate(region, hi, lo, 2)
    this.#add(home, ((lo - home.low) >>> 2) + home.shift)
  }

  /** A block that holds more; false when it was seen already, so that damaged cyclic data ends. */
  block(region: Region, word: number): boolean {
    const seen = this.#seen.of(null, region)
    if (seen.get(word) !== 0) return false
    seen.set(word, 1)
    this.#add(region, word)
    return true
  }

  /** Something behind a ref: visited later, in deep walks only. */
  later(codec: Traversable, region: Region, lo: number, hi: number): void {
    if (!this.deep || (lo === 0 && hi === 0)) return
    this.#codecs.push(codec)
    this.#homes.push(region)
    this.#later.push(lo)
    this.#later.push(hi)
  }

  run(): void {
    for (let codec = this.#codecs.pop(); codec !== undefined; codec = this.#codecs.pop()) {
      const hi = this.#later.pop()
      const lo = this.#later.pop()
      codec.gatherObject(this, this.#homes.pop()!, lo, hi)
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

  /** Frees what was gathered. The first block is freed first: if that is refused, nothing has been freed. */
  free(allocator: Allocator): void {
    const { words, length } = this.#blocks
    for (let i = 0; i < length; i++) allocator.free(this.#regions[i]!, words[i]!)
  }
}
