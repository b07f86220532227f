// Bytes in shared memory: an 8-byte pointer (null = empty) to { u32 length, u32 0, data }, zero padded to 8.
import { RpcError } from '../base/errors.js'
import { locate, type Region } from '../memory/region.js'
import type { Build, Source } from './build.js'
import { CODEC, Codec, once } from './codec.js'
import type { Copier } from './copier.js'
import type { Gather } from './gather.js'
import { allocatorOf, damaged, mismatch } from './problems.js'
import { freePointer } from './text-write.js'
import type { BytesType } from './types.js'
import { willChange } from './journal.js'

const HEADER_WORDS = 2
const MAX_BYTES = 0xffff_0000

interface Span {
  readonly region: Region
  /** Byte index in the region's buffer. */
  readonly start: number
  readonly length: number
}

function spanOf(region: Region, lo: number, hi: number): Span | undefined {
  if (lo === 0 && hi === 0) return undefined
  const home = locate(region, hi, lo, HEADER_WORDS)
  if (--region.budget < 0) region.spent()
  const k = (lo - home.low) >>> 2
  const length = home.i32[k + home.shift]! >>> 0
  if (Math.ceil(length / 4) > home.words - HEADER_WORDS - k) damaged(`${length} bytes do not fit their region: the pointer is wild or the length damaged`)
  return { region: home, start: (k + home.shift + HEADER_WORDS) * 4, length }
}

function copyOf(region: Region, lo: number, hi: number): Uint8Array {
  const span = spanOf(region, lo, hi)
  if (span === undefined || span.length === 0) return new Uint8Array(0)
  const copy = new Uint8Array(span.length)
  copy.set(span.region.u8.subarray(span.start, span.start + span.length))
  return copy
}

/** @internal The bytes at position `p` themselves. */
export function liveBytes(region: Region, p: number): Uint8Array {
  const span = spanOf(region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
  if (span?.region.readOnly === true && !span.region.isPrivate) {
    throw new RpcError('FAILED_PRECONDITION', 'this memory is read-only here and has no live bytes to hand out; read the field, which gives a copy')
  }
  return span === undefined || span.length === 0 ? new Uint8Array(0) : span.region.u8.subarray(span.start, span.start + span.length)
}

/** Writes a record and returns its word in the source's region, or -1 for no bytes. */
function store(source: Source, value: unknown, where: string): number {
  if (!(value instanceof Uint8Array)) mismatch(where, 'a Uint8Array', value)
  const { length } = value
  if (length === 0) return -1
  if (length > MAX_BYTES) throw new RpcError('INVALID_ARGUMENT', `${where}: ${length} bytes are more than ${MAX_BYTES}`)
  const w = source.allocate(HEADER_WORDS * 4 + ((length + 7) & -8))
  const { i32, u8 } = source.region
  i32[w] = length
  i32[w + 1] = 0
  const end = w + HEADER_WORDS + ((length + 7) >>> 3) * 2
  i32[end - 2] = 0
  i32[end - 1] = 0
  u8.set(value, (w + HEADER_WORDS) * 4)
  return w
}

class BytesCodec extends Codec {
  readonly bytes = 8
  readonly align = 8

  read(region: Region, p: number): Uint8Array {
    return copyOf(region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    const w = store(build, value, where)
    region.i32[p] = w < 0 ? 0 : build.region.lowOf(w)
    region.i32[p + 1] = w < 0 ? 0 : build.region.high
  }

  override assign(region: Region, p: number, value: unknown, where: string): void {
    const allocator = allocatorOf(region, where)
    const a = region.i32
    const lo = a[p]! | 0
    const hi = a[p + 1]! | 0
    const w = store(allocator, value, where)
    willChange(region, p, 2)
    a[p] = w < 0 ? 0 : allocator.region.lowOf(w)
    a[p + 1] = w < 0 ? 0 : allocator.region.high
    if (lo !== 0 || hi !== 0) freePointer(allocator, region, lo, hi)
  }

  override gather(gather: Gather, region: Region, p: number): void {
    gather.leaf(region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
  }

  override gatherCell(gather: Gather, region: Region, lo: number, hi: number): void {
    gather.leaf(region, lo, hi)
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    this.copyCell(copier, from, from.i32[p]! | 0, from.i32[p + 1]! | 0, to, q)
  }

  override copyCell(copier: Copier, from: Region, lo: number, hi: number, to: Region, q: number): void {
    const w = store(copier, copyOf(from, lo, hi), 'bytes')
    to.i32[q] = w < 0 ? 0 : copier.region.lowOf(w)
    to.i32[q + 1] = w < 0 ? 0 : copier.region.high
  }

  describe(): string {
    return 'bytes'
  }

  override writeCell(build: Build, value: unknown, out: Int32Array, index: number, where: string): boolean {
    const w = store(build, value, where)
    out[index] = w < 0 ? 0 : build.region.lowOf(w)
    out[index + 1] = w < 0 ? 0 : build.region.high
    return w >= 0
  }

  override readCell(region: Region, lo: number, hi: number): Uint8Array {
    return copyOf(region, lo, hi)
  }
}

/** A block of bytes. Reading gives a private copy; {@link unsafeBytes} gives the live memory. Assigning frees the old block. */
export const bytes: BytesType = {
  kind: 'bytes',
  label: 'bytes',
  [CODEC]: once(() => new BytesCodec(bytes)),
}
