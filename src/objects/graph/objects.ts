import { RpcError } from '../../base/errors.js'
import { addressHigh, addressLow, type Address } from '../../base/numbers.js'
import { requireLimits } from '../../base/options.js'
import type { Allocator, Region } from '../../memory/region.js'
import { building } from './build.js'
import { type BlockCodec, liveBytes } from '../sequence/bytes.js'
import { codecOf, isType, type AnyType, type Codec } from '../codec.js'
import { Copier, type CopyLimits } from './copier.js'
import { NumbersCodec } from '../sequence/numbers.js'
import { allocatorOf, damaged } from '../problems.js'
import { sizeOfView, StructCodec } from '../struct/struct.js'
import { zeroRegion } from './staging.js'
import type { NumberArrays, Plain, View } from '../types.js'
import { addressOf, asView, REGION, TYPE, WORD, type Located } from '../view.js'

const CONTAINERS: ReadonlySet<string> = new Set(['list', 'map', 'set', 'sortedMap', 'array', 'shared'])

/**
 * Writes a plain value, with every object it reaches, into memory of the allocator and returns a view of it. A plain object
 * reached twice through refs becomes one object, so cycles are kept. Views inside the value are pointed at (by a ref) or
 * copied (elsewhere). What is built is the caller's; end it with {@link release}. When the value is refused half-way,
 * everything is freed again.
 * @throws RpcError INVALID_ARGUMENT naming struct and field; RESOURCE_EXHAUSTED when the memory is full.
 */
export function build<T extends AnyType>(type: T, allocator: Allocator, value: Plain<T>): View<T> {
  const codec = codecOf(type)
  if (codec instanceof StructCodec) return codec.create(allocator, value) as View<T>
  if (!CONTAINERS.has(type.kind)) {
    throw new RpcError('INVALID_ARGUMENT', `${type.label} has no views; objects are of a struct, list, map, set, sortedMap or array type`)
  }
  return building(allocator, (builder) => {
    const word = builder.allocate(codec.bytes)
    const { region } = builder
    codec.write(builder, region, word, value, type.label)
    return codec.read(region, word)
  }) as View<T>
}

/**
 * Frees an object and everything it owns: texts, bytes, lists, maps, unions. Not what its refs point to, unless `deep`: then
 * every object that can be reached is freed, once. Views of freed memory must not be used any more. What was reached inside a
 * write of something shared is freed when that has happened.
 * @throws RpcError INVALID_ARGUMENT when the object was freed already, or is a part of another one; nothing is freed then.
 */
export function release(allocator: Allocator, view: object, options: { readonly deep?: boolean } = {}): void {
  const located = requireView(view)
  codecOf(located[TYPE] as AnyType).release(freeingAllocator(allocator, located), located, options.deep === true)
}

function freeingAllocator(allocator: Allocator, view: Located): Allocator {
  const region = view[REGION]
  const { origin } = region
  if (region === origin || !allocator.owns(origin)) return allocator
  const { label } = view[TYPE] as AnyType
  const within = allocatorOf(region, label)
  if (allocator.startsBlock?.(origin, view[WORD]) === false) {
    throw new RpcError('INVALID_ARGUMENT', `free of ${label} at 0x${addressOf(view).toString(16)}, which is a part of another object, or was freed before`)
  }
  return within
}

/**
 * Copies a graph into memory of another allocator, keeping sharing and cycles. The copy is the caller's.
 * @param limits after which it gives up with RESOURCE_EXHAUSTED, having freed everything.
 */
export function copyGraph<V extends object>(view: V, allocator: Allocator, limits: CopyLimits = {}): V {
  requireLimits('copyFrom', limits, { maxNodes: true, maxBytes: true })
  const located = requireView(view)
  const codec = codecOf(located[TYPE] as AnyType)
  const copier = new Copier(allocator, limits)
  try {
    return codec.copyView(copier, located) as V
  } catch (error) {
    copier.undo()
    throw error
  }
}

/** The object of a type at an address, checked when its type has a header, and read with checks anyhow. */
export function viewAt<T extends AnyType>(type: T, region: Region, address: Address): View<T> {
  if (!Number.isSafeInteger(address) || address <= 0) throw new RpcError('INVALID_ARGUMENT', `${String(address)} is not an address; addressOf(view) gives one`)
  const codec = codecOf(type)
  if (!(codec instanceof StructCodec) && !CONTAINERS.has(type.kind)) {
    throw new RpcError('INVALID_ARGUMENT', `${type.label} has no views, and so no objects at addresses`)
  }
  return codec.readCell(region, addressLow(address) | 0, addressHigh(address)) as View<T>
}

