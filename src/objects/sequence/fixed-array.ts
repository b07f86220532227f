import { RpcError } from '../../base/errors.js'
import type { Region } from '../../memory/region.js'
import { roundUp } from '../../base/numbers.js'
import type { Build } from '../graph/build.js'
import { CODEC, Codec, codecOf, once, type Describer, type TypeNode } from '../codec.js'
import type { Copier } from '../graph/copier.js'
import { Elements, emitSequence, gatherInOrder, requireElement, valuesOf, type SequenceClass } from './elements.js'
import type { Gather } from '../graph/gather.js'
import { MAX_STRUCT_WORDS } from '../limits.js'
import { installInPlace } from './in-place.js'
import { mismatch } from '../problems.js'
import type { Sequence } from './sequence.js'
import { willChange } from '../shared/journal.js'
import type { AnyType, FixedArrayType } from '../types.js'

/** Elements side by side in their holder, from a word boundary on. */
class FixedArrayCodec extends Codec {
  readonly length: number
  readonly #elements: () => Elements
  readonly #viewClass: () => SequenceClass

  constructor(type: FixedArrayType<AnyType>) {
    super(type)
    this.length = type.length
    this.#elements = once(() => new Elements(codecOf(type.element)))
    this.#viewClass = once(() => {
      const viewClass = emitSequence(this.type, this.#elements(), String(this.length), 'const start = w')
      installInPlace(viewClass, (region, p, order) => this.#reorder(region, p, order))
      return viewClass
    })
  }

  #reorder(region: Region, p: number, order: (length: number) => Uint32Array): void {
    const { stride } = this.#elements()
    const moved = new Uint8Array(this.length * stride)
    gatherInOrder(region.u8, p * 4, moved, 0, stride, order(this.length))
    willChange(region, p, this.bytes >>> 2)
    region.u8.set(moved, p * 4)
  }

  get align(): number {
    return Math.max(4, this.#elements().codec.align)
  }

  get bytes(): number {
    return roundUp(this.length * this.#elements().stride, this.align)
  }

  override get immediate(): boolean {
    return this.#elements().codec.immediate
  }

  read(region: Region, p: number): Sequence {
    return new (this.#viewClass())(region, p)
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    const values = valuesOf(value, where)
    if (values.length !== this.length) mismatch(where, `${this.length} elements`, values.length)
    this.#elements().write(build, region, p, values, where)
  }

  override gather(gather: Gather, region: Region, p: number): void {
    this.#elements().gather(gather, region, p, 0, this.length)
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    this.#elements().copy(copier, from, p, this.length, to, q)
  }

  describe(describer: Describer): TypeNode {
    return ['array', describer.node(this.#elements().codec.type), this.length]
  }
}

/** A fixed number of elements, stored inline in their holder. */
export function array<Element extends AnyType>(element: Element, length: number): FixedArrayType<Element> {
  requireElement('array', element)
  if (!Number.isInteger(length) || length < 1 || length > MAX_STRUCT_WORDS * 4) {
    throw new RpcError('INVALID_ARGUMENT', `array(${element.label}, ${String(length)}): the length must be 1 to ${MAX_STRUCT_WORDS * 4}; longer sequences are lists`)
  }
  const type: FixedArrayType<Element> = {
    kind: 'array', label: `array(${element.label}, ${length})`, element, length, [CODEC]: once(() => new FixedArrayCodec(type)),
  }
  return type
}
