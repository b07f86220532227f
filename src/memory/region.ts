import { WildPointerError } from '../base/errors.js'
import { addressHigh, addressLow, makeAddress, type Address } from '../base/numbers.js'

/**
 * Where a pointer that leaves its region is looked up: the other heaps of the same connection.
 * Private to one isolate; nothing of it lies in shared memory.
 */
export interface RegionSpace {
  /** The region that holds `byteLength` bytes at the address, or undefined. */
  locate(high: number, low: number, byteLength: number): Region | undefined

  /** Bytes of all that {@link locate} finds, where it is more than one region's. */
  readonly byteLength?: number
}

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

  /**
   * As {@link free}, of a block of a value that was overwritten and of which there may be views: its memory is used again when the event loop's
   * turn is over, at the earliest. Without this method it is freed at once.
   */
  retire?(region: Region, word: number): void

  /** Whether objects may point from this allocator's memory into the region, that is whether they share a connection. */
  owns(region: Region): boolean

  /** Whether a live object's block starts at a word, whoever made it; the shared bits say so, which a peer may have written. */
  startsBlock?(region: Region, word: number): boolean

  /** What lies in it goes together and soon: nothing that is to stay, such as a shape of json, may be put there. */
  readonly transient?: boolean

  /** Where the list of shapes that all members of its heap share begins. */
  readonly shapesPlace?: ShapesPlace

  /** The largest block, in bytes, that is not rounded up to much more than its size. */
  readonly smallMax?: number
}

/** See {@link Allocator.retire}. */
export function retireBlock(allocator: Allocator, region: Region, word: number): void {
  if (allocator.retire === undefined) allocator.free(region, word)
  else allocator.retire(region, word)
}

/** A word of a heap: the index of a shape in the same region, or 0. */
export interface ShapesPlace {
  readonly region: Region
  readonly word: number
}

/** What the calls layer must know of a scope whose object is passed: which bytes are the argument. */
export interface RegionScope extends Allocator {
  readonly firstRegion: Region
  readonly firstWord: number
  readonly usedBytes: number
  readonly isWhole: boolean
  readonly sealed: boolean
  /** It is to be written again: its seal is released, or a SealedError thrown while its call is in flight. `what` says what for. */
  unseal(what: string): void
}

/** What freed memory holds in the debug mode: no address has it as its upper half. */
export const POISON = 0xdead_f4ee | 0

/** One member of a heap as the holder of locks in it: its number, and what it knows of the others. */
export interface Membership {
  readonly member: number
  /** Whether a member has died or left. */
  isGone(member: number): boolean
  /** Lets this isolate hear of deaths although it waits without turning its event loop. */
  attend(): void
  /** Asks about a member that this one waits for: one that died before this one came was never told of. `attend` hears the answer. */
  inquire(about: number): void
}

/** How many pointers may be followed before a walk is taken for endless, where nobody set another budget. */
export const DEFAULT_BUDGET = 0x3fff_ffff

/**
 * Reading so many words of a text or block of bytes counts as much as following a pointer: it takes about as long. Who reads each of them once
 * spends a small part of what the size of the memory allows.
 */
export const POINTER_WORDS = 64

/** {@link Region.shapes} has 2^11 entries of two words. */
export const SHAPE_BITS = 11

// Never written: a region that meets a shape gets a table of its own.
const NO_SHAPES = new Int32Array(2 << SHAPE_BITS)

/**
 * A byte range that code is allowed to touch, and the buffer behind it. Every view resolves its pointers through one.
 *
 * Pointers are native 64-bit addresses; a region holds base address, length and buffer, so that the same pointer resolves
 * over the heap itself, over a private copy of it, or over a narrowed range. Positions inside the buffer are counted in
 * 32-bit words ("word index"), which stay small integers for heaps up to 4 GiB.
 *
 * Checking a pointer (lo, hi) to an object of n words is
 *
 *     k = (lo - region.low) >>> 2;   inside when hi === region.high && k <= region.words - n;   position = k + region.shift
 *
 * The fields are read by generated code; they are never `undefined` and never change their representation.
 */
export class Region {
  declare readonly i8: Int8Array
  declare readonly u8: Uint8Array
  declare readonly i16: Int16Array
  declare readonly u16: Uint16Array
  declare readonly i32: Int32Array
  declare readonly f32: Float32Array
  declare readonly f64: Float64Array
  /** Upper 32 bits of every address in the region. */
  high: number
  /** Lower 32 bits of the region's first address, as a signed number. */
  low: number
  /** Length of the region in words. */
  words: number
  /** Word index in the buffer of the region's first byte. */
  shift: number
  /** Pointers that may still be followed. Counted down by every view. */
  budget: number
  /** What {@link budget} is set to by {@link refill}. */
  allowance: number
  /** Whether an exhausted budget refills itself: true for one's own data, false for a peer's. */
  endless: boolean
  /** Writes through views are refused. */
  readOnly: boolean
  /** No other process has this memory: what it holds does not change, and may be looked at in place. */
  isPrivate: boolean
  declare readonly space: RegionSpace | null
  /** Where assignments through views find memory for new texts and lists, and free old ones; null refuses them. */
  declare allocator: Allocator | null
  /** As which member of the heap this isolate takes locks there; null where it is no member. */
  declare membership: Membership | null
  /** The scope whose memory this is, when it is one's own. */
  declare scope: RegionScope | null
  /**
   * For the layer above: which shapes of json lie in this region's 4 GiB, as read and checked by this process. An entry is
   * { address lo, number of the shape }, at (lo * shapeFactor, modulo 2^32) >>> 32 - SHAPE_BITS. A cache: zeros at first.
   */
  declare shapes: Int32Array
  shapeFactor: number

