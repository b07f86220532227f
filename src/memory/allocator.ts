import type { Region } from './region.js'

/**
 * malloc and free over shared memory, for one isolate. Blocks start at multiples of 8 bytes and hold whatever the memory
 * held before. The holder of an allocator may be a whole heap, a scope, or several heaps that grow.
 */
export interface Allocator {
  /** Where the latest {@link allocate} landed: a heap that grows continues in another region. */
  readonly region: Region

  /**
   * Allocates at least `byteLength` bytes; the block is the caller's until `free`.
   * @returns the block's word index in {@link region}.
   * @throws RpcError RESOURCE_EXHAUSTED when no heap has room and none can be added.
   */
  allocate(byteLength: number): number

  /**
   * Gives a block back.
   * @throws RpcError INVALID_ARGUMENT when it is not the start of a live block of this allocator: freed already, interior,
   * or foreign.
   */
  free(region: Region, word: number): void

  /** Whether objects may point from this allocator's memory into the region, that is whether they share a connection. */
  owns(region: Region): boolean
}
