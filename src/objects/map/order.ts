// The chunks of a map (chunk.ts) in their order of insertion, in which a peer may have laid whatever it likes: no walk through them looks at more words
// than there are.
import { Extent } from '../extent.js'
import { damaged } from '../problems.js'
import { Chunk } from './chunk.js'
import { CHUNKS, FIRST, LAST, Place, type Table } from './table.js'

const WHAT = 'a map'

const place = new Place()

/** Where an iteration stands: behind the entry with `sequence`. */
export interface Cursor {
  sequence: number
  /** Lower half of the address of the table that it stands in. */
  table: number
  /** Chunk and offset to go on from, while `epoch` is the table's. */
  id: number
  offset: number
  epoch: number
}

/** The chunks of the map whose table is open. */
export class ChunkOrder {
  readonly #extent = new Extent()

  constructor(readonly table: Table, readonly valueWords: number, readonly hasText: boolean) {}

  open(chunk: Chunk, id: number): Chunk {
    const { region, start, ids } = this.table
    if (id >= ids) damaged('a map is damaged: it leads to entries that it does not have')
    place.resolve(region, start + CHUNKS, (id + 1) * 2)
    chunk.open(place.region, place.word + id * 2, id)
    return chunk
  }

  forEach(visit: (chunk: Chunk) => void): void {
    const chunk = new Chunk(this.valueWords, this.hasText)
    const extent = new Extent()
    for (let id = this.table.get(FIRST); id !== 0; id = chunk.next) {
      this.open(chunk, id - 1)
      extent.spend(chunk.region, chunk.end, WHAT)
      visit(chunk)
    }
  }

  /** An iteration goes on from the chunk to the next. @param hasLeft it did so before in the same step. */
  leave(chunk: Chunk, hasLeft: boolean): void {
    if (!hasLeft) this.#extent.reset()
    this.#extent.spend(chunk.region, chunk.end, WHAT)
  }

  /** The chunk where an iteration stood, if nothing that is still to come can lie before it; else the first with younger entries. */
  resume(chunk: Chunk, { id, sequence }: Cursor): number {
    const { table } = this
    if (id !== 0 && id <= table.ids && !this.#isFree(id - 1)) {
      const previous = this.open(chunk, id - 1).previous
      if (previous === 0 ? table.get(FIRST) === id : this.open(chunk, previous - 1).latest <= sequence) return id
    }
    this.#extent.reset()
    for (let next = table.get(FIRST); next !== 0; next = chunk.next) {
      if (this.open(chunk, next - 1).latest > sequence) return next
      this.spend()
      this.#extent.spend(chunk.region, chunk.end, WHAT)
    }
    return table.get(LAST)
  }

  /** What an iteration passes over counts as what it visits does: its end must not depend on how little of it is there. */
  spend(): void {
    const { region } = this.table
    if (--region.budget < 0) region.spent()
  }

  #isFree(id: number): boolean {
    place.resolve(this.table.region, this.table.start + CHUNKS, (id + 1) * 2)
    return (place.region.i32[place.word + id * 2]! | 0) === 0
  }
}
