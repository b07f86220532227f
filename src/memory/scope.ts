import { RpcError, SealedError } from '../base/errors.js'
import { PAGE_BYTES, roundUp, type Address } from '../base/numbers.js'
import type { ArgumentScope } from './call-scope.js'
import type { ChunkSource } from './page-heap.js'
import { Region, type RegionScope } from './region.js'

/** A scope is the unit of one call's argument: what is larger belongs into a heap of its own. */
export const SCOPE_BYTES_MAX = 1 << 30
/** Blocks are told apart by multiples of 8 bytes. */
const GRAIN_SHIFT = 3
const FIRST_GRAINS = 64
const LOOP_GRAINS = 32
/** Destroyed scopes whose books and region serve the next ones: a region costs more to make than a small scope to fill. */
const SPARE_MAX = 16

/** Whole pages inside a connection's heaps. */
export interface PageRange {
  readonly address: Address
  readonly byteLength: number
}

/** Of what stands for a scope: the region of its pages. */
export const SCOPE_REGION: unique symbol = Symbol('rpcool.scopeRegion')

/** Bytes of a scope that is to hold so many: whole pages. Throws for what is no size. */
export function scopeBytes(byteLength: number): number {
  if (!Number.isSafeInteger(byteLength) || byteLength <= 0 || byteLength > SCOPE_BYTES_MAX) {
    throw new RpcError('INVALID_ARGUMENT', `a scope has 1 to ${SCOPE_BYTES_MAX} bytes, not ${String(byteLength)}`)
  }
  return roundUp(byteLength, PAGE_BYTES)
}

/**
 * Contiguous pages inside a connection's heap with an allocator of their own (paper, 5.1): the argument of a call, which can
 * be copied or sealed as a whole. Objects in it point only to each other.
 *
 * Blocks are laid one after the other; a freed one is used again for the same size, and all of them go by {@link reset}.
 * Everything that decides is private to this isolate: nothing of a scope's book-keeping lies in shared memory.
 */
export class Scope implements ArgumentScope, RegionScope, PageRange {
  readonly transient = true
  readonly region: Region
  /** Index + 1 of the descriptor of its seal, from before the seal is asked for until after its release; 0 = not sealed. */
  seal = 0
  /** Who sealed it, and releases its seal when it is needed; null: nobody but its pool. */
  sealer: ScopeSealer | null = null
  readonly byteLength: number
  readonly #owner: ScopeOwner
  #used = 0
  #live = 0
  /** Grain → bytes of the live block that starts there, or 0. Grows with what is used. */
  #sizes = new Uint32Array(FIRST_GRAINS)
  /** Bytes → words of freed blocks of that size; null as long as nothing was freed. */
  #freed: Map<number, number[]> | null = null

  /** @internal Over `byteLength` bytes of a heap's memory, whole pages, from `word` on. Ended by {@link destroy}. */
  constructor(heap: Region, word: number, byteLength: number, owner: ScopeOwner) {
    this.byteLength = byteLength
    this.#owner = owner
    const region = Region.within(heap, heap.space)
    region.aim(word, byteLength >>> 2, heap.high, heap.lowOf(word))
    region.allocator = this
    region.scope = this
    this.region = region
  }

  get firstRegion(): Region {
    return this.region
  }

  get firstWord(): number {
    return this.region.shift
  }

  /** Its objects point to each other only. */
  get isWhole(): boolean {
    return true
  }

  get [SCOPE_REGION](): Region {
    return this.region
  }

  /** Native address of its first page. */
  get address(): Address {
    return this.region.addressOf(this.region.shift)
  }

  /** Bytes from its start that hold, or held, objects: what a receiver copies. */
  get usedBytes(): number {
    return this.#used
  }

  /** Whether everybody's hands are off: nothing can be allocated, freed or reset. */
  get sealed(): boolean {
    return this.seal !== 0
  }

  /** Objects and parts of objects that are live. */
  get liveBlocks(): number {
    return this.#live
  }

  allocate(byteLength: number): number {
    if (this.seal !== 0 || this.region.words === 0) this.unseal('allocate in')
    const bytes = (byteLength + 7) & ~7
    if (this.#freed !== null) {
      const word = this.#freed.get(bytes)?.pop()
      if (word !== undefined) return this.#take(word, bytes)
    }
    const used = this.#used
    if (!(bytes <= this.byteLength - used)) this.#full(byteLength)
    this.#used = used + bytes
    return this.#take(this.region.shift + (used >>> 2), bytes)
  }

  free(region: Region, word: number): void {
    if (this.seal !== 0 || this.region.words === 0) this.unseal('free in')
    const grain = (word - this.region.shift) >> (GRAIN_SHIFT - 2)
    const bytes = this.#sizes[grain] ?? 0
    if (region !== this.region || bytes === 0 || (word & 1) !== 0) {
      throw new RpcError('INVALID_ARGUMENT',
        `free of 0x${region.addressOf(word).toString(16)}, which is not the start of a live block of this scope`)
    }
    this.#sizes[grain] = 0
    if (--this.#live === 0) {
      this.#forget()
      return
    }
    this.#freed ??= new Map()
    const words = this.#freed.get(bytes)
    if (words === undefined) this.#freed.set(bytes, [word])
    else words.push(word)
  }

