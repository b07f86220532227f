import { tooLarge } from '../problems.js'

// 64-bit values pass through private memory, where two words and one wide value are the same eight bytes.
const buffer = new ArrayBuffer(8)
const words = new Int32Array(buffer)
const unsigned = new BigUint64Array(buffer)
const signed = new BigInt64Array(buffer)
const double = new Float64Array(buffer)
const single = new Float32Array(buffer)

const TWO_32 = 0x1_0000_0000

export const wide = {
  u64(lo: number, hi: number): bigint {
    words[0] = lo
    words[1] = hi
    return unsigned[0]!
  },
  i64(lo: number, hi: number): bigint {
    words[0] = lo
    words[1] = hi
    return signed[0]!
  },
  safeU64(lo: number, hi: number): number {
    if (hi >>> 0 > 0x1f_ffff) tooLarge('the value')
    return (hi >>> 0) * TWO_32 + (lo >>> 0)
  },
  safeI64(lo: number, hi: number): number {
    const value = (hi | 0) * TWO_32 + (lo >>> 0)
    if (!Number.isSafeInteger(value)) tooLarge('the value')
    return value
  },
  f64(lo: number, hi: number): number {
    words[0] = lo
    words[1] = hi
    return double[0]!
  },
  f32(lo: number): number {
    words[0] = lo
    return single[0]!
  },
  /** Low and high word of a bigint, already in range; the high word is fetched by `high()` right after. */
  lowOfBigint(value: bigint): number {
    unsigned[0] = value
    return words[0]!
  },
  lowOfDouble(value: number): number {
    double[0] = value
    return words[0]!
  },
  lowOfSingle(value: number): number {
    single[0] = value
    return words[0]!
  },
  high(): number {
    return words[1]!
  },
  isU64(value: bigint): boolean {
    return BigInt.asUintN(64, value) === value
  },
  isI64(value: bigint): boolean {
    return BigInt.asIntN(64, value) === value
  },
} as const
