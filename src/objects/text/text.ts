import { locate, type Region } from '../../memory/region.js'
import type { Build } from '../graph/build.js'
import { CODEC, Codec, once } from '../codec.js'
import type { Copier } from '../graph/copier.js'
import type { Emitter } from '../emit.js'
import type { Gather } from '../graph/gather.js'
import { damaged } from '../problems.js'
import { decodeCell, readText, TEXT_HEADER_WORDS, wordsOf } from './read.js'
import { assignText, form, makeText, writeText } from './write.js'
import type { TextType } from '../types.js'

class TextCodec extends Codec {
  readonly bytes = 8
  readonly align = 8

  read(region: Region, p: number): string {
    return readText(region, p)
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    writeText(build, region, p, value, where)
  }

  override assign(region: Region, p: number, value: unknown, where: string): void {
    assignText(region, p, value, where)
  }

  override gather(gather: Gather, region: Region, p: number): void {
    this.gatherCell(gather, region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
  }

  override gatherCell(gather: Gather, region: Region, lo: number, hi: number): void {
    if ((lo & 1) === 0) gather.leaf(region, lo, hi)
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    this.copyCell(copier, from, from.i32[p]! | 0, from.i32[p + 1]! | 0, to, q)
  }

  override copyCell(copier: Copier, from: Region, lo: number, hi: number, to: Region, q: number): void {
    if ((lo & 1) !== 0 || (lo === 0 && hi === 0)) {
      to.i32[q] = lo
      to.i32[q + 1] = hi
      return
    }
    const home = locate(from, hi, lo, TEXT_HEADER_WORDS)
    const start = (lo - home.low) >>> 2
    const head = home.i32[start + home.shift]! | 0
    const words = wordsOf(head)
    if (words > home.words - TEXT_HEADER_WORDS - start) damaged('a text does not fit its region: the pointer is wild or the text damaged')
    const target = copier.allocate((TEXT_HEADER_WORDS + words) * 4)
    copyRecord(home.i32, start + home.shift, copier.region.i32, target, head, words)
    copier.point(to, q, copier.region, target)
  }

  describe(): string {
    return 'text'
  }

  override emitReturn(emitter: Emitter, p: string): string {
    return `return ${emitter.constant(readText, 'readText')}(r, ${p})`
  }

  override emitWrite(emitter: Emitter, p: string, v: string, where: string): string {
    return `${emitter.constant(writeText, 'writeText')}(b, r, ${p}, ${v}, ${where})`
  }

  override emitAssign(emitter: Emitter, p: string, v: string, where: string): string {
    return `${emitter.constant(assignText, 'assignText')}(r, ${p}, ${v}, ${where})`
  }

  override emitCopy(emitter: Emitter, p: string, q: string): string {
    return `lo = a[${p}]; hi = a[${p} + 1]
if ((lo & 1) !== 0 || (lo | hi) === 0) { b[${q}] = lo; b[${q} + 1] = hi }
else ${emitter.constant(this, 'codec')}.copyCell(c, r, lo, hi, t, ${q})`
  }

  override writeCell(build: Build, value: unknown, out: Int32Array, index: number, where: string): boolean {
    makeText(build, value, where)
    out[index] = form.lo
    out[index + 1] = form.hi
    return form.words !== 0
  }

  override readCell(region: Region, lo: number, hi: number): string {
    return decodeCell(region, lo, hi)
  }
}

function copyRecord(from: Int32Array, p: number, to: Int32Array, q: number, head: number, words: number): void {
  to[q] = head
  to[q + 1] = 0
  for (let i = 0; i < words; i++) to[q + TEXT_HEADER_WORDS + i] = from[p + TEXT_HEADER_WORDS + i]!
}

/** A string of any length and content, lone surrogates included. Assigning frees the old one. */
export const text: TextType = {
  kind: 'text',
  label: 'text',
  [CODEC]: once(() => new TextCodec(text)),
}
