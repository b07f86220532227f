import { RpcError, WildPointerError } from '../base/errors.js'
import { makeAddress, PAGE_BYTES } from '../base/numbers.js'
import { Region, type RegionSpace } from '../memory/index.js'

/** Bytes of private copies that one connection's calls may hold at a time, unless the server allows more. */
export const SNAPSHOT_BYTES = 64 << 20
/** Bytes of buffers that a connection keeps for its next copies: fresh memory costs more than the copy. */
export const KEPT_BYTES = 4 << 20
/** Up to here a loop over words is faster than the built-in copy, which first makes an object. */
const LOOP_WORDS = 24
/** Pointers that a handler may follow in a copy, whatever its size. */
const WALK_MIN = 1 << 20

/** A private copy of a scope's used bytes. The memory is its {@link Snapshots}' own again after {@link release}. */
export class Snapshot {
  /** Resolves the pointers of the original, over the copy; nothing else. Read-only: a write would be lost. */
  readonly region: Region
  readonly byteLength: number
  readonly #source: Snapshots
  /** @internal */
  held = true

  /** @internal */
  constructor(source: Snapshots, byteLength: number) {
    this.#source = source
    this.byteLength = byteLength
    const region = new Region(new ArrayBuffer(byteLength), makeAddress(0, 0))
    region.readOnly = true
    region.isPrivate = true
    region.endless = false
    this.region = region
  }

  /** Gives the memory back: views over it must not be used any more. Idempotent. */
  release(): boolean {
    if (!this.held) return true
    this.held = false
    // A view that outlives its call reaches nothing by pointers.
    this.region.words = 0
    this.#source.give(this)
    return true
  }
}

/**
 * Makes private copies of scopes, for one connection. What the sender does to its memory afterwards cannot be seen; what it
 * does meanwhile may leave a copy of mixed content, which does not change any more. No privilege and no help of the kernel
 * is needed.
 */
export class Snapshots {
  readonly #heaps: RegionSpace
  readonly #limit: number
  #kept: Snapshot[] = []
  #keptBytes = 0
  #heldBytes = 0

  /** @param limit bytes of copies held at a time. */
  constructor(heaps: RegionSpace, limit = SNAPSHOT_BYTES) {
    this.#heaps = heaps
    this.#limit = limit
  }

  /** Bytes of the copies that are in use. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * Copies `used` bytes from (high, low) on; all three may come from a peer. The caller releases the copy.
   * @param others bytes that the connection's calls hold elsewhere, which count towards the limit.
   * @throws WildPointerError when they do not lie inside one of the connection's heaps; RpcError RESOURCE_EXHAUSTED when the
   * connection's copies would hold more than allowed.
   */
  take(high: number, low: number, used: number, others = 0): Snapshot {
    const words = (used + 3) >>> 2
    const home = this.#heaps.locate(high, low, words << 2 >>> 0)
    const word = home === undefined || words === 0 || (low & 7) !== 0 ? -1 : home.resolve(high, low, words)
    if (home === undefined || word < 0) this.#wild(high, low, used)
    const snapshot = this.#room(words * 4, others)
    copyWords(home.i32, word, words, snapshot.region.i32)
    const { region } = snapshot
    region.aim(0, words, high, low)
    region.allowance = words > WALK_MIN ? words : WALK_MIN
    region.refill()
    return snapshot
  }

  /** @internal */
  give(snapshot: Snapshot): void {
    this.#heldBytes -= snapshot.byteLength
    if (this.#keptBytes + snapshot.byteLength > KEPT_BYTES) return
    this.#keptBytes += snapshot.byteLength
    this.#kept.push(snapshot)
  }

  #room(byteLength: number, others: number): Snapshot {
    // The latest copy's buffer is still in the cache.
    const last = this.#kept.at(-1)
    if (last !== undefined && last.byteLength >= byteLength && this.#heldBytes + last.byteLength + others <= this.#limit) {
      this.#kept.pop()
      this.#keptBytes -= last.byteLength
      this.#heldBytes += last.byteLength
      last.held = true
      return last
    }
    return this.#make(byteLength, others)
  }

  #make(byteLength: number, others: number): Snapshot {
    let capacity = PAGE_BYTES
    while (capacity < byteLength) capacity *= 2
    const held = this.#heldBytes + others
    if (held + capacity > this.#limit) {
      throw new RpcError('RESOURCE_EXHAUSTED',
        `the calls in flight on this connection hold ${held} bytes of private copies, and ${capacity} more are beyond ` +
        `the limit of ${this.#limit}: wait for answers, or raise the server's snapshotBytes`)
    }
    // Smaller ones would be in the way for ever.
    this.#kept = []
    this.#keptBytes = 0
    this.#heldBytes += capacity
    return new Snapshot(this, capacity)
  }

  #wild(high: number, low: number, used: number): never {
    throw new WildPointerError(
      `the argument's scope of ${used} bytes at 0x${makeAddress(high >>> 0, low >>> 0).toString(16)} does not lie in the connection's heaps`)
  }
}

/** Each word is read once. */
function copyWords(from: Int32Array, word: number, words: number, to: Int32Array): void {
  if (words > LOOP_WORDS) {
    to.set(from.subarray(word, word + words))
    return
  }
  for (let i = 0; i < words; i++) to[i] = from[word + i]!
}
