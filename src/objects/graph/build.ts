import { heapDebug } from '../../memory/heap-debug.js'
import type { Allocator, Region } from '../../memory/region.js'
import { MAX_NESTING } from '../limits.js'
import { tooDeep } from '../problems.js'

/** Where memory comes from: an allocator, or a build that remembers what it took. */
export interface Source {
  readonly region: Region
  allocate(byteLength: number): number
}

/** In the place of a block's word: it was freed already. */
const GONE = -1
/** Blocks for which a finished build keeps its memory. */
const KEPT_BLOCKS = 1024

/** A struct's codec, as a build sees it. */
export interface Fillable {
  readonly name: string
  readonly bytes: number
  fill(build: Build, region: Region, word: number, value: object): void
}

/**
 * The writing of one plain value, with everything it reaches, into shared memory. Remembers each block, so that a value
 * refused half-way leaves nothing behind, and each object behind a ref, so that one reached twice is written once and a
 * cycle ends. Objects behind refs wait in a queue: a long linked list does not use up the stack.
 */
export class Build implements Source {
  region!: Region
  allocator!: Allocator
  #depth = 0
  #filled = 0
  // Only the first `taken` count: emptying an array would give up its memory, which the next build wants again.
  #taken = 0
  readonly #regions: Region[] = []
  readonly #words: number[] = []
  readonly #codecs: Fillable[] = []
  readonly #values: object[] = []
  readonly #blocks: number[] = []
  #seen: Map<Fillable, Map<object, number>> | null = null
  #root: object | null = null
  #rootCodec: Fillable | null = null

  /** A build over the allocator; end it with {@link finish} or {@link undo}. */
  static start(allocator: Allocator): Build {
    const build = spare ?? new Build()
    spare = null
    build.allocator = allocator
    build.region = allocator.region
    return build
  }

  allocate(byteLength: number): number {
    const word = this.allocator.allocate(byteLength)
    this.region = this.allocator.region
    this.#regions[this.#taken] = this.region
    this.#words[this.#taken++] = word
    return word
  }

  /** Frees a block that this build took and needs no more. */
  drop(region: Region, word: number): void {
    let i = this.#taken - 1
    while (i >= 0 && (this.#words[i] !== word || this.#regions[i] !== region)) i--
    if (i < 0) return
    this.#words[i] = GONE
    this.allocator.free(region, word)
  }

  /** Allocates and fills the object that all others are reached from. */
  root(codec: Fillable, value: object): number {
    this.#root = value
    this.#rootCodec = codec
    const word = this.allocate(codec.bytes)
    const region = this.region
    codec.fill(this, region, word, value)
    this.run()
    this.region = region
    return word
  }

  /** Word of the object that a plain value becomes; its region is then {@link region}. It is filled by {@link run}. */
  reach(codec: Fillable, value: object): number {
    if (value === this.#root && codec === this.#rootCodec) {
      this.region = this.#regions[0]!
      return this.#words[0]!
    }
    this.#seen ??= new Map()
    let known = this.#seen.get(codec)
    if (known === undefined) {
      known = new Map()
      this.#seen.set(codec, known)
    }
    const block = known.get(value)
    if (block !== undefined) {
      this.region = this.#regions[block]!
      return this.#words[block]!
    }
    // What lies behind a ref is owned by nobody but whoever made it: forgotten, it is a leak of its own.
    const word = heapDebug === null ? this.allocate(codec.bytes) : heapDebug.making(codec.name, () => this.allocate(codec.bytes))
    const index = this.#taken - 1
    known.set(value, index)
    this.#codecs.push(codec)
    this.#values.push(value)
    this.#blocks.push(index)
    return word
  }

  /** Fills what was reached, and what that reaches in turn. */
  run(): void {
    while (this.#filled < this.#codecs.length) {
      const i = this.#filled++
      const block = this.#blocks[i]!
      this.#codecs[i]!.fill(this, this.#regions[block]!, this.#words[block]!, this.#values[i]!)
    }
  }

  /** One level deeper by value; {@link leave} goes back. */
  enter(where: string): void {
    if (++this.#depth > MAX_NESTING) tooDeep(where, MAX_NESTING)
  }

  leave(): void {
    this.#depth--
  }

  /** The blocks taken so far, for a caller who frees exactly these later. */
  blocks(): Built | undefined {
    return this.#taken === 0 ? undefined : new Built(this.allocator, this.#regions.slice(0, this.#taken), this.#words.slice(0, this.#taken))
  }

  /** What was built is its holder's now. */
  finish(): void {
    if (this.#taken > KEPT_BLOCKS) {
      this.#regions.length = 0
      this.#words.length = 0
    }
    this.#taken = 0
    this.#depth = 0
    this.#filled = 0
    this.#root = null
    if (this.#seen !== null) {
      this.#seen = null
      this.#codecs.length = 0
      this.#values.length = 0
      this.#blocks.length = 0
    }
    keep(this)
  }

  /** Frees everything that was built. */
  undo(): void {
    try {
      for (let i = this.#taken - 1; i >= 0; i--) if (this.#words[i] !== GONE) this.allocator.free(this.#regions[i]!, this.#words[i]!)
    } finally {
      this.finish()
    }
  }
}

/** The blocks of a value that was built, behind refs too; not what it points to by views. */
export class Built {
  readonly #allocator: Allocator
  readonly #regions: readonly Region[]
  readonly #words: readonly number[]

  constructor(allocator: Allocator, regions: readonly Region[], words: readonly number[]) {
    this.#allocator = allocator
    this.#regions = regions
    this.#words = words
  }

  /** Gives all blocks back, once. */
  free(): void {
    for (let i = 0; i < this.#words.length; i++) if (this.#words[i] !== GONE) this.#allocator.free(this.#regions[i]!, this.#words[i]!)
  }
}

// One build is kept for the next: most values need nothing of it but the two arrays.
let spare: Build | null = null

function keep(build: Build): void {
  spare = build
}

/** Runs `work` and what it reached; frees everything again when it throws. */
export function building<R>(allocator: Allocator, work: (build: Build) => R): R {
  const build = Build.start(allocator)
  let result: R
  try {
    result = work(build)
    build.run()
  } catch (error) {
    build.undo()
    throw error
  }
  build.finish()
  return result
}
