import { type Contender } from '../support/batches.js'
import { nowNs } from '../support/clock.js'
import type { ReplacementPlan } from '../support/glibc.js'
import { LIVE_BLOCKS, ReplacementSequence } from '../support/replacement-sequence.js'

/** Room for 100,000 blocks of 16 to 512 bytes, in words. */
const WORDS = (64 << 20) / 4
const PAGE_SHIFT = 14
const PAGE_WORDS = 1 << PAGE_SHIFT
/** Sizes in steps of 32 bytes. */
const CLASSES = 17

// Constants of the module, because V8 writes their addresses into the code: nothing in JavaScript is faster.
const bits = new Int32Array(WORDS >>> 7)
const classOfPage = new Uint8Array(WORDS / PAGE_WORDS)
const stacks = Array.from({ length: CLASSES }, () => new Int32Array(1 << 16))
const tops = new Int32Array(CLASSES)
let pages = 0

function allocate(byteLength: number): number {
  const kind = (byteLength + 31) >>> 5
  if (tops[kind] === 0) claimPage(kind)
  const top = tops[kind]! - 1
  tops[kind] = top
  const word = stacks[kind]![top]!
  bits[word >>> 7]! |= 1 << (word >>> 2)
  return word
}

function free(word: number): void {
  const before = bits[word >>> 7]!
  const after = before & ~(1 << (word >>> 2))
  if (after === before || (word & 3) !== 0) throw new Error(`free of word ${word}, where no block starts`)
  bits[word >>> 7] = after
  const kind = classOfPage[word >>> PAGE_SHIFT]!
  const top = tops[kind]!
  stacks[kind]![top] = word
  tops[kind] = top + 1
}

function claimPage(kind: number): void {
  const first = pages * PAGE_WORDS
  classOfPage[pages++] = kind
  for (let word = first; word + kind * 8 <= first + PAGE_WORDS; word += kind * 8) stacks[kind]![tops[kind]!++] = word
}

/**
 * What is left of an allocator in JavaScript when nothing is shared, one heap is all there is and no memory goes back:
 * a stack of free blocks for each size, and a bit for each block that is live. Frees are checked as ours are.
 */
export function bareContender(name: string, { seed, operations }: ReplacementPlan): Contender {
  return {
    name,
    batch() {
      bits.fill(0)
      tops.fill(0)
      pages = 0
      const sequence = new ReplacementSequence(seed)
      const first = new Uint16Array(LIVE_BLOCKS)
      sequence.drawFirst(first)
      const blocks = new Int32Array(LIVE_BLOCKS)
      for (let slot = 0; slot < LIVE_BLOCKS; slot++) blocks[slot] = allocate(first[slot]!)
      const slots = new Uint32Array(operations)
      const sizes = new Uint16Array(operations)
      let elapsed = 0
      // The first pass warms up.
      for (let pass = 0; pass < 2; pass++) {
        sequence.draw(slots, sizes)
        const start = nowNs()
        replace(blocks, slots, sizes)
        elapsed = nowNs() - start
      }
      return Promise.resolve(elapsed / operations)
    },
  }
}

function replace(blocks: Int32Array, slots: Uint32Array, sizes: Uint16Array): void {
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i]!
    free(blocks[slot]!)
    blocks[slot] = allocate(sizes[i]!)
  }
}
