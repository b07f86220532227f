import { RpcError } from '../base/errors.js'
import type { Region, RegionSpace } from '../memory/index.js'
import type { Cell } from '../objects/index.js'
import { PrivateArena } from './private-arena.js'
import { SNAPSHOT_BYTES, Snapshots } from './snapshot.js'

/** The least that an object takes: what bounds the number of objects of a copy. */
const OBJECT_BYTES = 8
/** Pointers that a handler may follow in a copy, for each object in it: a walk may come by more than once. */
const WALKS = 16
const WALK_MIN = 1 << 20

/** What a copy holds until its call is answered. */
export interface Holding {
  /**
   * Gives the memory back; views over it must not be used any more. Idempotent.
   * @returns whether the argument was kept from changing all the time.
   */
  release(): boolean
}

/** A cell's value, copied object by object into an arena of at most `limit` bytes, which goes with it. */
export function copyInto(arena: PrivateArena, limit: number, cell: Cell, region: Region, low: number, high: number): unknown {
  const value = cell.copy(arena, region, low, high, Math.ceil(limit / OBJECT_BYTES))
  arena.finish(Math.max(WALK_MIN, arena.byteLength / OBJECT_BYTES * WALKS))
  return value
}

class ArenaHolding implements Holding {
  #bytes: number

  constructor(readonly owner: { arenaBytes: number }, bytes: number) {
    this.#bytes = bytes
    owner.arenaBytes += bytes
  }

  release(): boolean {
    this.owner.arenaBytes -= this.#bytes
    this.#bytes = 0
    return true
  }
}

/** Gives the handlers of one connection arguments in private memory, where no peer can change them. */
export class IsolatedArguments {
  /** What the latest {@link read} took; the caller takes it over and releases it when the handler has answered. */
  holding: Holding | null = null
  readonly #snapshots: Snapshots
  readonly #limit: number
  /** @internal Bytes of the copies made object by object. */
  arenaBytes = 0

  /** @param limit bytes of private copies at a time. */
  constructor(heaps: RegionSpace, limit = SNAPSHOT_BYTES) {
    this.#snapshots = new Snapshots(heaps, limit)
    this.#limit = limit
  }

  /** Bytes that copies hold now. */
  get heldBytes(): number {
    return this.#snapshots.heldBytes + this.arenaBytes
  }

  /**
   * The argument of a call, over a copy of its scope: `used` bytes from (scopeHigh, scopeLow) on. A pointer out of it is wild.
   * All numbers may come from a peer, and were read once.
   */
  fromScope(cell: Cell, low: number, high: number, scopeLow: number, scopeHigh: number, used: number): unknown {
    const snapshot = this.#snapshots.take(scopeHigh, scopeLow, used, this.arenaBytes)
    try {
      const value = cell.read(snapshot.region, low, high)
      this.holding = snapshot
      return value
    } catch (error) {
      snapshot.release()
      throw error
    }
  }

  /** The argument of a call that lies in no scope: copied object by object, as far as its types lead. */
  fromHeap(cell: Cell, region: Region, low: number, high: number): unknown {
    const left = this.#limit - this.heldBytes
    if (left < OBJECT_BYTES) {
      throw new RpcError('RESOURCE_EXHAUSTED', `the calls in flight on this connection hold ${this.heldBytes} bytes of private copies already`)
    }
    const arena = new PrivateArena(left)
    const value = copyInto(arena, left, cell, region, low, high)
    this.holding = new ArenaHolding(this, arena.byteLength)
    return value
  }
}
