import type { Allocator, Region } from '../memory/region.js'
import { building, type Built } from './graph/build.js'
import { codecOf, freeGathered, type AnyType, type Codec } from './codec.js'
import { Copier } from './graph/copier.js'
import { describe } from './schema/describe.js'
import { NothingCodec } from './scalar/nothing.js'
import { ScalarCodec } from './scalar/scalars.js'
import { StructCodec } from './struct/struct.js'
import { freePointer } from './text/write.js'
import { asView, REGION, WORD, type Located } from './view.js'

const CELL_BYTES = 8

/**
 * The 8-byte form of a type's values, as argument or result of a call: scalars and short texts in the cell itself, a pointer
 * for everything else. Every type has one; `cellOf(type)` gives it.
 */
export interface Cell {
  /** No pointer can occur in it: there is never anything to free or to check. */
  readonly isImmediate: boolean

  /** A value of the type can hold refs, and so a plain one can bring objects along that nothing owns. */
  readonly reachesRefs: boolean

  /**
   * Writes a value's cell to `out[index]` and `out[index + 1]`. A view is passed as the pointer to it, and stays its owner's;
   * a plain value is built in the allocator's memory.
   * @returns whether memory was taken: it is the caller's, and {@link free} gives it back. Where {@link reachesRefs}, use
   * {@link writeTracked} instead: what was built behind refs cannot be told from what a view in the value points to.
   * @throws RpcError INVALID_ARGUMENT for a value of the wrong type, or a view that the allocator's peers cannot reach.
   */
  write(allocator: Allocator, value: unknown, out: Int32Array, index: number): boolean

  /**
   * The value of a cell, whose two words the caller has copied to private memory.
   * @throws WildPointerError when the pointer leads outside the region or to something else; null is a value of ref only.
   */
  read(region: Region, lo: number, hi: number): unknown

  /** As {@link write}; returns the blocks that were taken, behind refs too. */
  writeTracked(allocator: Allocator, value: unknown, out: Int32Array, index: number): Built | undefined

  /** Frees what {@link write} took, with everything it owns; what its refs point to stays. */
  free(allocator: Allocator, region: Region, lo: number, hi: number): void

  /**
   * The value of a cell as a copy in the allocator's memory, with everything that it owns or points to; sharing and cycles are
   * kept. The copy is the caller's.
   * @param maxNodes objects and elements after which it gives up with RESOURCE_EXHAUSTED.
   */
  copy(allocator: Allocator, region: Region, lo: number, hi: number, maxNodes: number): unknown
}

/** Scalars and nothing. */
class ImmediateCell implements Cell {
  readonly isImmediate = true
  readonly reachesRefs = false
  readonly #codec: ScalarCodec | NothingCodec
  readonly #where: string

  constructor(codec: ScalarCodec | NothingCodec, where: string) {
    this.#codec = codec
    this.#where = where
  }

  write(_allocator: Allocator, value: unknown, out: Int32Array, index: number): boolean {
    return this.#codec.writeCell(null, value, out, index, this.#where)
  }

  writeTracked(allocator: Allocator, value: unknown, out: Int32Array, index: number): undefined {
    this.write(allocator, value, out, index)
  }

  read(region: Region, lo: number, hi: number): unknown {
    return this.#codec.readCell(region, lo, hi)
  }

  free(): void {}

  copy(_allocator: Allocator, region: Region, lo: number, hi: number): unknown {
    return this.read(region, lo, hi)
  }
}

class OwnedCell implements Cell {
  readonly isImmediate = false
  readonly reachesRefs: boolean
  protected readonly codec: Codec
  protected readonly where: string

  constructor(codec: Codec, where: string) {
    this.codec = codec
    this.where = where
    this.reachesRefs = reachesRefs(codec.type)
  }

  write(allocator: Allocator, value: unknown, out: Int32Array, index: number): boolean {
    return building(allocator, (build) => this.codec.writeCell(build, value, out, index, this.where))
  }

  writeTracked(allocator: Allocator, value: unknown, out: Int32Array, index: number): Built | undefined {
    return building(allocator, (build) => {
      this.codec.writeCell(build, value, out, index, this.where)
      build.run()
      return build.blocks()
    })
  }

  read(region: Region, lo: number, hi: number): unknown {
    return this.codec.readCell(region, lo, hi)
  }

  free(allocator: Allocator, region: Region, lo: number, hi: number): void {
    freeGathered(allocator, false, (gather) => this.codec.gatherCell(gather, region, lo, hi))
  }

  copy(allocator: Allocator, region: Region, lo: number, hi: number, maxNodes: number): unknown {
    const copier = new Copier(allocator, { maxNodes })
    try {
      const at = copier.allocate(CELL_BYTES)
      const home = copier.region
      this.copyRoot(copier, region, lo, hi, home, at)
      copier.run()
      return this.codec.readCell(home, home.i32[at]!, home.i32[at + 1]!)
    } catch (error) {
      copier.undo()
      throw error
    }
  }

  protected copyRoot(copier: Copier, region: Region, lo: number, hi: number, to: Region, at: number): void {
    this.codec.copyCell(copier, region, lo, hi, to, at)
  }
}

class StructCell extends OwnedCell {
  readonly #struct: StructCodec

  constructor(codec: StructCodec, where: string) {
    super(codec, where)
    this.#struct = codec
  }

  override write(allocator: Allocator, value: unknown, out: Int32Array, index: number): boolean {
    const view = asView(value)
    if (view !== undefined) {
      this.#struct.point(allocator, null, view, out, index, this.where)
      return false
    }
    const made = this.#struct.create(allocator, value) as Located
    out[index] = made[REGION].lowOf(made[WORD])
    out[index + 1] = made[REGION].high
    return true
  }

  override writeTracked(allocator: Allocator, value: unknown, out: Int32Array, index: number): Built | undefined {
    if (asView(value) === undefined) return building(allocator, (build) => this.#struct.buildRoot(build, value, out, index))
    this.write(allocator, value, out, index)
    return undefined
  }

  /** Refs may lead back to the root. */
  protected override copyRoot(copier: Copier, region: Region, lo: number, hi: number, to: Region, at: number): void {
    const word = copier.copyOf(this.#struct, region, lo, hi)
    copier.point(to, at, copier.region, word)
  }

  override free(allocator: Allocator, region: Region, lo: number, hi: number): void {
    if (this.#struct.ownsMemory) super.free(allocator, region, lo, hi)
    else freePointer(allocator, region, lo, hi)
  }
}

/** The cell form of a type; `where` names the place in messages, such as `publish (argument)`. Make it once, not per call. */
export function cellOf(type: AnyType, where: string = type.label): Cell {
  const codec = codecOf(type)
  if (codec instanceof ScalarCodec || codec instanceof NothingCodec) return new ImmediateCell(codec, where)
  return codec instanceof StructCodec ? new StructCell(codec, where) : new OwnedCell(codec, where)
}

function reachesRefs(type: AnyType): boolean {
  return JSON.stringify(describe(type)).includes('["ref",')
}
