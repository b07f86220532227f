import { RpcError } from '../base/errors.js'
import { requireOptions } from '../base/options.js'
import type { ChunkSource } from './page-heap.js'
import type { Region } from './region.js'
import { Scope, scopeBytes, SCOPE_BYTES_MAX, type ScopeOwner } from './scope.js'

/** Seals that are released in one kernel call, unless asked otherwise (paper, 5.3). */
export const RELEASE_BATCH = 1024
/** Scopes of one pool: each costs some hundred bytes of private memory. */
const COUNT_MAX = 1 << 20

/** What releases the seals of a pool's scopes: the connection's seal authority. */
export interface SealReleaser {
  /**
   * Releases the seals of the scopes, whose calls are complete, in as few kernel calls as it can: they come sorted by address.
   * Throws when one is refused; all of them are offered again then.
   */
  releaseSeals(scopes: readonly Scope[]): void
}

/** What a pool of scopes consists of. */
export interface ScopePoolOptions {
  /** Bytes of each scope, rounded up to whole pages. */
  readonly scopeBytes: number
  readonly count: number
  /** How many scopes with a seal to release wait for each other; 1024 by default. */
  readonly releaseBatch?: number
}

/**
 * Scopes of one size that lie side by side (paper, 5.3): to be taken, filled, sent and given back again and again. The seals
 * of scopes given back are released in batches, where adjacent scopes are one range; when no other scope is left, at once.
 */
export class ScopePool implements ScopeOwner {
  readonly takesSealed = true
  readonly #heaps: ChunkSource
  readonly #home: Region
  readonly #word: number
  readonly #scopes: Scope[] = []
  /** Ready to be taken. */
  readonly #free: Scope[] = []
  readonly #taken = new Set<Scope>()
  /** Given back with their seals on. */
  #sealed: Scope[] = []
  readonly #batch: number
  readonly #releaser: SealReleaser | undefined
  #open = true

  /**
   * Takes one contiguous piece of the heaps for all scopes; {@link close} gives it back.
   * @param releaser releases the seals; without one no scope of the pool is ever sealed.
   * @throws RpcError RESOURCE_EXHAUSTED when the heaps have no room for it.
   */
  constructor(heaps: ChunkSource, options: ScopePoolOptions, releaser?: SealReleaser) {
    for (const name of ['scopeBytes', 'count'] as const) {
      if ((options as Partial<ScopePoolOptions> | undefined)?.[name] === undefined) throw new RpcError('INVALID_ARGUMENT', `a scope pool needs ${name}: createScopePool({ scopeBytes: 4096, count: 16 })`)
    }
    requireOptions('a scope pool', options, { scopeBytes: true, count: true, releaseBatch: true })
    const { count, releaseBatch = RELEASE_BATCH } = options
    const bytes = scopeBytes(options.scopeBytes)
    if (!Number.isInteger(count) || count < 1 || count > COUNT_MAX || count * bytes > SCOPE_BYTES_MAX) {
      throw new RpcError('INVALID_ARGUMENT',
        `a pool has 1 to ${COUNT_MAX} scopes and at most ${SCOPE_BYTES_MAX} bytes, not ${String(count)} scopes of ${bytes}`)
    }
    if (!Number.isInteger(releaseBatch) || releaseBatch < 1) {
      throw new RpcError('INVALID_ARGUMENT', `releaseBatch is a whole number of scopes from 1 on, not ${String(releaseBatch)}`)
    }
    this.#heaps = heaps
    this.#batch = releaseBatch
    this.#releaser = releaser
    this.#word = heaps.allocateChunk(count * bytes)
    this.#home = heaps.region
    for (let i = 0; i < count; i++) this.#scopes.push(new Scope(this.#home, this.#word + i * (bytes >>> 2), bytes, this))
    // The first scopes are taken first, so that those in use lie together.
    this.#free.push(...this.#scopes.toReversed())
  }

  /** Scopes that can be taken without releasing a seal. */
  get available(): number {
    return this.#free.length
  }

  /** Scopes given back whose seals are still on. */
  get awaitingRelease(): number {
    return this.#sealed.length
  }

  /**
   * An empty scope; the caller gives it back by `destroy`, or `using`.
   * @throws RpcError RESOURCE_EXHAUSTED when all are in use.
   */
  take(): Scope {
    if (this.#free.length === 0) this.#refill()
    const scope = this.#free.pop()!
    this.#taken.add(scope)
    return scope
  }

  /** Releases the seals of all scopes given back, now. */
  release(): void {
    if (this.#sealed.length === 0) return
    const released = this.#sealed
    this.#releaser!.releaseSeals(released.toSorted((a, b) => a.address - b.address))
    this.#sealed = []
    for (const scope of released) this.#ready(scope)
  }

  /** @internal A scope is given back: `Scope.destroy` comes here. */
  takeBack(scope: Scope): void {
    if (!this.#taken.delete(scope)) return
    if (scope.seal === 0) {
      this.#free.push(scope)
      return
    }
    this.#sealed.push(scope)
    if (this.#sealed.length >= this.#batch) this.release()
  }

  /** Ends the pool: every scope of it is destroyed, and the memory given back. Idempotent. */
  close(): void {
    if (!this.#open) return
    this.release()
    for (const scope of this.#taken) {
      if (scope.seal !== 0) throw new RpcError('FAILED_PRECONDITION', 'a scope of the pool is sealed: a call with it is in flight')
    }
    this.#open = false
    for (const scope of this.#scopes) scope.end()
    this.#free.length = 0
    this.#heaps.freeChunk(this.#home, this.#word)
  }

  #ready(scope: Scope): void {
    scope.released()
    this.#free.push(scope)
  }

  #refill(): void {
    if (!this.#open) throw new RpcError('FAILED_PRECONDITION', 'the scope pool is closed')
    this.release()
    if (this.#free.length > 0) return
    throw new RpcError('RESOURCE_EXHAUSTED',
      `all ${this.#scopes.length} scopes of the pool are in use: destroy some (\`using\`), or make a pool with more`)
  }
}
