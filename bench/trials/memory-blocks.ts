import { closeSync, openSync } from 'node:fs'
import { Heap, HeapSet } from '../../src/memory/index.js'
import { createMemoryFile, HEAPS_BASE, Mapping } from '../../src/sys/index.js'
import { type Contender } from '../support/batches.js'
import { nowNs } from '../support/clock.js'
import type { ReplacementPlan, Touch } from '../support/glibc.js'
import { LIVE_BLOCKS, ReplacementSequence } from '../support/replacement-sequence.js'

/** Room for 100,000 blocks of 16 to 512 bytes, twice: two processes share one heap. */
const HEAP_BYTES = 96 << 20

/** A mapped heap as a connection has it, alone or as one of several members. Owned by whoever makes it. */
export class BenchHeap implements Disposable {
  readonly set: HeapSet
  readonly #mapping: Mapping

  private constructor(readonly fd: number, readonly member: number, byteLength: number) {
    this.#mapping = Mapping.map(fd, HEAPS_BASE, byteLength)
    this.set = new HeapSet((space) => new Heap(this.#mapping.buffer, this.#mapping.address, member, space))
  }

  static create(byteLength = HEAP_BYTES): BenchHeap {
    return new BenchHeap(createMemoryFile('bench', byteLength), 1, byteLength)
  }

  /** The heap whose file another process has open. */
  static join(pid: number, fd: number, member: number): BenchHeap {
    return new BenchHeap(openSync(`/proc/${pid}/fd/${fd}`, 'r+'), member, HEAP_BYTES)
  }

  [Symbol.dispose](): void {
    this.#mapping.unmap()
    closeSync(this.fd)
  }
}

/** 100,000 live blocks, and operations that each free one and allocate another: malloc.c's, on our heap. */
export class Replacement {
  readonly #set: HeapSet
  readonly #sequence: ReplacementSequence
  readonly #blocks = new Int32Array(LIVE_BLOCKS)
  readonly #slots: Uint32Array
  readonly #sizes: Uint16Array

  constructor(set: HeapSet, { seed, operations }: ReplacementPlan) {
    this.#set = set
    this.#sequence = new ReplacementSequence(seed)
    const first = new Uint16Array(LIVE_BLOCKS)
    this.#sequence.drawFirst(first)
    for (let slot = 0; slot < LIVE_BLOCKS; slot++) this.#blocks[slot] = set.allocate(first[slot]!)
    this.#slots = new Uint32Array(operations)
    this.#sizes = new Uint16Array(operations)
  }

  get checksum(): number {
    return this.#sequence.checksum
  }

  /** Draws the operations of the next batch. */
  draw(): void {
    this.#sequence.draw(this.#slots, this.#sizes)
  }

  /** The operations drawn last. */
  replace(touch: Touch): void {
    if (touch === 'write') replaceAndWrite(this.#set, this.#blocks, this.#slots, this.#sizes)
    else replace(this.#set, this.#blocks, this.#slots, this.#sizes)
  }

  freeAll(): void {
    for (const word of this.#blocks) this.#set.free(this.#set.region, word)
    this.#set.collect()
    const { ownedBytes } = this.#set.stats()
    if (ownedBytes !== 0) throw new Error(`${ownedBytes} bytes did not come back`)
  }
}

function replace(set: HeapSet, blocks: Int32Array, slots: Uint32Array, sizes: Uint16Array): void {
  const { region } = set
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i]!
    set.free(region, blocks[slot]!)
    blocks[slot] = set.allocate(sizes[i]!)
  }
}

function replaceAndWrite(set: HeapSet, blocks: Int32Array, slots: Uint32Array, sizes: Uint16Array): void {
  const { region } = set
  const words = region.i32
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i]!
    set.free(region, blocks[slot]!)
    const word = set.allocate(sizes[i]!)
    words[word] = i
    blocks[slot] = word
  }
}

/** As malloc.c does: a fresh heap per batch, filled anew, whose first batch warms up and is not reported. */
export function heapContender(name: string, plan: ReplacementPlan, touch: Touch, checksum: number): Contender {
  return {
    name,
    batch() {
      using heap = BenchHeap.create()
      const replacement = new Replacement(heap.set, plan)
      replacement.draw()
      replacement.replace(touch)
      replacement.draw()
      const start = nowNs()
      replacement.replace(touch)
      const elapsed = nowNs() - start
      if (replacement.checksum !== checksum) throw new Error('our operations are not those of malloc.c')
      replacement.freeAll()
      return Promise.resolve(elapsed / plan.operations)
    },
  }
}
