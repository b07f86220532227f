// Numbers in shared memory lie as bytes do (bytes.ts), side by side in their own width, little endian.
import { RpcError } from '../../base/errors.js'
import type { Region } from '../../memory/region.js'
import { BlockCodec, HEADER_WORDS, liveBytes, makeRecord } from './bytes.js'
import type { Source } from '../graph/build.js'
import { CODEC, codecOf, once, type Describer, type TypeNode } from '../codec.js'
import { damaged, mismatch } from '../problems.js'
import { gathered, requireElement } from './elements.js'
import type { AnyType, NumberArrays, NumbersType, ScalarType } from '../types.js'

type NumberKind = keyof NumberArrays
type AnyArray = NumberArrays[NumberKind]

interface ArrayClass {
  readonly BYTES_PER_ELEMENT: number
  new (length: number): AnyArray
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): AnyArray
}

const CLASSES: Readonly<Record<NumberKind, ArrayClass>> = {
  u8: Uint8Array, i8: Int8Array, u16: Uint16Array, i16: Int16Array, u32: Uint32Array, i32: Int32Array, u64: BigUint64Array, i64: BigInt64Array,
  f32: Float32Array, f64: Float64Array,
}

export class NumbersCodec extends BlockCodec {
  readonly #class: ArrayClass
  readonly #element: AnyType

  constructor(type: NumbersType<NumberKind>) {
    super(type)
    this.#element = type.element
    this.#class = CLASSES[type.element.kind]
  }

  protected storeValue(source: Source, value: unknown, where: string): number {
    const numbers = value instanceof this.#class ? value : this.#take(value, where)
    const w = makeRecord(source, numbers.byteLength, where)
    if (w < 0) return w
    const { region } = source
    const at = (w + HEADER_WORDS) * 4
    // Between arrays of one kind `set` is a copy of memory, and needs no view of the bytes, which is dearer than copying a page.
    if (numbers instanceof Float64Array) region.f64.set(numbers, at >>> 3)
    else if (numbers instanceof Float32Array) region.f32.set(numbers, at >>> 2)
    else if (numbers instanceof Int32Array) region.i32.set(numbers, at >>> 2)
    else if (numbers instanceof Uint8Array) region.u8.set(numbers, at)
    else region.u8.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), at)
    return w
  }

  /** Numbers one by one, each checked as a field of the type checks it. */
  #take(value: unknown, where: string): AnyArray {
    if (typeof value !== 'object' || value === null || !(Symbol.iterator in value)) {
      mismatch(where, `a ${this.#class.name} or another iterable of ${this.#element.label}`, value)
    }
    const numbers = gathered(value as Iterable<unknown>)
    const taken = new this.#class(numbers.length)
    const codec = codecOf(this.#element)
    const cell = new Int32Array(2)
    for (const [i, number] of numbers.entries()) {
      codec.writeCell(null as never, number, cell, 0, where)
      taken[i] = number as never
    }
    return taken
  }

  protected fromBytes(bytes: Uint8Array): AnyArray {
    const width = this.#class.BYTES_PER_ELEMENT
    if (bytes.length % width !== 0) damaged(`${bytes.length} bytes are no whole number of ${this.#element.label}`)
    return new this.#class(bytes.buffer, 0, bytes.length / width)
  }

  /** Whether an array is of the field's kind: a Float64Array for `f64`. */
  takes(array: unknown): array is AnyArray {
    return array instanceof this.#class
  }

  /** The numbers at position `p` themselves. */
  live(region: Region, p: number): AnyArray {
    const bytes = liveBytes(region, p)
    const width = this.#class.BYTES_PER_ELEMENT
    if (bytes.length % width !== 0 || bytes.byteOffset % width !== 0) damaged(`the numbers are damaged, or the pointer to them wild`)
    return new this.#class(bytes.buffer, bytes.byteOffset, bytes.length / width)
  }

  describe(describer: Describer): TypeNode {
    return ['numbers', describer.node(this.#element)]
  }
}

/**
 * Numbers side by side, of one width: reading gives a private typed array (for `f64` a Float64Array), {@link unsafeNumbers} the
 * live memory. Assigned and built from a typed array of the same kind, which is copied as it is, or from any iterable of numbers,
 * each of which is checked. The holder owns them; assigning frees the old ones.
 */
export function numbers<Kind extends NumberKind>(element: ScalarType<Kind, unknown>): NumbersType<Kind> {
  requireElement('numbers', element)
  if (!(element.kind in CLASSES)) throw new RpcError('INVALID_ARGUMENT', `numbers(${element.label}): the elements are u8 … u64, i8 … i64, f32 or f64`)
  const type: NumbersType<Kind> = {
    kind: 'numbers', label: `numbers(${element.label})`, element,
    [CODEC]: once(() => new NumbersCodec(type as unknown as NumbersType<NumberKind>)),
  }
  return type
}
