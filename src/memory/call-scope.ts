import type { ChunkSource } from './page-heap.js'
import type { Allocator, Region } from './region.js'

/** A chunk of a call scope is at least this long, so that small arguments of different sizes reuse each other's. */
const CHUNK_MIN_BYTES = 64
/** A longer chunk is not kept between uses: one large argument must not hold its memory for ever. */
const KEPT_MAX_BYTES = 64 * 1024

/** The memory that an argument lies in, as a request names it to the server. */
export interface ArgumentScope {
  readonly firstRegion: Region
  readonly firstWord: number
  readonly usedBytes: number
  /** Nothing of the argument lies elsewhere: a copy of the used bytes is a copy of the argument. */
  readonly isWhole: boolean
}

/** Where a call scope's chunks come from: the connection's heaps, or its pages for sealed arguments. */
export interface CallMemory extends ChunkSource {
  /** Bytes that a chunk of so many has. */
  usableBytes(byteLength: number): number
  /** Whether objects there may point into the region. */
  owns(region: Region): boolean
}

interface Chunk {
  readonly region: Region
  readonly word: number
  readonly used: number
}

/**
 * The memory of one argument or result that the library builds from a plain value: objects are laid one after the other in
 * a chunk (and further ones, when it is full) and go together. Chunks are kept between uses, so that a call that repeats
 * allocates nothing.
 *
 * Owned by one slot of one side; only {@link reset} and {@link abandon} give the memory back.
 */
export class CallScope implements Allocator, ArgumentScope {
  readonly transient = true
  region: Region
  /** The chunk that is filled now. */
  #word = 0
  #capacity = 0
  #used = 0
  /** The chunks before it, of a value that did not fit into one. */
  readonly #filled: Chunk[] = []
  /** An object in it points to one elsewhere. */
  #pointsOut = false

  constructor(readonly heaps: CallMemory) {
    this.region = heaps.region
  }

  /** Address halves of the first byte of the first chunk: what names the whole scope to the peer. */
  get firstRegion(): Region {
    return this.#filled.length === 0 ? this.region : this.#filled[0]!.region
  }

  get firstWord(): number {
    return this.#filled.length === 0 ? this.#word : this.#filled[0]!.word
  }

  /** Bytes of the first chunk that hold objects. */
  get usedBytes(): number {
    return this.#filled.length === 0 ? this.#used : this.#filled[0]!.used
  }

  /** Bytes of the chunk that is filled now, or kept for the next use. */
  get capacity(): number {
    return this.#capacity
  }

  get isEmpty(): boolean {
    return this.#used === 0 && this.#filled.length === 0
  }

  allocate(byteLength: number): number {
    const bytes = (byteLength + 7) & ~7
    if (this.#used + bytes > this.#capacity) this.#extend(bytes)
    const word = this.#word + (this.#used >>> 2)
    this.#used += bytes
    return word
  }

  /** Objects of a scope go with it. */
  free(): void {}

  /** Asked for each view in a value that is built: what it stands for lies elsewhere. */
  owns(region: Region): boolean {
    this.#pointsOut = true
    return this.heaps.owns(region)
  }

  get isWhole(): boolean {
    return this.#filled.length === 0 && !this.#pointsOut
  }

  /** Forgets the objects; the latest chunk, which is the longest, is kept for the next use, the others are freed. */
  reset(): void {
    this.#used = 0
    this.#pointsOut = false
    if (this.#capacity > KEPT_MAX_BYTES) this.close()
    else if (this.#filled.length > 0) this.#freeFilled()
  }

  /** Frees everything, when the scope's owner ends. */
  close(): void {
    const capacity = this.#capacity
    this.#capacity = 0
    this.#used = 0
    this.#pointsOut = false
    try {
      if (capacity > 0) this.heaps.freeChunk(this.region, this.#word)
    } finally {
      this.#freeFilled()
    }
  }

  /** Bytes of all chunks that hold objects: what a single chunk for the same value needs. */
  get totalBytes(): number {
    return this.#filled.reduce((sum, chunk) => sum + chunk.used, this.#used)
  }

  get isOneChunk(): boolean {
    return this.#filled.length === 0
  }

  /** Builds a value again, in one chunk. */
  rebuild(write: () => void): void {
    const bytes = this.totalBytes
    this.close()
    this.reserve(bytes)
    write()
  }

  /** Makes room for a value of known size in one chunk. The scope must be empty. */
  reserve(byteLength: number): void {
    if (byteLength > this.#capacity) this.#extend(byteLength)
  }

  /** Lets go of the only chunk without freeing it: it belongs to the peer now. */
  detach(): void {
    this.#capacity = 0
    this.#used = 0
  }

  #extend(bytes: number): void {
    // The next chunk of a long value is as long as all before it: few chunks, and at most half of them unused.
    const wanted = Math.max(bytes, CHUNK_MIN_BYTES, this.#capacity * 2)
    if (this.#used > 0) {
      const word = this.heaps.allocateChunk(wanted)
      this.#filled.push({ region: this.region, word: this.#word, used: this.#used })
      this.#adopt(word, wanted)
      return
    }
    if (this.#capacity > 0) this.close()
    this.#adopt(this.heaps.allocateChunk(wanted), wanted)
  }

  #adopt(word: number, wanted: number): void {
    this.region = this.heaps.region
    this.#word = word
    this.#capacity = this.heaps.usableBytes(wanted)
    this.#used = 0
  }

  /** The chunks are forgotten first: one that a peer has freed already throws, and must not be met again. */
  #freeFilled(): void {
    const chunk = this.#filled.pop()
    if (chunk === undefined) return
    try {
      this.heaps.freeChunk(chunk.region, chunk.word)
    } finally {
      this.#freeFilled()
    }
  }
}
