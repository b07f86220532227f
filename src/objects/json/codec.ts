import { ARRAY, JSON_FINGERPRINT, OBJECT, OWNED } from '../../layout/json-layout.js'
import type { Allocator, Region } from '../../memory/region.js'
import type { Build } from '../graph/build.js'
import { Codec, type AnyType, type TypeNode } from '../codec.js'
import type { Copier } from '../graph/copier.js'
import type { Emitter } from '../emit.js'
import type { Gather } from '../graph/gather.js'
import { requireReachable } from '../problems.js'
import { REGION, WORD, type Located } from '../view.js'
import { Blocks } from './blocks.js'
import { copyContainer, pushCopy } from './copy.js'
import { emitNearObject, fastForm } from './fast.js'
import { withBuilder, writeValue } from './from-value.js'
import { gatherCell } from './gather.js'
import { proxies } from './proxies.js'
import { type Form, valueOf } from './read.js'
import { json, provideCodecs } from './type.js'
import { isJson, jsonView, tagOf } from './whole.js'

/** Fields, elements, arguments and results of json: a cell. All zero is the absence of a value. */
class JsonCodec extends Codec {
  readonly bytes = 8
  readonly align = 8
  readonly form: Form

  constructor(type: AnyType, form: Form) {
    super(type)
    this.form = form
  }

  read(region: Region, p: number): unknown {
    return valueOf(region, region.i32[p]! | 0, region.i32[p + 1]! | 0, this.form)
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    this.#write(build, value, region.i32, p, where)
  }

  #write(build: Build, value: unknown, out: Int32Array, index: number, where: string): boolean {
    out[index] = 0
    out[index + 1] = 0
    if (value === undefined) return false
    const { lo, hi } = writeValue(build, build.allocator, value, where)
    out[index] = lo
    out[index + 1] = hi
    return isOwned(lo, hi)
  }

  override gather(gather: Gather, region: Region, p: number): void {
    gather.hasViews = true
    gatherCell(gather, region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
  }

  override gatherCell(gather: Gather, region: Region, lo: number, hi: number): void {
    gather.hasViews = true
    gatherCell(gather, region, lo, hi)
  }

  override release(allocator: Allocator, view: Located): void {
    const blocks = new Blocks()
    const region = view[REGION]
    gatherCell(blocks, region, region.lowOf(view[WORD]) | OWNED, tagOf(view) << 16 | region.high)
    blocks.free(allocator)
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    this.copyCell(copier, from, from.i32[p]! | 0, from.i32[p + 1]! | 0, to, q)
  }

  override copyCell(copier: Copier, from: Region, lo: number, hi: number, to: Region, q: number): void {
    to.i32[q] = 0
    to.i32[q + 1] = 0
    if (lo === 0 && hi === 0) return
    const built = withBuilder(copier, copier.allocator, (builder) => pushCopy(builder, copier, from, lo, hi, 0))
    to.i32[q] = built.lo
    to.i32[q + 1] = built.hi
  }

  override copyView(copier: Copier, view: Located): object {
    const tag = tagOf(view)
    const { region, word } = withBuilder(copier, copier.allocator, (builder) =>
      copyContainer(builder, copier, view[REGION], view[WORD], tag, 0))
    return viewOf(this.form, region, word, tag)
  }

  override writeCell(build: Build, value: unknown, out: Int32Array, index: number, where: string): boolean {
    if (!isJson(value)) return this.#write(build, value, out, index, where)
    const view = jsonView(value)
    const home = view[REGION]
    requireReachable(build.allocator, null, home, where)
    out[index] = home.lowOf(view[WORD])
    out[index + 1] = tagOf(view) << 16 | home.high
    return false
  }

  override readCell(region: Region, lo: number, hi: number): unknown {
    return valueOf(region, lo, hi, this.form)
  }

  // Its bytes are described nowhere else: two versions that lay it out in different ways must not meet.
  describe(): TypeNode {
    return ['json', JSON_FINGERPRINT]
  }
}

/** The same, read through fast views: generated code goes straight to the object. */
class FastJsonCodec extends JsonCodec {
  override emitReturn(emitter: Emitter, p: string): string {
    return `const q = ${p}, v = r.i32[q], h = r.i32[q + 1]
let e
${emitNearObject(emitter)}
${super.emitReturn(emitter, 'q')}`
  }
}

function isOwned(lo: number, hi: number): boolean {
  const tag = hi >> 16
  return tag >= -5 && tag <= ARRAY && (lo & OWNED) !== 0
}

function viewOf(form: Form, region: Region, word: number, tag: number): object {
  return tag === OBJECT ? form.object(region, word) : form.array(region, word)
}

/** The types of json are usable from here on. */
export function provideJson(): void {
  provideCodecs(new JsonCodec(json, proxies), new FastJsonCodec(json.fast, fastForm))
}
