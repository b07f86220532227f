import { RpcError } from '../base/errors.js'
import type { HeapSet, HeapStats } from '../memory/index.js'
import { build, copyGraph, release, type AnyType, type Plain, type View } from '../objects/index.js'

/**
 * The heaps of a connection, as an application uses them. Whoever calls `new` (or `copyFrom`) owns the object and frees it;
 * what nobody frees goes with the connection.
 */
export class ObjectHeap {
  constructor(private readonly heaps: HeapSet) {}

  /** Makes an object of a type from a plain value. The object is the caller's until {@link free}. */
  new<T extends AnyType>(type: T, value: Plain<T>): View<T> {
    return build(type, this.heaps, value)
  }

  /**
   * Frees an object and everything it owns: texts, lists, maps, embedded structs; never what its refs point to, unless
   * `deep` is set. Anybody with access to the heap may free any object of it, once.
   */
  free(view: object, options: { readonly deep?: boolean } = {}): void {
    release(this.heaps, view, options)
  }

  /**
   * Copies an object from another heap into this one, with everything that it owns or points to, keeping sharing and
   * cycles. The copy is the caller's.
   */
  copyFrom<V extends object>(view: V): V {
    return copyGraph(view, this.heaps)
  }

  /** What this end of the connection has allocated. */
  stats(): HeapStats {
    return this.heaps.stats()
  }

  /** Takes back what others have freed and returns empty memory. Done by itself when memory is short. */
  collect(): void {
    this.heaps.collect()
  }

  /** @internal */
  static heapsOf(heap: ObjectHeap): HeapSet {
    if (!(heap instanceof ObjectHeap)) throw new RpcError('INVALID_ARGUMENT', 'this is not a heap of a connection')
    return heap.heaps
  }
}
