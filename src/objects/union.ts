// A union in its holder: { u32 tag (1 = the first alternative, 0 = none), u32 0, 8-byte cell of the value }.
import { RpcError } from '../base/errors.js'
import type { Region } from '../memory/region.js'
import type { Build } from './graph/build.js'
import { CODEC, Codec, codecOf, once, type Describer, type TypeNode } from './codec.js'
import type { Copier } from './graph/copier.js'
import type { Gather } from './graph/gather.js'
import { MAX_VARIANTS } from './limits.js'
import { damaged, mismatch } from './problems.js'
import { requireFieldNames, typeOfField } from './struct/layout.js'
import type { UnionType } from './types.js'

const CELL = 2

interface Variant {
  readonly name: string
  readonly codec: Codec
}

class UnionCodec extends Codec {
  readonly bytes = 16
  readonly align = 8
  readonly #variants: () => readonly Variant[]
  readonly #tags: () => ReadonlyMap<unknown, number>

  constructor(type: UnionType<object>) {
    super(type)
    this.#variants = once(() => Object.keys(type.variants).map((name) => ({ name, codec: codecOf(typeOfField('union', type.variants, name)) })))
    this.#tags = once(() => new Map(this.#variants().map(({ name }, i) => [name, i + 1])))
  }

  /** The alternative of a tag; undefined for none. */
  #variant(tag: number): Variant | undefined {
    if (tag === 0) return undefined
    return this.#variants()[tag - 1] ?? damaged(`${this.type.label} has no alternative ${tag}: the union is damaged`)
  }

  read(region: Region, p: number): { readonly kind: string, readonly value: unknown } {
    const a = region.i32
    const variant = this.#variant(a[p]! >>> 0)
    if (variant === undefined) return { kind: 'none', value: undefined }
    return { kind: variant.name, value: variant.codec.readCell(region, a[p + CELL]! | 0, a[p + CELL + 1]! | 0) }
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    const a = region.i32
    a[p] = 0
    a[p + 1] = 0
    a[p + CELL] = 0
    a[p + CELL + 1] = 0
    if (value === undefined) return
    const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
    if (kind === 'none') return
    const tag = this.#tags().get(kind)
    if (tag === undefined) mismatch(where, `{ kind, value } with a kind of ${[...this.#tags().keys()].join(', ')}`, kind ?? value)
    const { codec, name } = this.#variants()[tag - 1]!
    const place = `${where} (${name})`
    build.enter(where)
    const payload = (value as { readonly value?: unknown }).value
    codec.writeOwnedCell(build, payload, a, p + CELL, place)
    build.leave()
    a[p] = tag
  }

  override gather(gather: Gather, region: Region, p: number): void {
    const a = region.i32
    this.#variant(a[p]! >>> 0)?.codec.gatherCell(gather, region, a[p + CELL]! | 0, a[p + CELL + 1]! | 0)
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    const a = from.i32
    const tag = a[p]! >>> 0
    to.i32[q] = tag
    to.i32[q + 1] = 0
    to.i32[q + CELL] = 0
    to.i32[q + CELL + 1] = 0
    this.#variant(tag)?.codec.copyCell(copier, from, a[p + CELL]! | 0, a[p + CELL + 1]! | 0, to, q + CELL)
  }

  describe(describer: Describer): TypeNode {
    return ['union', this.#variants().map(({ name, codec }) => [name, describer.node(codec.type)] as const)]
  }
}

/**
 * One of several alternatives, read as `{ kind, value }` and given the same way. It owns its value (a ref's target never).
 * `none` is how it reads before it is given one.
 */
export function union<const Variants extends object>(variants: Variants): UnionType<Variants> {
  const names = requireFieldNames('union', variants)
  if (names.length === 0 || names.length > MAX_VARIANTS) throw new RpcError('INVALID_ARGUMENT', `a union has 1 to ${MAX_VARIANTS} alternatives`)
  if (names.includes('none')) throw new RpcError('INVALID_ARGUMENT', 'union.none: the name stands for a union that was given no value')
  const type: UnionType<Variants> = { kind: 'union', label: `union(${names.join(' | ')})`, variants, [CODEC]: once(() => new UnionCodec(type)) }
  return type
}
