import { Slot } from '../../layout/control-layout.js'
import { CallScope, type HeapSet } from '../../memory/index.js'
import type { Cell } from '../../objects/index.js'
import { closeScope } from '../waiting/end.js'

/** The memory of a connection's results: a scope for each slot, which the client may hold until the slot's next request. */
export class Replies {
  readonly #heaps: HeapSet
  readonly #scopes: (CallScope | null)[]
  /** For each slot: whether the client holds the chunk of the last result. */
  readonly #lent: Uint8Array

  constructor(heaps: HeapSet, slots: number) {
    this.#heaps = heaps
    this.#scopes = Array.from({ length: slots }, () => null)
    this.#lent = new Uint8Array(slots)
  }

  /** The slot's next request has come, and says whether it gives the last result back; else that is the client's for good. */
  takeBack(slot: number, returned: boolean): void {
    if (this.#lent[slot] === 0) return
    this.#lent[slot] = 0
    if (!returned) this.#scopes[slot]!.detach()
  }

  /** Builds a reply in the slot's scope, in one chunk, and its cell in `out`. @returns whether it took any memory. */
  write(slot: number, cell: Cell, value: unknown, out: Int32Array): boolean {
    const scope = this.#scopes[slot] ?? (this.#scopes[slot] = new CallScope(this.#heaps))
    scope.reset()
    cell.write(scope, value, out, 0)
    if (scope.isEmpty) return false
    // The client gives a result back as one chunk: it is built again where it fits.
    if (!scope.isOneChunk) scope.rebuild(() => cell.write(scope, value, out, 0))
    this.#lent[slot] = 1
    return true
  }

  /** Names the memory of a reply, which took some, to the client: in the slot's line at word `at`. */
  name(slot: number, words: Int32Array, at: number): void {
    const scope = this.#scopes[slot]!
    const region = scope.firstRegion
    words[at + Slot.CHUNK] = region.lowOf(scope.firstWord)
    words[at + Slot.CHUNK + 1] = region.high
    words[at + Slot.USED] = scope.isWhole ? scope.usedBytes : 0
  }

  /** In a heap that outlives the connection they would stay. */
  close(): void {
    for (const scope of this.#scopes) if (scope !== null) closeScope(scope)
  }
}
