import { RpcError } from '../../base/errors.js'
import { locate, type Allocator, type Region } from '../../memory/region.js'
import { Column, Forwards } from './forward.js'
import { MAX_NESTING, MAX_WALK_NODES } from '../limits.js'
import { tooDeep } from '../problems.js'

/** A struct's codec, as a copy over refs sees it. */
export interface Copyable {
  /** Words of the object at a place, checked. */
  sizeAt(region: Region, word: number): number
  readonly bytes: number
  copyObject(copier: Copier, from: Region, word: number, size: number, to: Region, target: number): void
}

/** In the place of a block's word: it was freed already. */
const GONE = -1

const WAITING_WORDS = 4
/** So many numbers are not worth being moved. */
const SHIFT_WORDS = 4096

/** How far a copy goes before it gives up with RESOURCE_EXHAUSTED and frees what it has made. */
export interface CopyLimits {
  /** Objects and elements. */
  readonly maxNodes?: number | undefined
  /** Bytes of the copy. */
  readonly maxBytes?: number | undefined
}

/**
 * The deep copy of a graph into another heap. Keeps sharing and cycles: an object is copied once, by its address. Objects
 * behind refs wait in a queue, so a long linked list does not use up the stack, and they lie in the copy in the order in which a build
 * puts them: what was built, or copied, before is read from one end of memory to the other.
 */
export class Copier {
  region: Region
  readonly allocator: Allocator
  /** Words of the blocks taken, and where they begin to lie in another region. */
  readonly #words = new Column()
  readonly #runs: Array<{ readonly first: number, readonly region: Region }> = []
  #run: Region | null = null
  readonly #forwards = new Forwards<Copyable>()
  /** The objects that wait, four numbers each: id of the table they are noted in, word, size, number of the copy. */
  readonly #waiting = new Column()
  /** Numbers of {@link #waiting} that are done with. */
  #filled = 0
  #nodesLeft: number
  #bytesLeft: number
  readonly #maxNodes: number
  readonly #maxBytes: number
  #depth = 0

  constructor(allocator: Allocator, { maxNodes = MAX_WALK_NODES, maxBytes = Infinity }: CopyLimits = {}) {
    this.allocator = allocator
    this.region = allocator.region
    this.#maxNodes = maxNodes
    this.#maxBytes = maxBytes
    this.#nodesLeft = maxNodes
    this.#bytesLeft = maxBytes
  }

  allocate(byteLength: number): number {
    this.#bytesLeft -= byteLength
    if (this.#bytesLeft < 0) throw new RpcError('RESOURCE_EXHAUSTED', `the copy takes more than ${this.#maxBytes} bytes; raise maxBytes if it is legitimate`)
    const { allocator } = this
    const word = allocator.allocate(byteLength)
    const { region } = allocator
    this.region = region
    if (region !== this.#run) {
      this.#run = region
      this.#runs.push({ first: this.#words.length, region })
    }
    this.#words.push(word)
    return word
  }

  /** Region of a block taken. */
  #regionOf(number: number): Region {
    const runs = this.#runs
    if (runs.length === 1) return runs[0]!.region
    let low = 0
    let high = runs.length - 1
    while (low < high) {
      const middle = low + high + 1 >>> 1
      if (runs[middle]!.first <= number) low = middle
      else high = middle - 1
    }
    return runs[low]!.region
  }

  /** Frees a block that this copy took and needs no more. */
  drop(region: Region, word: number): void {
    const { words } = this.#words
    let i = this.#words.length - 1
    while (i >= 0 && (words[i] !== word || this.#regionOf(i) !== region)) i--
    if (i < 0) return
    words[i] = GONE
    this.allocator.free(region, word)
  }

  /** Stores a pointer to (region, word) at position `q` of `to`. */
  point(to: Region, q: number, region: Region, word: number): void {
    to.i32[q] = region.lowOf(word)
    to.i32[q + 1] = region.high
  }

  /** Word, in {@link region}, of the copy of an object; it is filled by {@link run}. */
  copyOf(codec: Copyable, from: Region, lo: number, hi: number): number {
    let home = from
    let k = (lo - from.low) >>> 2
    if (hi !== from.high || k > from.words - 2) {
      home = locate(from, hi, lo, 2)
      k = (lo - home.low) >>> 2
    }
    const word = k + home.shift
    const forward = this.#forwards.of(codec, home)
    const known = forward.get(word)
    if (known !== 0) {
      this.region = this.#regionOf(known - 1)
      return this.#words.words[known - 1]!
    }
    const size = codec.sizeAt(home, word)
    this.spend(1)
    const target = this.allocate(codec.bytes)
    const number = this.#words.length
    forward.set(word, number)
    this.#waiting.push4(forward.id, word, size, number - 1)
    return target
  }

  /** Fills what was reached, and what that reaches in turn. */
  run(): void {
    const waiting = this.#waiting
    while (this.#filled < waiting.length) {
      const at = this.#filled
      this.#filled = at + WAITING_WORDS
      const { words } = waiting
      const number = words[at + 3]!
      const { kind, region } = this.#forwards.all[words[at]!]!
      kind.copyObject(this, region, words[at + 1]!, words[at + 2]!, this.#regionOf(number), this.#words.words[number]!)
      if (this.#filled < waiting.length && (this.#filled < SHIFT_WORDS || this.#filled * 2 <= waiting.length)) continue
      waiting.shift(this.#filled)
      this.#filled = 0
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
    const { words } = this.#words
    for (let i = this.#words.length - 1; i >= 0; i--) if (words[i] !== GONE) this.allocator.free(this.#regionOf(i), words[i]!)
  }
}
