// Bytes in shared memory: an 8-byte pointer (null = empty) to { u32 length, u32 0, data }, zero padded to 8.
import { RpcError } from '../../base/errors.js'
import { locate, POINTER_WORDS, type Region } from '../../memory/region.js'
import type { Build, Source } from '../graph/build.js'
import { CODEC, Codec, once } from '../codec.js'
import type { Copier } from '../graph/copier.js'
import type { Gather } from '../graph/gather.js'
import { willChange } from '../shared/journal.js'
import { allocatorOf, damaged, mismatch, refuseWrite } from '../problems.js'
import { freePointer } from '../text/write.js'
import type { BytesType } from '../types.js'

/** @internal Words of a record before its bytes. */
export const HEADER_WORDS = 2
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

/** A peer's many cells may all lead to one long block. */
function charge(region: Region, length: number): void {
  if ((region.budget -= length / (POINTER_WORDS * 4) | 0) < 0) region.spent()
}

function copyOf(region: Region, lo: number, hi: number): Uint8Array {
  const span = spanOf(region, lo, hi)
  if (span === undefined || span.length === 0) return new Uint8Array(0)
  charge(region, span.length)
  const copy = new Uint8Array(span.length)
  copy.set(span.region.u8.subarray(span.start, span.start + span.length))
  return copy
}

/** @internal The bytes at position `p` themselves. */
export function liveBytes(region: Region, p: number): Uint8Array {
  const span = spanOf(region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
  if (span?.region.readOnly === true && !span.region.isPrivate) {
    if (span.region.isLook) refuseWrite('what live bytes lead to', span.region)
    throw new RpcError('FAILED_PRECONDITION', 'this memory is read-only here and has no live bytes to hand out; read the field, which gives a copy')
  }
  return span === undefined || span.length === 0 ? new Uint8Array(0) : span.region.u8.subarray(span.start, span.start + span.length)
}

/** @internal Makes a record for so many bytes, which its maker fills in. Returns its word in the source's region, or -1 for no bytes. */
export function makeRecord(source: Source, length: number, where: string): number {
  if (length === 0) return -1
  if (length > MAX_BYTES) throw new RpcError('INVALID_ARGUMENT', `${where}: ${length} bytes are more than ${MAX_BYTES}`)
  const w = source.allocate(HEADER_WORDS * 4 + ((length + 7) & -8))
  const { i32 } = source.region
  i32[w] = length
  i32[w + 1] = 0
  const end = w + HEADER_WORDS + ((length + 7) >>> 3) * 2
  i32[end - 2] = 0
  i32[end - 1] = 0
  return w
}

/** Writes a record and returns its word in the source's region, or -1 for no bytes. */
function store(source: Source, value: Uint8Array, where: string): number {
  const w = makeRecord(source, value.length, where)
  if (w >= 0) source.region.u8.set(value, (w + HEADER_WORDS) * 4)
  return w
}

/** Values that are a run of bytes: how they become bytes is all that differs. */
export abstract class BlockCodec extends Codec {
  readonly bytes = 8
  readonly align = 8

  /** Checks a value and writes its record. Returns the record's word in the source's region, or -1 for no bytes. */
  protected abstract storeValue(source: Source, value: unknown, where: string): number
  /** The value of bytes in private memory, which become its own. */
  protected abstract fromBytes(bytes: Uint8Array): unknown

  /** Copies the value's bytes at position `p` to the front of `target`; how many. @throws RpcError INVALID_ARGUMENT when they do not fit. */
  readInto(region: Region, p: number, target: Uint8Array): number {
    const span = spanOf(region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
    if (span === undefined) return 0
    const { start, length } = span
    if (length > target.length) throw new RpcError('INVALID_ARGUMENT', `${length} bytes do not fit a target of ${target.length}`)
    charge(region, length)
    target.set(span.region.u8.subarray(start, start + length))
    return length
  }

  read(region: Region, p: number): unknown {
    return this.readCell(region, region.i32[p]! | 0, region.i32[p + 1]! | 0)
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    this.writeCell(build, value, region.i32, p, where)
  }

  override assign(region: Region, p: number, value: unknown, where: string, stillThere?: () => void): void {
    const allocator = allocatorOf(region, where)
    const w = this.storeValue(allocator, value, where)
    const home = allocator.region
    try {
      stillThere?.()
    } catch (error) {
      if (w >= 0) allocator.free(home, w)
      throw error
    }
    // Read now: an iterator of the value may have replaced what was here.
    const a = region.i32
    const lo = a[p]! | 0
    const hi = a[p + 1]! | 0
    willChange(region, p, 2)
    point(allocator, w, a, p)
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
    point(copier, store(copier, copyOf(from, lo, hi), this.type.label), to.i32, q)
  }

  override writeCell(build: Build, value: unknown, out: Int32Array, index: number, where: string): boolean {
    const w = this.storeValue(build, value, where)
    point(build, w, out, index)
    return w >= 0
  }

  override readCell(region: Region, lo: number, hi: number): unknown {
    return this.fromBytes(copyOf(region, lo, hi))
  }
}

/** Writes the pointer to a record, null for none. */
function point({ region }: Source, word: number, out: Int32Array, index: number): void {
  out[index] = word < 0 ? 0 : region.lowOf(word)
  out[index + 1] = word < 0 ? 0 : region.high
}

class BytesCodec extends BlockCodec {
  protected storeValue(source: Source, value: unknown, where: string): number {
    if (!(value instanceof Uint8Array)) mismatch(where, 'a Uint8Array', value)
    return store(source, value, where)
  }

  protected fromBytes(bytes: Uint8Array): Uint8Array {
    return bytes
  }

  describe(): string {
    return 'bytes'
  }
}

/** A block of bytes. Reading gives a private copy; {@link unsafeBytes} gives the live memory. Assigning frees the old block. */
export const bytes: BytesType = {
  kind: 'bytes',
  label: 'bytes',
  [CODEC]: once(() => new BytesCodec(bytes)),
}
