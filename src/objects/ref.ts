import { heapDebug } from '../memory/heap-debug.js'
import type { Region } from '../memory/region.js'
import { building, type Build } from './graph/build.js'
import { CODEC, Codec, codecOf, once, type Describer, type TypeNode } from './codec.js'
import { RpcError } from '../base/errors.js'
import type { Copier } from './graph/copier.js'
import type { Emitter } from './emit.js'
import type { Gather } from './graph/gather.js'
import { allocatorOf, mismatch, refuseWrite } from './problems.js'
import type { StructCodec } from './struct/struct.js'
import type { AnyType, RefType } from './types.js'
import { asView, type Located, REGION, WORD } from './view.js'
import { journal, willChange } from './shared/journal.js'

class RefCodec extends Codec {
  readonly bytes = 8
  readonly align = 8
  readonly #target: () => StructCodec

  constructor(type: RefType<AnyType>) {
    super(type)
    this.#target = once(() => codecOf(type.target) as StructCodec)
  }

  get target(): StructCodec {
    return this.#target()
  }

  read(region: Region, p: number): object | null {
    return this.readCell(region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    this.writeCell(build, value, region.i32, p, where)
  }

  override assign(region: Region, p: number, value: unknown, where: string, stillThere?: () => void): void {
    if (region.readOnly) refuseWrite(where, region)
    const a = region.i32
    const view = asView(value)
    if (view === undefined && value !== null && value !== undefined) {
      const cell = new Int32Array(2)
      building(allocatorOf(region, where), (build) => {
        this.writeCell(build, value, cell, 0, where)
        build.run()
        stillThere?.()
      })
      willChange(region, p, 2)
      a[p] = cell[0]!
      a[p + 1] = cell[1]!
      return
    }
    willChange(region, p, 2)
    if (view !== undefined) {
      this.target.point(region.allocator, region, view, a, p, where)
      this.#keeps(view, where)
      return
    }
    a[p] = 0
    a[p + 1] = 0
  }

  #keeps(view: Located, where: string): void {
    heapDebug?.pointing(view[REGION], view[WORD], this.target.name, this.target.bytes, where)
  }

  override gather(gather: Gather, region: Region, p: number): void {
    if (gather.deep) gather.later(this.target, region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    this.copyCell(copier, from, from.i32[p]! | 0, from.i32[p + 1]! | 0, to, q)
  }

  describe(describer: Describer): TypeNode {
    describer.struct(this.target)
    return ['ref', this.target.name]
  }

  override emitReturn(emitter: Emitter, p: string): string {
    const { target } = this
    const codec = emitter.constant(target, 'codec')
    const View = emitter.late(target, 'View')
    const { words, header } = target.layout
    return `const a = r.i32, q = ${p}, lo = a[q], hi = a[q + 1], k = (lo - r.low) >>> 2
if (hi !== r.high || k > r.words - ${words}) return ${codec}.far(r, lo, hi)
if (--r.budget < 0) r.spent()
const t = k + r.shift
return a[t] === ${header} ? new ${View}(r, t) : ${codec}.viewAt(r, t)`
  }

  override emitCopy(emitter: Emitter, p: string, q: string): string {
    return `lo = a[${p}]; hi = a[${p} + 1]
if ((lo | hi) === 0) { b[${q}] = 0; b[${q} + 1] = 0 }
else { w = c.copyOf(${emitter.constant(this.target, 'codec')}, r, lo, hi); b[${q}] = c.region.lowOf(w); b[${q} + 1] = c.region.high }`
  }

  override writeCell(build: Build, value: unknown, out: Int32Array, index: number, where: string): boolean {
    if (value === null || value === undefined) {
      out[index] = 0
      out[index + 1] = 0
      return false
    }
    const { target } = this
    const view = asView(value)
    if (view !== undefined) {
      target.point(build.allocator, null, view, out, index, where)
      // An argument or result only borrows what it points to.
      if (build.allocator.transient !== true || journal.current !== null) this.#keeps(view, where)
      return false
    }
    if (typeof value !== 'object' || Array.isArray(value)) mismatch(where, `a struct ${target.name} or null`, value)
    const word = build.reach(target, value)
    out[index] = build.region.lowOf(word)
    out[index + 1] = build.region.high
    return true
  }

  override readCell(region: Region, lo: number, hi: number): object | null {
    return this.target.far(region, lo, hi)
  }

  override gatherCell(gather: Gather, region: Region, lo: number, hi: number): void {
    gather.later(this.target, region, lo, hi)
  }

  override copyCell(copier: Copier, from: Region, lo: number, hi: number, to: Region, q: number): void {
    if (lo === 0 && hi === 0) {
      to.i32[q] = 0
      to.i32[q + 1] = 0
      return
    }
    const word = copier.copyOf(this.target, from, lo, hi)
    copier.point(to, q, copier.region, word)
  }
}

/**
 * A pointer to a struct, or null. It does not own what it points to: assigning stores the pointer and frees nothing, and a
 * plain value assigned to it becomes a new object. Every read makes a new view: compare with {@link same}.
 */
export function ref<Target extends AnyType & { readonly kind: 'struct' }>(target: Target): RefType<Target> {
  if (typeof target !== 'object' || target?.kind !== 'struct') {
    throw new RpcError('INVALID_ARGUMENT', 'ref(…) takes a struct; where the struct is declared further down, write the field as a getter')
  }
  const type: RefType<Target> = { kind: 'ref', label: `ref(${target.label})`, target, [CODEC]: once(() => new RefCodec(type)) }
  return type
}
