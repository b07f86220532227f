import { fingerprintOf } from './header.js'

/*
 * A heap is one memory file, cut into spans of equal size; its geometry follows from its length alone.
 *
 *   +0        header line (header.ts), geometry = log2 of the span size
 *   +64       directory: 8 bytes a span
 *                 u32 entry   owner member (bits 0-9, 0 = free) | kind (bits 10-16) | REMOTE_FREED (bit 17)
 *                 u32 aux     small and chunk spans: 1 = somebody freed blocks of it remotely; large head: spans in the run
 *   spans     the first ones hold header and directory and are never handed out
 *
 * A small span (kind 1 … 63 = size class, blocks freed one by one; kind 65 … 127 = the same class, blocks used as chunks of
 * call scopes):
 *
 *   +0        u32[n]  allocated bits   written by the owner only
 *   +4n       u32[n]  remote-free bits set by anybody with an atomic OR, taken by the owner with an atomic exchange
 *   …         blocks, from the next multiple of 64
 *
 * All of this is a hint to a process that does not own the span: it is checked before use, and the owner decides by its
 * private copy alone.
 */
export const HEAP_KIND = 0x70616568 // 'heap'
export const DIRECTORY_BYTE = 64
export const DIRECTORY_WORD = DIRECTORY_BYTE >>> 2

export const MEMBER_MASK = 0x3ff
export const MEMBER_MAX = 1023
export const KIND_SHIFT = 10
export const KIND_MASK = 0x7f
export const KIND_CHUNK = 64
export const KIND_LARGE = 64
export const KIND_CONTINUED = 63
export const REMOTE_FREED = 1 << 17

/** Block sizes in bytes: steps of 16 to 128, then four steps a doubling, so that at most a fifth of a block is lost. */
export const CLASS_BYTES: readonly number[] = [
  16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048,
  2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192,
]

export const HEAP_FINGERPRINT = fingerprintOf([
  DIRECTORY_BYTE, MEMBER_MASK, KIND_SHIFT, KIND_MASK, KIND_CHUNK, KIND_LARGE, KIND_CONTINUED, REMOTE_FREED, ...CLASS_BYTES,
])

export interface HeapGeometry {
  readonly spanShift: number
  readonly spanBytes: number
  readonly spanCount: number
  /** The first span that may be handed out. */
  readonly firstSpan: number
  /** Largest block of a small span, in bytes; more takes whole spans. */
  readonly smallMax: number
}

/** Small heaps get small spans, so that a handful of size classes does not use them up. */
export function heapGeometry(byteLength: number): HeapGeometry {
  const spanShift = byteLength < 4 << 20 ? 12 : byteLength < 32 << 20 ? 14 : 16
  const spanBytes = 1 << spanShift
  const spanCount = Math.floor(byteLength / spanBytes)
  return {
    spanShift,
    spanBytes,
    spanCount,
    firstSpan: Math.ceil((DIRECTORY_BYTE + spanCount * 8) / spanBytes),
    smallMax: spanBytes >>> 3,
  }
}

/** Where the blocks of a small span of one class lie, in words from the span's start. */
export interface SpanGeometry {
  readonly blockWords: number
  readonly blockCount: number
  readonly bitWords: number
  readonly firstBlock: number
}

export function spanGeometry(spanBytes: number, blockBytes: number): SpanGeometry {
  // The bitmaps' size depends on the number of blocks and the other way round: start high, it converges in a few steps.
  let blockCount = Math.floor(spanBytes / blockBytes)
  for (;;) {
    const bitWords = Math.ceil(blockCount / 32)
    const firstByte = Math.ceil((bitWords * 8) / 64) * 64
    const fits = Math.floor((spanBytes - firstByte) / blockBytes)
    if (fits >= blockCount) return { blockWords: blockBytes >>> 2, blockCount, bitWords, firstBlock: firstByte >>> 2 }
    blockCount--
  }
}