/** Assigns several fields of a struct's view at once: `assign(post, { likes: 3, replies: [] })`. Plain values are accepted. */
export function assign<V extends object>(view: V, values: { readonly [K in keyof V]?: unknown }): void {
  requireView(view)
  const codec = codecOf((view as unknown as Located)[TYPE] as AnyType)
  for (const [name, value] of Object.entries(values)) {
    if (!codec.fieldNames.includes(name)) throw new RpcError('INVALID_ARGUMENT', `${codec.type.label} has no field ${name}`)
    Reflect.set(view, name, value)
  }
}

/**
 * The live memory behind a bytes field, without a copy. Unsafe in two ways: a peer may change it while it is being looked at,
 * so it must not be given to TextDecoder, Buffer.toString or other native code; and it is another object's memory once the
 * field is assigned or its holder freed.
 */
export function unsafeBytes<V extends object>(view: V, field: keyof V & string): Uint8Array {
  const { region, p } = placeOf(view, field, 'bytes')
  return p < 0 ? new Uint8Array(0) : liveBytes(region, p)
}

/**
 * The live memory behind a field of numbers, as a typed array: what is stored there is stored for everybody. As unsafe as
 * {@link unsafeBytes}: a peer may change each number between two looks at it.
 */
export function unsafeNumbers<V extends object, Field extends keyof V & string>(view: V, field: Field): V[Field] & NumberArrays[keyof NumberArrays] {
  const { codec, region, p } = placeOf(view, field, 'numbers')
  return (p < 0 ? codec.read(zeroRegion(8), 0) : (codec as NumbersCodec).live(region, p)) as V[Field] & NumberArrays[keyof NumberArrays]
}

/**
 * Copies a field of bytes or numbers to the front of an array of the same kind that is used again and again: reading the field makes
 * a new one each time, which costs more than the copy. Returns how many elements that were.
 * @throws RpcError INVALID_ARGUMENT when the array is of another kind, or too short: then it is unchanged.
 */
export function readInto<V extends object, Field extends keyof V & string>(view: V, field: Field, target: V[Field] & (Uint8Array | NumberArrays[keyof NumberArrays])): number {
  const { codec, region, p } = placeOf(view, field, 'bytes', 'numbers')
  if (codec instanceof NumbersCodec ? !codec.takes(target) : !(target instanceof Uint8Array)) {
    throw new RpcError('INVALID_ARGUMENT', `${field} cannot be read into ${typeof target}: give an array of the kind that reading it gives`)
  }
  if (p < 0) return 0
  const into = target instanceof Uint8Array ? target : new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
  const length = (codec as BlockCodec).readInto(region, p, into)
  if (length % target.BYTES_PER_ELEMENT !== 0) damaged(`${length} bytes are no whole number of elements of ${target.BYTES_PER_ELEMENT}`)
  return length / target.BYTES_PER_ELEMENT
}

/** Where a field of one of the kinds lies; -1 in an object of an older version, which lacks it. */
function placeOf(view: object, field: string, kind: string, otherKind = kind): { readonly codec: Codec, readonly region: Region, readonly p: number } {
  const located = requireView(view)
  const codec = codecOf(located[TYPE] as AnyType)
  const place = codec instanceof StructCodec ? codec.layout.byName.get(field) : undefined
  if (place === undefined || (place.type.kind !== kind && place.type.kind !== otherKind)) {
    throw new RpcError('INVALID_ARGUMENT', `${codec.type.label}.${field} is not a field of ${kind === otherKind ? kind : `${kind} or ${otherKind}`}`)
  }
  const isThere = sizeOfView(located, codec as StructCodec) >= place.endWords
  return { codec: place.codec, region: located[REGION], p: isThere ? located[WORD] + place.offset / 4 : -1 }
}

/** The type a view is a view of. */
export function typeOf(view: object): AnyType {
  const type = requireView(view)[TYPE]
  if (!isType(type)) throw new RpcError('INVALID_ARGUMENT', 'not a view of this copy of the package')
  return type
}

function requireView(value: object): Located {
  const view = asView(value)
  if (view === undefined) throw new RpcError('INVALID_ARGUMENT', 'expected a view of an object in shared memory')
  return view
}