  /** A scope is self-contained: what lies elsewhere is copied into it first. */
  owns(region: Region): boolean {
    return region === this.region
  }

  /** Loses every object in the scope, whose memory is used anew. Views of them must not be used any more. */
  reset(): void {
    if (this.seal !== 0 || this.region.words === 0) this.unseal('reset')
    this.#forget()
  }

  /** Loses the objects and gives the pages back to whom they came from. Idempotent. */
  destroy(): void {
    if (this.region.words === 0) return
    if (this.seal !== 0 && !(this.#owner.takesSealed && this.sealer?.isInFlight(this) !== true)) this.unseal('destroy')
    this.#forget()
    this.#owner.takeBack(this)
  }

  /** @internal Its pages are given up: views of its objects refuse writes until {@link released}. */
  sealedBy(sealer: ScopeSealer, seal: number): void {
    this.seal = seal
    this.sealer = sealer
    this.region.readOnly = true
  }

  /** @internal Its pages can be written again. */
  released(): void {
    this.seal = 0
    this.sealer = null
    this.region.readOnly = false
  }

  /** Gets write access back when the call is answered. @throws SealedError while it is in flight. */
  unseal(what: string): void {
    if (this.seal !== 0 && this.sealer !== null && !this.sealer.isInFlight(this)) this.sealer.unseal(this)
    else this.#refuse(what)
  }

  /** @internal Serves again, over other pages of the same heap and the same length. */
  reopen(heap: Region, word: number): void {
    this.region.aim(word, this.byteLength >>> 2, heap.high, heap.lowOf(word))
  }

  /** @internal The pages are gone: every later use is an error. */
  end(): void {
    this.region.words = 0
  }

  get isDestroyed(): boolean {
    return this.region.words === 0
  }

  #take(word: number, bytes: number): number {
    const grain = (word - this.region.shift) >> (GRAIN_SHIFT - 2)
    if (grain >= this.#sizes.length) this.#grow(grain)
    this.#sizes[grain] = bytes
    this.#live++
    return word
  }

  #forget(): void {
    const sizes = this.#sizes
    const grains = Math.min(sizes.length, this.#used >>> GRAIN_SHIFT)
    // For few, a loop is faster than the call of a built-in.
    if (grains > LOOP_GRAINS) sizes.fill(0, 0, grains)
    else for (let i = 0; i < grains; i++) sizes[i] = 0
    this.#used = 0
    this.#live = 0
    this.#freed = null
  }

  #grow(grain: number): void {
    const sizes = new Uint32Array(Math.min(this.byteLength >>> GRAIN_SHIFT, Math.max(grain + 1, this.#sizes.length * 4)))
    sizes.set(this.#sizes)
    this.#sizes = sizes
  }

  #refuse(what: string): never {
    if (this.seal !== 0) throw new SealedError(`cannot ${what} a scope that is sealed: its call is in flight, or its seal not yet released`)
    throw new RpcError('FAILED_PRECONDITION', `cannot ${what} a scope that was destroyed`)
  }

  #full(byteLength: number): never {
    throw new RpcError('RESOURCE_EXHAUSTED',
      `no room for ${byteLength} bytes in a scope of ${this.byteLength}, of which ${this.#used} are used: reset it, or create a larger one`)
  }
}

/** Who seals scopes for calls. */
export interface ScopeSealer {
  /** Whether the scope's call is not answered yet. */
  isInFlight(scope: Scope): boolean
  /** Releases its seal now. @throws RpcError when that is refused. */
  unseal(scope: Scope): void
}

/** Where a scope's pages go back to. */
export interface ScopeOwner {
  /** Whether it releases a seal by itself. */
  readonly takesSealed: boolean
  takeBack(scope: Scope): void
}

/** The scopes that a connection's heaps lend one by one. */
export class HeapScopes implements ScopeOwner {
  readonly takesSealed = false
  readonly #heaps: ChunkSource
  readonly #spare: Scope[] = []

  constructor(heaps: ChunkSource) {
    this.#heaps = heaps
  }

  /** A scope of whole pages that hold `byteLength` bytes; the caller destroys it. */
  create(byteLength: number): Scope {
    const bytes = scopeBytes(byteLength)
    const word = this.#heaps.allocateChunk(bytes)
    const heap = this.#heaps.region
    const spare = this.#spare.at(-1)
    if (spare === undefined || spare.byteLength !== bytes || spare.region.i32 !== heap.i32) return new Scope(heap, word, bytes, this)
    this.#spare.pop()
    spare.reopen(heap, word)
    return spare
  }

  takeBack(scope: Scope): void {
    const { region } = scope
    const { shift, space } = region
    scope.end()
    this.#heaps.freeChunk(space?.locate(region.high, region.low, 8) ?? region, shift)
    if (this.#spare.length < SPARE_MAX) this.#spare.push(scope)
  }
}
