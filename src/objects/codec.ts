import type { Allocator, Region } from '../memory/region.js'
import { locate } from '../memory/region.js'
import type { Build } from './graph/build.js'
import { building } from './graph/build.js'
import type { Copier } from './graph/copier.js'
import type { Emitter } from './emit.js'
import { Gather } from './graph/gather.js'
import { allocatorOf, requireReachable } from './problems.js'
import { asView, REGION, TYPE, WORD, type Located } from './view.js'
import { borrowStaging, returnStaging } from './graph/staging.js'
import { willChange } from './shared/journal.js'

/** What has an identity, and so a block of its own behind a cell, however small it is. */
const OWN_BLOCK_KINDS: ReadonlySet<string> = new Set(['struct', 'array', 'map', 'set'])

/** Under which a type keeps how its values lie in memory; made on first use, so that types may refer to each other. */
export const CODEC: unique symbol = Symbol('rpcool.codec')

/** What every type of a schema has. Types are values; `View<typeof T>` and `Plain<typeof T>` are what they stand for. */
export interface AnyType {
  /** Which constructor made the type: `u32`, `text`, `struct`, `list` … */
  readonly kind: string
  /** How the type is written in messages, such as `list(ref(Post))`. */
  readonly label: string
  /** @internal */
  readonly [CODEC]: () => Codec
}

/** A type in a schema's description: its kind, and what the kind needs. */
export type TypeNode = string | CompoundNode

export interface CompoundNode extends ReadonlyArray<TypeNode | number | readonly NamedNode[]> {
  readonly 0: string
}

/** A field or alternative. */
export type NamedNode = readonly [name: string, type: TypeNode]

/** Collects the structs that a description names. */
export interface Describer {
  node(type: AnyType): TypeNode
  struct(codec: Codec & { readonly name: string, fieldNodes(describer: Describer): readonly NamedNode[] }): void
}

/**
 * How the values of a type lie in memory. A position `p` counts units of the type's alignment, at most 4 bytes: bytes for u8,
 * half words for u16, words for everything else; so it is an index into the typed array of that width.
 *
 * Each value has two forms: *inline*, in a field or element, and the *cell* of 8 bytes, as argument or result of a call and
 * as payload of a union. What is wider than a cell lies in a block of its own, in its inline form.
 */
export abstract class Codec {
  readonly type: AnyType
  abstract readonly bytes: number
  /** 1, 2, 4 or 8. */
  abstract readonly align: number
  /** No pointer can occur in it. */
  get immediate(): boolean {
    return false
  }

  /** Names of the fields, for a struct. */
  get fieldNames(): readonly string[] {
    return []
  }

  constructor(type: AnyType) {
    this.type = type
  }

  /** Bytes that a position counts. */
  get unit(): number {
    return Math.min(this.align, 4)
  }

  /** The value at `p`; every word of it is checked. */
  abstract read(region: Region, p: number): unknown
  /** Writes a plain value or view into fresh memory, every byte of it. */
  abstract write(build: Build, region: Region, p: number, value: unknown, where: string): void
  /** Copies a value, with what it owns, into fresh memory of another heap. */
  abstract copy(copier: Copier, from: Region, p: number, to: Region, q: number): void
  abstract describe(describer: Describer): TypeNode

  /** Collects the blocks a value owns. */
  gather(_gather: Gather, _region: Region, _p: number): void {}

  /**
   * Replaces a value and frees what it owned: the new one is complete before the old one goes.
   * @param stillThere throws when the value's place has moved meanwhile, by what its getters did.
   */
  assign(region: Region, p: number, value: unknown, where: string, stillThere?: () => void): void {
    const allocator = allocatorOf(region, where)
    const words = this.bytes >>> 2
    const staged = borrowStaging(this.bytes)
    const old = new Gather()
    building(allocator, (build) => {
      this.write(build, staged, 0, value, where)
      build.run()
      // Getters and iterators of the value have run, and may have replaced what is here.
      stillThere?.()
      this.gather(old, region, p)
    })
    willChange(region, p, words)
    for (let i = 0; i < words; i++) region.i32[p + i] = staged.i32[i]!
    returnStaging(staged)
    old.retire(allocator)
  }

  /** Statements that return the value at position `p` of region `r`; they may use any names but these. */
  emitReturn(emitter: Emitter, p: string): string {
    return `return ${emitter.constant(this, 'codec')}.read(r, ${p})`
  }

  /** A statement that writes `v` into fresh memory at position `p` of region `r`, with build `b`. */
  emitWrite(emitter: Emitter, p: string, v: string, where: string): string {
    return `${emitter.constant(this, 'codec')}.write(b, r, ${p}, ${v}, ${where})`
  }

