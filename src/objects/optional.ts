// An optional value in its holder: { u32 1 when present, u32 0, value at +8 }; all zero is the absent one.
import { RpcError } from '../base/errors.js'
import { roundUp } from '../base/numbers.js'
import type { Region } from '../memory/region.js'
import type { Build } from './graph/build.js'
import { CODEC, Codec, codecOf, once, type Describer, type TypeNode } from './codec.js'
import type { Copier } from './graph/copier.js'
import { requireElement } from './sequence/elements.js'
import type { Gather } from './graph/gather.js'
import type { AnyType, OptionalType } from './types.js'

const VALUE = 2

class OptionalCodec extends Codec {
  readonly align = 8
  readonly #value: () => Codec

  constructor(type: OptionalType<AnyType>) {
    super(type)
    this.#value = once(() => codecOf(type.value))
  }

  get bytes(): number {
    return 8 + roundUp(this.#value().bytes, 8)
  }

  override get immediate(): boolean {
    return this.#value().immediate
  }

  #place(p: number): number {
    return (p + VALUE) * (4 / this.#value().unit)
  }

  read(region: Region, p: number): unknown {
    return (region.i32[p]! | 0) === 0 ? undefined : this.#value().read(region, this.#place(p))
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    const a = region.i32
    const words = this.bytes / 4
    for (let i = 0; i < words; i++) a[p + i] = 0
    if (value === undefined) return
    this.#value().write(build, region, this.#place(p), value, where)
    a[p] = 1
  }

  override gather(gather: Gather, region: Region, p: number): void {
    if ((region.i32[p]! | 0) !== 0) this.#value().gather(gather, region, this.#place(p))
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    const present = (from.i32[p]! | 0) !== 0
    const words = this.bytes / 4
    for (let i = 0; i < words; i++) to.i32[q + i] = 0
    if (!present) return
    this.#value().copy(copier, from, this.#place(p), to, this.#place(q))
    to.i32[q] = 1
  }

  describe(describer: Describer): TypeNode {
    return ['optional', describer.node(this.#value().type)]
  }
}

/** A value that may be absent: it then reads as undefined. A ref has null for that already. */
export function optional<Value extends AnyType>(value: Value): OptionalType<Value> {
  requireElement('optional', value)
  if (value.kind === 'ref' || value.kind === 'optional') {
    throw new RpcError('INVALID_ARGUMENT', `optional(${value.label}): a ${value.kind} can be empty by itself`)
  }
  const type: OptionalType<Value> = { kind: 'optional', label: `optional(${value.label})`, value, [CODEC]: once(() => new OptionalCodec(type)) }
  return type
}
