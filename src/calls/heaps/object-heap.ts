import { RpcError } from '../../base/errors.js'
import { heapDebug, HeapScopes, type HeapSet, type HeapStats, type Leak, type ScopePoolOptions } from '../../memory/index.js'
import type { Address } from '../../base/numbers.js'
import { requireFlag, requireOptions } from '../../base/options.js'
import { type CopyLimits, isView, typeOf, viewAt, build, buildJson, copyGraph, isType, parseJson, release, type AnyType, type JsonValue, type Plain, type View } from '../../objects/index.js'
import { type ArgumentSeals, Sandbox } from '../../safety/index.js'
import { ObjectScope, ObjectScopePool } from './object-scope.js'

/**
 * The heaps of a connection, as an application uses them. Whoever calls `new` (or `copyFrom`) owns the object and frees it;
 * what nobody frees goes with the connection. Where a channel shares its heap it stays until the server closes, also when its maker
 * has closed or died, since others may point to it: {@link stats} tells who has how much there.
 */
export class ObjectHeap {
  readonly #heaps: HeapSet
  readonly #scopes: HeapScopes
  #closed = false
  #sandbox: Sandbox | undefined
  #seals: ArgumentSeals | undefined

  /** @internal Scopes are made where they can be sealed from now on. */
  useSeals(seals: ArgumentSeals): void {
    this.#seals = seals
  }

  /** @internal */
  constructor(heaps: HeapSet) {
    this.#heaps = heaps
    this.#scopes = new HeapScopes(heaps)
  }

  /** @internal The memory is unmapped: what is written to it would be lost. */
  close(): void {
    if (!this.#closed) heapDebug?.close(this.#heaps)
    this.#closed = true
    this.#sandbox?.close()
  }

  /** Makes an object of a type from a plain value. The object is the caller's until {@link free}. */
  new<T extends AnyType>(type: T, value: Plain<T>): View<T> {
    if (!isType(type)) throw new RpcError('INVALID_ARGUMENT', 'heap.new takes a type first: heap.new(Post, { … })')
    const heaps = this.#open()
    return making(type.label, () => build(type, heaps, value))
  }

  /**
   * Writes any JSON value as a document: a tree of objects that is read where it lies. What `JSON.stringify` would leave out
   * or convert is left out and converted alike. The document is the caller's until {@link free}, which frees all of it; a
   * string, number, boolean or null takes no memory and is returned as it is.
   * @throws RpcError INVALID_ARGUMENT for what JSON cannot hold, or a value nested more than 1000 deep.
   */
  json<T>(value: T): T {
    const heaps = this.#open()
    return making('json', () => buildJson(heaps, value)) as T
  }

  /**
   * Writes the document that a text says, understood as `JSON.parse` understands it, without making JavaScript objects. Bytes
   * are UTF-8; they are read where they lie and not kept. The document is the caller's until {@link free}.
   * @throws RpcError INVALID_ARGUMENT that names the byte where the text is wrong, or nested more than 1000 deep.
   */
  parseJson<T = JsonValue>(text: string | Uint8Array): T {
    const heaps = this.#open()
    return making('json', () => parseJson(heaps, text)) as T
  }

  /**
   * Frees an object and everything it owns: texts, lists, maps, embedded structs; never what its refs point to, unless
   * `deep` is set. Anybody with access to the heap may free any object of it, once.
   */
  free(view: object, options?: { readonly deep?: boolean }): void {
    if (options !== undefined) {
      requireOptions('free', options, { deep: true })
      requireFlag('deep', options.deep)
    }
    release(this.#open(), view, options)
  }

  /**
   * The object of a type at a native address of this connection's memory: what {@link addressOf} gave, here or in another process.
   * @throws WildPointerError when there is no such object.
   */
  at<T extends AnyType>(type: T, address: Address): View<T> {
    return viewAt(type, this.#open().region, address)
  }

  /**
   * Copies an object from any heap into this one, with everything that it owns or points to, keeping sharing and cycles. The
   * copy is the caller's. A pointer into another connection's memory is made a view there first: `copyFrom(other.at(Post, address))`.
   * @param limits objects and bytes after which it gives up with RESOURCE_EXHAUSTED, having freed everything.
   */
  copyFrom<V extends object>(view: V, limits?: CopyLimits): V
  /** Copies the object of a type at an address of this connection's memory. */
  copyFrom<T extends AnyType>(type: T, address: Address, limits?: CopyLimits): View<T>
  copyFrom(source: object, place?: Address | CopyLimits, limits?: CopyLimits): unknown {
    const heaps = this.#open()
    if (isType(source)) return making(source.label, () => copyGraph(this.at(source, place as Address) as object, heaps, limits))
    return making(labelOf(source), () => copyGraph(source, heaps, place as CopyLimits | undefined))
  }

  /**
   * A scope of whole pages that hold at least `byteLength` bytes; the caller destroys it. Where arguments are sealed it lies in the
   * memory for them, as long as there is room.
   * @throws RpcError RESOURCE_EXHAUSTED when the heap has no room for it.
   */
  createScope(byteLength: number): ObjectScope {
    this.#open()
    const seals = this.#seals
    if (seals === undefined || seals.heap.largestRun < byteLength) return new ObjectScope(this.#scopes.create(byteLength))
    return new ObjectScope(seals.scopes.create(byteLength))
  }

  /** A pool of contiguous scopes; the caller closes it. */
  createScopePool(options: ScopePoolOptions): ObjectScopePool {
    const heaps = this.#open()
    const seals = this.#seals
    return seals === undefined ? new ObjectScopePool(heaps, options) : new ObjectScopePool(seals.heap, options, seals)
  }

  /** Runs functions that reach a range of this memory and nothing else: see {@link Sandbox.run}. */
  get sandbox(): Sandbox {
    return (this.#sandbox ??= new Sandbox({ reply: this, memory: this.#heaps }))
  }

  /**
   * What was made here by {@link new} and not freed, by type and place, the largest first.
   * @throws RpcError FAILED_PRECONDITION unless the process runs with RPCOOL_DEBUG=heap, which also names what is used after it was
   * freed, and tells of leaks when a connection is closed.
   */
  leaks(): readonly Leak[] {
    if (heapDebug === null) throw new RpcError('FAILED_PRECONDITION', 'leaks are known only to a process that was started with RPCOOL_DEBUG=heap')
    return heapDebug.leaks(this.#heaps)
  }

  /** What this end of the connection has allocated. */
  stats(): HeapStats {
    return this.#heaps.stats()
  }

  /** Takes back what others have freed and returns empty memory. Done by itself when memory is short. */
  collect(): void {
    this.#heaps.collect()
  }

  /** @internal */
  static heapsOf(heap: ObjectHeap): HeapSet {
    return heap.#heaps
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.#closed ? 'ObjectHeap (closed)' : `ObjectHeap (${this.#heaps.heaps.length} mapped)`
  }

  toJSON(): string {
    return 'ObjectHeap'
  }

  #open(): HeapSet {
    if (this.#closed) throw new RpcError('CANCELLED', 'the connection is closed, and its heap with it')
    return this.#heaps
  }
}

/** Lets the debug mode know what is made. */
function making<R>(type: string, work: () => R): R {
  return heapDebug === null ? work() : heapDebug.making(type, work)
}

function labelOf(view: object): string {
  return isView(view) ? typeOf(view).label : 'a copy'
}
