import type { Region } from '../../memory/region.js'
import type { Build } from '../graph/build.js'
import { CODEC, Codec, once } from '../codec.js'
import type { Copier } from '../graph/copier.js'
import { Emitter } from '../emit.js'
import { journal, willChange } from '../shared/journal.js'
import { mismatch, refuseWrite } from '../problems.js'
import type { ScalarKind, ScalarType } from '../types.js'
import { wide } from './wide.js'

/** What generated code says about one kind of scalar. `p` is a position in the kind's own width. */
interface Scalar {
  readonly bytes: 1 | 2 | 4 | 8
  readonly expected: string
  /** Whether the value `v` may be stored. */
  readonly accepts: string
  /** The value at position `p` of region `r`. */
  read(p: string): string
  /** Stores the accepted value `v` at position `p` of region `r`. */
  store(p: string, v: string): string
  /** The value of a cell (lo, hi). */
  readonly fromCell: string
  /** The low and then the high word of the accepted value `v`. */
  readonly toCell: readonly [low: string, high: string]
}

function small(bytes: 1 | 2 | 4, array: string, normalize: string, range: string): Scalar {
  return {
    bytes,
    expected: `an integer from ${range}`,
    accepts: `typeof v === 'number' && (v ${normalize}) === v`,
    read: (p) => bytes === 4 ? `r.i32[${p}] ${normalize}` : `r.${array}[${p}] | 0`,
    store: (p, v) => `r.${array}[${p}] = ${v}`,
    fromCell: `lo ${normalize}`,
    toCell: ['v', '0'],
  }
}

function bigInteger(kind: 'u64' | 'i64', check: string, range: string): Scalar {
  return {
    bytes: 8,
    expected: `a bigint from ${range}`,
    accepts: `typeof v === 'bigint' && wide.${check}(v)`,
    read: (p) => `wide.${kind}(r.i32[${p}], r.i32[${p} + 1])`,
    store: (p, v) => `r.i32[${p}] = wide.lowOfBigint(${v}); r.i32[${p} + 1] = wide.high()`,
    fromCell: `wide.${kind}(lo, hi)`,
    toCell: ['wide.lowOfBigint(v)', 'wide.high()'],
  }
}

function safeInteger(kind: 'safeU64' | 'safeI64', accepts: string, range: string): Scalar {
  return {
    bytes: 8,
    expected: `an integer from ${range}`,
    accepts,
    read: (p) => `wide.${kind}(r.i32[${p}], r.i32[${p} + 1])`,
    store: (p, v) => `r.i32[${p}] = ${v} | 0; r.i32[${p} + 1] = Math.floor(${v} / 4294967296)`,
    fromCell: `wide.${kind}(lo, hi)`,
    toCell: ['v | 0', 'Math.floor(v / 4294967296)'],
  }
}

const SCALARS: Readonly<Record<ScalarKind, Scalar>> = {
  u8: small(1, 'u8', '& 255', '0 to 255'),
  i8: small(1, 'i8', '<< 24 >> 24', '-128 to 127'),
  u16: small(2, 'u16', '& 65535', '0 to 65535'),
  i16: small(2, 'i16', '<< 16 >> 16', '-32768 to 32767'),
  u32: small(4, 'i32', '>>> 0', '0 to 2^32 - 1'),
  i32: small(4, 'i32', '| 0', '-2^31 to 2^31 - 1'),
  u64: bigInteger('u64', 'isU64', '0n to 2n ** 64n - 1n'),
  i64: bigInteger('i64', 'isI64', '-(2n ** 63n) to 2n ** 63n - 1n'),
  safeU64: safeInteger('safeU64', 'Number.isSafeInteger(v) && v >= 0', '0 to 2^53 - 1'),
  safeI64: safeInteger('safeI64', 'Number.isSafeInteger(v)', '-(2^53 - 1) to 2^53 - 1'),
  f32: {
    bytes: 4,
    expected: 'a number',
    accepts: `typeof v === 'number'`,
    read: (p) => `+r.f32[${p}]`,
    store: (p, v) => `r.f32[${p}] = ${v}`,
    fromCell: 'wide.f32(lo)',
    toCell: ['wide.lowOfSingle(v)', '0'],
  },
  f64: {
    bytes: 8,
    expected: 'a number',
    accepts: `typeof v === 'number'`,
    read: (p) => `+r.f64[(${p}) >>> 1]`,
    store: (p, v) => `r.f64[(${p}) >>> 1] = ${v}`,
    fromCell: 'wide.f64(lo, hi)',
    toCell: ['wide.lowOfDouble(v)', 'wide.high()'],
  },
  bool: {
    bytes: 1,
    expected: 'a boolean',
    accepts: `typeof v === 'boolean'`,
    read: (p) => `((r.u8[${p}] | 0) !== 0)`,
    store: (p, v) => `r.u8[${p}] = ${v} ? 1 : 0`,
    fromCell: '(lo & 255) !== 0',
    toCell: ['v ? 1 : 0', '0'],
  },
}

interface Access {
  read(region: Region, p: number): unknown
  store(region: Region, p: number, value: unknown, where: string): void
  fromCell(lo: number, hi: number): unknown
  toCell(value: unknown, out: Int32Array, index: number, where: string): void
}

/** The codec of a scalar. Struct code does not call it but writes the same expressions in line. */
export class ScalarCodec extends Codec {
  readonly bytes: number
  readonly align: number
  readonly expected: string
  readonly #scalar: Scalar
  readonly #access: Access

  constructor(type: ScalarType<ScalarKind, unknown>) {
    super(type)
    this.#scalar = SCALARS[type.kind]
    this.bytes = this.#scalar.bytes
    this.align = this.#scalar.bytes
    this.expected = this.#scalar.expected
    this.#access = compileAccess(this.#scalar)
  }

