import assert from 'node:assert/strict'
import { HEAPS_BASE } from '../../src/sys/index.js'
import { Heap, type HeapStats } from '../../src/memory/index.js'
import { RpcError, type StatusName } from '../../src/base/errors.js'

export const KIB = 1024
export const MIB = 1024 * 1024

/** A member of a heap in private memory: what the allocator does is the same as over a mapped file. */
export function member(buffer: ArrayBuffer, number = 1): Heap {
  return new Heap(buffer, HEAPS_BASE, number)
}

/** xorshift32: a failing seed can be run again. */
export class Draw {
  #state: number

  constructor(seed: number) {
    this.#state = seed === 0 ? 1 : seed | 0
  }

  /** 0 … below - 1 */
  below(limit: number): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return (x >>> 0) % limit
  }

  bits(): number {
    this.below(1)
    return this.#state
  }
}

export function hasCode(code: StatusName): (error: unknown) => boolean {
  return (error) => RpcError.is(error) && error.code === code
}

/** Runs `action`; answers the code of the RpcError it throws. Anything else that it throws is a failure. */
export function codeOf(action: () => void): StatusName | undefined {
  try {
    action()
    return undefined
  } catch (error) {
    if (RpcError.is(error)) return error.code
    throw error
  }
}

export interface Block {
  readonly word: number
  readonly byteLength: number
  readonly chunk: boolean
}

/** Which words of a heap its honest users hold: no two live blocks may share one. */
export class Model {
  readonly blocks: Block[] = []
  readonly #taken: Uint8Array

  constructor(readonly heapWords: number, readonly firstWord: number) {
    this.#taken = new Uint8Array(heapWords)
  }

  static of(heap: Heap): Model {
    return new Model(heap.region.words, (heap.geometry.firstSpan * heap.geometry.spanBytes) / 4)
  }

  add(word: number, byteLength: number, chunk = false): Block {
    const words = Math.ceil(byteLength / 4)
    assert.equal((word * 4) % 8, 0, 'blocks start at multiples of 8')
    assert.ok(word >= this.firstWord && word + words <= this.heapWords, `block ${word} lies inside the heap, behind its tables`)
    for (let at = word; at < word + words; at++) if (this.#taken[at] !== 0) assert.fail(`word ${at} belongs to two live blocks`)
    this.#taken.fill(1, word, word + words)
    const block = { word, byteLength, chunk }
    this.blocks.push(block)
    return block
  }

  /** Forgets the block at a place in {@link blocks}, and answers it. */
  remove(index: number): Block {
    const block = this.blocks[index]!
    this.blocks[index] = this.blocks.at(-1)!
    this.blocks.pop()
    this.#taken.fill(0, block.word, block.word + Math.ceil(block.byteLength / 4))
    return block
  }
}

export function free(heap: Heap, block: Block): void {
  if (block.chunk) heap.freeChunk(block.word)
  else heap.free(heap.region, block.word)
}

/** Sizes as programs ask for them: mostly small, now and then a page, seldom whole spans. */
export function someSize(draw: Draw, largest: number): number {
  const kind = draw.below(100)
  if (kind < 70) return 1 + draw.below(256)
  if (kind < 95) return 1 + draw.below(8 * KIB)
  return 1 + draw.below(largest)
}

/** Nothing is owned any more: everything that was allocated has come back. */
export function assertEmpty(heap: Heap): void {
  heap.collect()
  const { ownedBytes, liveBytes, liveBlocks }: HeapStats = heap.stats()
  assert.deepEqual({ ownedBytes, liveBytes, liveBlocks }, { ownedBytes: 0, liveBytes: 0, liveBlocks: 0 })
}

/** Bytes that a heap of this length can hand out. */
export function capacity(heap: Heap): number {
  return (heap.geometry.spanCount - heap.geometry.firstSpan) * heap.geometry.spanBytes
}