  /**
   * A region over all of `buffer`, whose first byte has the given address. The buffer stays its owner's; when it is detached
   * every read through the region gives zero. Over another region's memory: {@link Region.within}.
   */
  constructor(buffer: ArrayBuffer | Region, address: Address, space: RegionSpace | null = null) {
    const arrays = buffer instanceof Region ? buffer : arraysOver(buffer)
    // Not enumerable: a view leads here, and whoever compares or prints views must not go through all of memory.
    hide(this, 'i8', arrays.i8)
    hide(this, 'u8', arrays.u8)
    hide(this, 'i16', arrays.i16)
    hide(this, 'u16', arrays.u16)
    hide(this, 'i32', arrays.i32)
    hide(this, 'f32', arrays.f32)
    hide(this, 'f64', arrays.f64)
    this.high = addressHigh(address)
    this.low = addressLow(address) | 0
    this.words = arrays.i32.length
    this.shift = 0
    this.budget = DEFAULT_BUDGET
    this.allowance = DEFAULT_BUDGET
    this.endless = true
    this.readOnly = false
    this.isPrivate = false
    hide(this, 'space', space)
    hide(this, 'allocator', null)
    hide(this, 'membership', null)
    hide(this, 'shapes', NO_SHAPES)
    this.shapeFactor = 0x9e37_79b1 | 0
    hide(this, 'scope', null)
  }

  /**
   * Another region over the same memory, for now of no length: {@link aim} gives it a range. Regions are slow to make, all
   * alike to generated code, and meant to be aimed again and again.
   */
  static within(whole: Region, space: RegionSpace | null = null): Region {
    const region = new Region(whole, makeAddress(whole.high, whole.low), space)
    region.words = 0
    return region
  }

  /** Narrows the region to `words` words of its buffer from `word` on, the first of which has the address (high, low). */
  aim(word: number, words: number, high: number, low: number): void {
    this.high = high
    this.low = low
    this.words = words
    this.shift = word
  }

  /** The region itself; of one that stands for another for a while, that one: what regions are compared by. */
  get origin(): Region {
    return this
  }

  /** Whether it is read-only because it is only looked at: by `read` of something shared. */
  get isLook(): boolean {
    return false
  }

  /** Address of a word of the buffer. */
  addressOf(word: number): Address {
    return makeAddress(this.high, this.lowOf(word) >>> 0)
  }

  /** Lower half, signed, of the address of a word of the buffer: what is stored in a pointer's first word. */
  lowOf(word: number): number {
    return (this.low + (word - this.shift) * 4) | 0
  }

  /** Word index of `words` words at (high, low), or -1 when they do not lie inside this region. */
  resolve(high: number, low: number, words: number): number {
    const k = (low - this.low) >>> 2
    return high === this.high && k <= this.words - words ? k + this.shift : -1
  }

  /** Starts a fresh budget, at the start of a call or walk. */
  refill(): void {
    this.budget = this.allowance
  }

  /** Called by views when {@link budget} has run out. */
  spent(): void {
    if (this.endless) {
      this.budget = this.allowance
      return
    }
    this.budget = 0
    throw new WildPointerError(
      `more than ${this.allowance} pointers were followed in one call, or one run of a sandbox, or as much read in long texts and bytes: the data is cyclic, or walked again and again; ` +
      'only the limit of a sandbox can be raised: sandbox.run(range, variables, fn, { maxPointers })')
  }
}

type Arrays = Pick<Region, 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'f32' | 'f64'>

function arraysOver(buffer: ArrayBuffer): Arrays {
  return {
    i8: new Int8Array(buffer),
    u8: new Uint8Array(buffer),
    i16: new Int16Array(buffer),
    u16: new Uint16Array(buffer),
    i32: new Int32Array(buffer),
    f32: new Float32Array(buffer),
    f64: new Float64Array(buffer),
  }
}

function hide<K extends keyof Region>(region: Region, key: K, value: Region[K]): void {
  Object.defineProperty(region, key, { value, writable: true })
}

/** The region that holds `words` words at (high, low): this one or another of its space. Throws WildPointerError. */
export function locate(region: Region, high: number, low: number, words: number): Region {
  if (region.resolve(high, low, words) >= 0) return region
  const other = region.space?.locate(high, low, words * 4)
  if (other === undefined) {
    if (high === POISON && low === POISON) throw new WildPointerError('a pointer in memory that was freed (RPCOOL_DEBUG=heap has marked it)')
    throw new WildPointerError(
      `a pointer to 0x${makeAddress(high >>> 0, low >>> 0).toString(16)} (${words * 4} bytes) leads outside the region`)
  }
  return other
}
