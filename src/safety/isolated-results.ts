import type { HeapSet } from '../memory/index.js'
import { type Cell, HOLD, type Hold } from '../objects/index.js'
import { copyInto } from './isolated-arguments.js'
import { PrivateArena } from './private-arena.js'
import { SNAPSHOT_BYTES, Snapshots } from './snapshot.js'

/**
 * Results in private memory, for a client that does not trust its server: what the server does to its memory afterwards cannot
 * be seen. A result that is disposed of gives its buffer to the next one; another goes with its view.
 */
export class IsolatedResults {
  readonly #heaps: HeapSet
  // How many results a program keeps is its own affair.
  readonly #snapshots: Snapshots

  constructor(heaps: HeapSet) {
    this.#heaps = heaps
    this.#snapshots = new Snapshots(heaps, Infinity)
  }

  /**
   * The value of a result's cell, over a copy of the `used` bytes of its chunk; where that is 0, copied object by object.
   * @throws WildPointerError when the chunk is not inside the connection's heaps; RpcError RESOURCE_EXHAUSTED for a graph of
   * more than 64 MiB.
   */
  read(cell: Cell, low: number, high: number, chunkLow: number, chunkHigh: number, used: number): unknown {
    if (used === 0) return copyInto(new PrivateArena(SNAPSHOT_BYTES), SNAPSHOT_BYTES, cell, this.#heaps.heaps[0]!.region, low, high)
    const snapshot = this.#snapshots.take(chunkHigh, chunkLow, used)
    const value = cell.read(snapshot.region, low, high)
    if (typeof value === 'object' && value !== null && Symbol.dispose in value) (value as { [HOLD]?: Hold })[HOLD] = snapshot
    return value
  }
}
