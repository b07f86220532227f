import { RpcError } from '../../base/errors.js'
import type { Address } from '../../base/numbers.js'
import { type ChunkSource, type Region, type Scope, SCOPE_REGION, ScopePool, type ScopePoolOptions, type SealReleaser } from '../../memory/index.js'
import { type CopyLimits, build, copyGraph, isType, release, type AnyType, type Plain, type View } from '../../objects/index.js'

/**
 * Contiguous pages inside a connection's heap, for the argument of a call (paper, 5.1). Objects made in it point only to
 * each other, and all go together. A method with isolation copies or seals the scope's used part, and nothing else.
 *
 * Owned by whoever created or took it; `destroy`, or `using`, ends it. Views of its objects must not be used afterwards.
 */
export class ObjectScope implements Disposable {
  readonly #scope: Scope
  #open = true

  /** @internal */
  constructor(scope: Scope) {
    this.#scope = scope
  }

  /** @internal */
  get [SCOPE_REGION](): Region {
    return this.#scope.region
  }

  /** Native address of its first page. */
  get address(): Address {
    return this.#scope.address
  }

  /** Whole pages. */
  get byteLength(): number {
    return this.#scope.byteLength
  }

  /** Bytes from its start that hold objects: what a call with isolation copies. */
  get usedBytes(): number {
    return this.#scope.usedBytes
  }

  /** Whether a call with a seal is in flight, or its seal not yet released. */
  get isSealed(): boolean {
    return this.#scope.sealed
  }

  /**
   * Makes an object of a type from a plain value. It goes with the scope, or by {@link free}.
   * @throws RpcError RESOURCE_EXHAUSTED when the scope is full, INVALID_ARGUMENT for a value of the wrong type, or one that
   * holds a view of an object elsewhere: copy it first.
   */
  new<T extends AnyType>(type: T, value: Plain<T>): View<T> {
    if (!isType(type)) throw new RpcError('INVALID_ARGUMENT', 'scope.new takes a type first: scope.new(Post, { … })')
    return build(type, this.#live(), value)
  }

  /** Frees an object and what it owns: its memory serves later objects of this scope. */
  free(view: object, options: { readonly deep?: boolean } = {}): void {
    release(this.#live(), view, options)
  }

  /** Copies an object from elsewhere, with everything that it owns or points to. */
  copyFrom<V extends object>(view: V, limits?: CopyLimits): V {
    return copyGraph(view, this.#live(), limits)
  }

  /** Loses every object in the scope; its memory serves anew. */
  reset(): void {
    this.#live().reset()
  }

  /** Loses the objects and gives the pages back, to the heap or to the pool. Idempotent. */
  destroy(): void {
    if (!this.#open) return
    this.#scope.destroy()
    this.#open = false
  }

  [Symbol.dispose](): void {
    this.destroy()
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `ObjectScope (${this.#open ? `${this.usedBytes} of ${this.byteLength} bytes used` : 'destroyed'})`
  }

  toJSON(): string {
    return 'ObjectScope'
  }

  #live(): Scope {
    if (!this.#open) throw new RpcError('FAILED_PRECONDITION', 'the scope was destroyed')
    return this.#scope
  }
}

/**
 * A pool of contiguous scopes (paper, 5.3). Taking and giving back costs some nanoseconds; seals are released in batches.
 * Owned by whoever made it; `close`, or `using`, gives its memory back.
 */
export class ObjectScopePool implements Disposable {
  readonly #pool: ScopePool

  /** @internal */
  constructor(heaps: ChunkSource, options: ScopePoolOptions, releaser?: SealReleaser) {
    this.#pool = new ScopePool(heaps, options, releaser)
  }

  /** Scopes that can be taken at once. */
  get available(): number {
    return this.#pool.available
  }

  /** Scopes given back that wait for their seals to be released. */
  get awaitingRelease(): number {
    return this.#pool.awaitingRelease
  }

  /** An empty scope, the caller's until `destroy`. @throws RpcError RESOURCE_EXHAUSTED when all are in use. */
  take(): ObjectScope {
    return new ObjectScope(this.#pool.take())
  }

  /** Releases the seals of the scopes given back now, instead of with the next batch. */
  release(): void {
    this.#pool.release()
  }

  /** Ends all its scopes and gives the memory back. Idempotent. */
  close(): void {
    this.#pool.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