  override get immediate(): boolean {
    return true
  }

  read(region: Region, p: number): unknown {
    return this.#access.read(region, p)
  }

  write(_build: Build | null, region: Region, p: number, value: unknown, where: string): void {
    this.#access.store(region, p, value, where)
  }

  override assign(region: Region, p: number, value: unknown, where: string): void {
    willChange(region, Math.floor(p * this.unit / 4), Math.max(1, this.bytes / 4))
    this.#access.store(region, p, value, where)
  }

  copy(_copier: Copier, from: Region, p: number, to: Region, q: number): void {
    if (this.bytes === 1) to.u8[q] = from.u8[p]!
    else if (this.bytes === 2) to.u16[q] = from.u16[p]!
    else {
      to.i32[q] = from.i32[p]!
      if (this.bytes === 8) to.i32[q + 1] = from.i32[p + 1]!
    }
  }

  describe(): string {
    return this.type.kind
  }

  emitRead(emitter: Emitter, p: string): string {
    emitter.named('wide', wide)
    return this.#scalar.read(p)
  }

  /** A statement that refuses the value in variable `v` when it may not be stored. */
  emitCheck(emitter: Emitter, v: string, where: string): string {
    emitter.named('wide', wide)
    emitter.named('mismatch', mismatch)
    return `if (!(${this.#scalar.accepts.replaceAll(/\bv\b/g, v)})) mismatch(${where}, ${JSON.stringify(this.expected)}, ${v})`
  }

  emitStore(p: string, v: string): string {
    return this.#scalar.store(p, v)
  }

  override emitReturn(emitter: Emitter, p: string): string {
    return `return ${this.emitRead(emitter, p)}`
  }

  override emitWrite(emitter: Emitter, p: string, v: string, where: string): string {
    return `${this.emitCheck(emitter, v, where)}\n${this.emitStore(p, v)}`
  }

  override emitAssign(emitter: Emitter, p: string, v: string, where: string): string {
    emitter.named('refuseWrite', refuseWrite)
    emitter.named('journal', journal)
    const word = { 1: `(${p}) >>> 2`, 2: `(${p}) >>> 1` }[this.bytes] ?? p
    return `if (r.readOnly) refuseWrite(${where}, r)\n${this.emitCheck(emitter, v, where)}
if (journal.current !== null) journal.current.save(r, ${word}, ${Math.max(1, this.bytes / 4)})
${this.emitStore(p, v)}`
  }

  override writeCell(_build: Build | null, value: unknown, out: Int32Array, index: number, where: string): boolean {
    this.#access.toCell(value, out, index, where)
    return false
  }

  override readCell(_region: Region, lo: number, hi: number): unknown {
    return this.#access.fromCell(lo, hi)
  }

  override gatherCell(): void {}

  override copyCell(_copier: Copier, _from: Region, lo: number, hi: number, to: Region, q: number): void {
    to.i32[q] = lo
    to.i32[q + 1] = hi
  }
}

function compileAccess(scalar: Scalar): Access {
  const emitter = new Emitter()
  emitter.named('wide', wide)
  emitter.named('mismatch', mismatch)
  const check = `if (!(${scalar.accepts})) mismatch(where, ${JSON.stringify(scalar.expected)}, v)`
  return emitter.compile(`{
    read(r, p) { return ${scalar.read('p')} },
    store(r, p, v, where) { ${check}\n${scalar.store('p', 'v')} },
    fromCell(lo, hi) { return ${scalar.fromCell} },
    toCell(v, out, i, where) { ${check}\nout[i] = ${scalar.toCell[0]}\nout[i + 1] = ${scalar.toCell[1]} },
  }`).value as Access
}

function scalar<Kind extends ScalarKind, Value>(kind: Kind): ScalarType<Kind, Value> {
  const type: ScalarType<Kind, Value> = { kind, label: kind, [CODEC]: once(() => new ScalarCodec(type)) }
  return type
}

/** An integer of 8 bits, 0 to 255. */
export const u8 = scalar<'u8', number>('u8')
/** An integer of 8 bits, -128 to 127. */
export const i8 = scalar<'i8', number>('i8')
/** An integer of 16 bits, 0 to 65535. */
export const u16 = scalar<'u16', number>('u16')
/** An integer of 16 bits, -32768 to 32767. */
export const i16 = scalar<'i16', number>('i16')
/** An integer of 32 bits, 0 to 2^32 - 1. */
export const u32 = scalar<'u32', number>('u32')
/** An integer of 32 bits, -2^31 to 2^31 - 1. */
export const i32 = scalar<'i32', number>('i32')
/** An integer of 64 bits as a bigint, 0 to 2^64 - 1. */
export const u64 = scalar<'u64', bigint>('u64')
/** An integer of 64 bits as a bigint, -2^63 to 2^63 - 1. */
export const i64 = scalar<'i64', bigint>('i64')
/** An integer of 64 bits as a number, 0 to 2^53 - 1. Reading a larger one, which a C program may store, throws OUT_OF_RANGE. */
export const safeU64 = scalar<'safeU64', number>('safeU64')
/** An integer of 64 bits as a number, between the limits of a safe integer. Reading one beyond them throws OUT_OF_RANGE. */
export const safeI64 = scalar<'safeI64', number>('safeI64')
/** A floating-point number of 32 bits: what is stored is rounded to it. */
export const f32 = scalar<'f32', number>('f32')
/** A floating-point number of 64 bits: any JavaScript number. */
export const f64 = scalar<'f64', number>('f64')
/** A boolean, one byte. */
export const bool = scalar<'bool', boolean>('bool')
