import { RpcError } from '../../base/errors.js'
import { locate, retireBlock, type Allocator, type Region } from '../../memory/region.js'
import { MAX_WALK_NODES } from '../limits.js'

/** What collects the blocks of a document. */
export interface BlockSink {
  /** A block that holds no pointers, by its address. */
  leaf(region: Region, lo: number, hi: number): void
  /** A block that holds more; false when it was seen already, so that damaged cyclic data ends. */
  block(region: Region, word: number): boolean
  /** Counts values about to be visited. */
  spend(nodes: number): void
}

/** The few blocks of one document or value. A `Gather` costs more than most documents have of them. */
export class Blocks implements BlockSink {
  readonly #regions: Region[] = []
  readonly #words: number[] = []
  #seen: Set<number> | null = null
  #nodes = MAX_WALK_NODES

  leaf(region: Region, lo: number, hi: number): void {
    const home = locate(region, hi, lo, 2)
    this.#regions.push(home)
    this.#words.push(((lo - home.low) >>> 2) + home.shift)
  }

  block(region: Region, word: number): boolean {
    if (this.#words.length > 0 && this.#saw(region.addressOf(word))) return false
    this.#regions.push(region)
    this.#words.push(word)
    return true
  }

  // Most documents are one block: a set is made for the second.
  #saw(address: number): boolean {
    this.#seen ??= new Set(this.#words.map((word, i) => this.#regions[i]!.addressOf(word)))
    if (this.#seen.has(address)) return true
    this.#seen.add(address)
    return false
  }

  spend(nodes: number): void {
    this.#nodes -= nodes
    if (this.#nodes < 0) throw new RpcError('RESOURCE_EXHAUSTED', `more than ${MAX_WALK_NODES} values belong to this document`)
  }

  /** Frees what was overwritten, when nobody can hold a view of it any more: see {@link Allocator.retire}. The first block is refused before any has gone. */
  retire(allocator: Allocator): void {
    for (let i = 0; i < this.#words.length; i++) retireBlock(allocator, this.#regions[i]!, this.#words[i]!)
  }

  /** Frees what was collected. The first block is freed first: if that is refused, nothing has been freed. */
  free(allocator: Allocator): void {
    for (let i = 0; i < this.#words.length; i++) allocator.free(this.#regions[i]!, this.#words[i]!)
  }
}