  /** A statement that replaces the value at position `p` of region `r` by `v`; `stillThere` is an expression, see {@link assign}. */
  emitAssign(emitter: Emitter, p: string, v: string, where: string, stillThere = 'undefined'): string {
    return `${emitter.constant(this, 'codec')}.assign(r, ${p}, ${v}, ${where}, ${stillThere})`
  }

  /** Statements that copy a value that can hold pointers from word `p` of region `r`, words `a`, to word `q` of `t`, `b`, with copier `c`. */
  emitCopy(emitter: Emitter, p: string, q: string): string {
    return `${emitter.constant(this, 'codec')}.copy(c, r, ${p}, t, ${q})`
  }

  /** Writes a value's cell; tells whether memory was taken for it, which {@link gatherCell} finds again. */
  writeCell(build: Build, value: unknown, out: Int32Array, index: number, where: string): boolean {
    const view = asView(value)
    if (view !== undefined && view[TYPE] === this.type) {
      const home = view[REGION]
      requireReachable(build.allocator, null, home, where)
      out[index] = home.lowOf(view[WORD])
      out[index + 1] = home.high
      return false
    }
    const word = build.allocate(this.bytes)
    const { region } = build
    this.write(build, region, word, value, where)
    out[index] = region.lowOf(word)
    out[index + 1] = region.high
    return true
  }

  /** As {@link writeCell}, for a holder that owns its value: a view is not pointed at but copied. A ref owns nothing anyhow. */
  writeOwnedCell(build: Build, value: unknown, out: Int32Array, index: number, where: string): void {
    if (this.bytes <= 8 && !OWN_BLOCK_KINDS.has(this.type.kind)) {
      this.writeCell(build, value, out, index, where)
      return
    }
    const word = build.allocate(this.bytes)
    const { region } = build
    this.write(build, region, word, value, where)
    out[index] = region.lowOf(word)
    out[index + 1] = region.high
  }

  /** The value of a cell whose two words were copied. */
  readCell(region: Region, lo: number, hi: number): unknown {
    const home = locate(region, hi, lo, this.bytes >>> 2)
    if (--region.budget < 0) region.spent()
    return this.read(home, ((lo - home.low) >>> 2) + home.shift)
  }

  gatherCell(gather: Gather, region: Region, lo: number, hi: number): void {
    if (lo === 0 && hi === 0) return
    const home = locate(region, hi, lo, this.bytes >>> 2)
    const word = ((lo - home.low) >>> 2) + home.shift
    if (!gather.block(home, word)) return
    gather.enter()
    this.gather(gather, home, word)
    gather.leave()
  }

  /**
   * Frees the object that a view stands for with what it owns, and with `deep` what its refs reach.
   * @throws RpcError INVALID_ARGUMENT when no block starts with it; nothing is freed then.
   */
  release(allocator: Allocator, view: Located, deep: boolean): void {
    const region = view[REGION]
    freeGathered(allocator, deep, (gather) => this.gatherCell(gather, region, region.lowOf(view[WORD]), region.high))
  }

  /** Copies the object that a view stands for, and returns a view of the copy. */
  copyView(copier: Copier, view: Located): object {
    const target = copier.allocate(this.bytes)
    const { region } = copier
    this.copy(copier, view[REGION], view[WORD], region, target)
    copier.run()
    return this.read(region, target) as object
  }

  copyCell(copier: Copier, from: Region, lo: number, hi: number, to: Region, q: number): void {
    const home = locate(from, hi, lo, this.bytes >>> 2)
    const word = copier.allocate(this.bytes)
    const { region } = copier
    copier.enter()
    this.copy(copier, home, ((lo - home.low) >>> 2) + home.shift, region, word)
    copier.leave()
    copier.point(to, q, region, word)
  }
}

/** How a type's values lie in memory. */
export function codecOf(type: AnyType): Codec {
  return type[CODEC]()
}

/** A function that makes its value on first use. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

export function isType(value: unknown): value is AnyType {
  return typeof value === 'object' && value !== null && CODEC in value
}

/** @internal Frees a value's blocks, and with `deep` what its refs reach. */
export function freeGathered(allocator: Allocator, deep: boolean, start: (gather: Gather) => void): void {
  const gather = new Gather(deep)
  start(gather)
  gather.run()
  gather.free(allocator)
}

/** @internal Frees the blocks of what a holder held that is emptied. */
export function retireGathered(allocator: Allocator, start: (gather: Gather) => void): void {
  const gather = new Gather()
  start(gather)
  gather.retire(allocator)
}
