import { fingerprintOf } from './header.js'

/*
 * A heap is one memory file, cut into spans of equal size; its geometry follows from its length alone.
 *
 *   +0          header line (header.ts), geometry = log2 of the span size
 *   +20         u32 word index of the latest shape of json made here, which names the one before it (json-layout.ts); 0 = none
 *   +64         directory: 8 bytes a span
 *                   u32 entry   owner member (bits 0-9, 0 = free) | kind (bits 10-16) | REMOTE_FREED (bit 17)
 *                   u32 aux     small spans: 1 = somebody freed blocks of it remotely; large head: spans in the run
 *   allocated   a bit for each 16 bytes of the heap, set while a block that starts there is allocated   written by the owner only
 *   freed       the same bits: set when somebody but the owner frees the block, by an atomic OR, and taken by the owner with
 *               an atomic exchange
 *   spans       the first ones hold all of the above and are never handed out
 *
 * Kinds: 1 … 60 = a small span, cut into blocks of one size class from its first byte; LARGE and CONTINUED = the first and
 * the further spans of one large block; each also with KIND_CHUNK: the block holds many objects of a call scope, which are
 * not freed one by one.
 *
 * A span's bits are its row. All of this is a hint to a process that does not own the span: it is checked before use, and the
 * owner decides by its private copy alone.
 */
export const HEAP_KIND = 0x70616568 // 'heap'
/** Word of the header line where the list of shapes begins. */
export const SHAPES_WORD = 5

/**
 * Bytes of a connection's heap unless it asks otherwise. Below what V8 takes for so much new memory that it collects at once (see
 * native/memory.cc).
 */
export const HEAP_BYTES_DEFAULT = 32 << 20

/** Where the directory starts. */
export const enum Directory {
  BYTE = 64,
  WORD = 16,
}

/** Bits of a span's entry in the directory. */
export const enum Entry {
  MEMBER_MASK = 0x3ff,
  KIND_SHIFT = 10,
  KIND_MASK = 0x7f,
  REMOTE_FREED = 1 << 17,
}

/** Kinds of spans beside the size classes. */
export const enum Kind {
  LARGE = 62,
  CONTINUED = 63,
  /** Added to another kind. */
  CHUNK = 64,
}

/** Member numbers start at 1 and have ten bits; 0 marks a span that is free. */
export const MEMBER_MAX = 1023

/**
 * Block sizes in bytes: steps of 16 to 128, of 32 to 1024, then eight steps a doubling, so that beyond 256 at most a ninth of a
 * block is lost. JSON documents of some hundred bytes are what fills heaps: steps of 64 from 512 on cost NoBench 2 % of its memory.
 */
export const CLASS_BYTES: readonly number[] = [
  16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448, 480, 512, 544, 576, 608, 640, 672, 704,
  736, 768, 800, 832, 864, 896, 928, 960, 992, 1024, 1152, 1280, 1408, 1536, 1664, 1792, 1920, 2048, 2304, 2560, 2816, 3072,
  3328, 3584, 3840, 4096, 4608, 5120, 5632, 6144, 6656, 7168, 7680, 8192,
]

const LINE_WORDS = 16
/** Each bit of a row stands for so many bytes: the least block, whose multiples all blocks are. */
const BIT_BYTES = CLASS_BYTES[0]!

export const HEAP_FINGERPRINT = fingerprintOf([
  SHAPES_WORD, Directory.BYTE, Entry.MEMBER_MASK, Entry.KIND_SHIFT, Entry.KIND_MASK, Kind.CHUNK, Kind.LARGE, Kind.CONTINUED, Entry.REMOTE_FREED, BIT_BYTES, ...CLASS_BYTES,
])

export interface HeapGeometry {
  readonly spanShift: number
  readonly spanBytes: number
  readonly spanCount: number
  /** The first span that may be handed out. */
  readonly firstSpan: number
  /** Largest block of a small span, in bytes; more takes whole spans. */
  readonly smallMax: number
  /** Words of one span's row of bits. */
  readonly rowWords: number
  /** Word indices of the rows of span 0. */
  readonly allocatedWord: number
  readonly freedWord: number
}

/** Small heaps get small spans, so that a handful of size classes does not use them up. */
export function heapGeometry(byteLength: number): HeapGeometry {
  const spanShift = byteLength < 4 << 20 ? 12 : byteLength < 32 << 20 ? 14 : 16
  const spanBytes = 1 << spanShift
  const spanCount = Math.floor(byteLength / spanBytes)
  const rowWords = spanBytes / BIT_BYTES / 32
  const allocatedWord = Math.ceil((Directory.WORD + spanCount * 2) / LINE_WORDS) * LINE_WORDS
  const freedWord = allocatedWord + spanCount * rowWords
  return {
    spanShift,
    spanBytes,
    spanCount,
    firstSpan: Math.ceil(((freedWord + spanCount * rowWords) * 4) / spanBytes),
    smallMax: spanBytes >>> 3,
    rowWords,
    allocatedWord,
    freedWord,
  }
}

/** Kind of the span for a small block, by the block's size in steps of 16 bytes, rounded up. */
export const KIND_BY_SIXTEENTH: Uint8Array = (() => {
  const table = new Uint8Array((CLASS_BYTES.at(-1)! >>> 4) + 1)
  for (let step = 0, index = 0; step < table.length; step++) {
    while (CLASS_BYTES[index]! < step * 16) index++
    table[step] = index + 1
  }
  return table
})()
