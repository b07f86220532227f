import { RpcError } from '../base/errors.js'
import type { Allocator, Region } from '../memory/region.js'
import { MAX_NESTING } from './limits.js'
import { tooDeep } from './problems.js'

/** A struct's codec, as a copy over refs sees it. */
export interface Copyable {
  /** Words of the object a pointer leads to, checked; its place is left in the copier. */
  open(copier: Copier, from: Region, lo: number, hi: number): void
  readonly bytes: number
  copyObject(copier: Copier, from: Region, word: number, size: number, to: Region, target: number): void
}

/** In the place of a block's word: it was freed already. */
const GONE = -1

interface Pending {
  readonly codec: Copyable
  readonly from: Region
  readonly word: number
  readonly size: number
  readonly to: Region
  readonly target: number
}

/**
 * The deep copy of a graph into another heap. Keeps sharing and cycles: an object is copied once, by its address. Objects
 * behind refs wait in a queue, so a long linked list does not use up the stack.
 */
export class Copier {
  region: Region
  /** Where {@link Copyable.open} found an object. */
  source!: Region
  sourceWord = 0
  sourceSize = 0
  readonly allocator: Allocator
  readonly #regions: Region[] = []
  readonly #words: number[] = []
  readonly #copies = new Map<Copyable, Map<number, number>>()
  readonly #queue: Pending[] = []
  #nodesLeft: number
  readonly #maxNodes: number
  #depth = 0

  constructor(allocator: Allocator, maxNodes: number) {
    this.allocator = allocator
    this.region = allocator.region
    this.#maxNodes = maxNodes
    this.#nodesLeft = maxNodes
  }

  allocate(byteLength: number): number {
    const word = this.allocator.allocate(byteLength)
    this.region = this.allocator.region
    this.#regions.push(this.region)
    this.#words.push(word)
    return word
  }

  /** Frees a block that this copy took and needs no more. */
  drop(region: Region, word: number): void {
    let i = this.#words.length - 1
    while (i >= 0 && (this.#words[i] !== word || this.#regions[i] !== region)) i--
    if (i < 0) return
    this.#words[i] = GONE
    this.allocator.free(region, word)
  }

  /** Stores a pointer to (region, word) at position `q` of `to`. */
  point(to: Region, q: number, region: Region, word: number): void {
    to.i32[q] = region.lowOf(word)
    to.i32[q + 1] = region.high
  }

  /** Word, in {@link region}, of the copy of an object; it is filled by {@link run}. */
  copyOf(codec: Copyable, from: Region, lo: number, hi: number): number {
    codec.open(this, from, lo, hi)
    const { source, sourceWord, sourceSize } = this
    let copies = this.#copies.get(codec)
    if (copies === undefined) {
      copies = new Map()
      this.#copies.set(codec, copies)
    }
    const address = source.addressOf(sourceWord)
    const known = copies.get(address)
    if (known !== undefined) {
      this.region = this.#regions[known]!
      return this.#words[known]!
    }
    this.spend(1)
    const target = this.allocate(codec.bytes)
    copies.set(address, this.#words.length - 1)
    this.#queue.push({ codec, from: source, word: sourceWord, size: sourceSize, to: this.region, target })
    return target
  }

  run(): void {
    for (let next = this.#queue.pop(); next !== undefined; next = this.#queue.pop()) {
      next.codec.copyObject(this, next.from, next.word, next.size, next.to, next.target)
    }
  }

  spend(nodes: number): void {
    this.#nodesLeft -= nodes
    if (this.#nodesLeft < 0) {
      throw new RpcError('RESOURCE_EXHAUSTED', `the graph has more than ${this.#maxNodes} objects and elements; raise maxNodes if it is legitimate`)
    }
  }

  enter(): void {
    if (++this.#depth > MAX_NESTING) tooDeep('copy', MAX_NESTING)
  }

  leave(): void {
    this.#depth--
  }

  undo(): void {
    for (let i = this.#words.length - 1; i >= 0; i--) if (this.#words[i] !== GONE) this.allocator.free(this.#regions[i]!, this.#words[i]!)
  }
}
