import type { Region } from '../memory/region.js'
import type { Address } from '../base/numbers.js'
import { RpcError } from '../base/errors.js'

/** The region a view reads through. */
export const REGION: unique symbol = Symbol('rpcool.region')
/** Word index of the object in the region's buffer. */
export const WORD: unique symbol = Symbol('rpcool.word')
/** On the prototype of every view class: the type it is a view of. A spread copy of a view does not have it. */
export const TYPE: unique symbol = Symbol('rpcool.type')
/** Under which a view class of a container has its codec. */
export const ACCESS: unique symbol = Symbol('rpcool.access')
/** Of a view of an object that an older peer made: how many words the object has. */
export const SIZE: unique symbol = Symbol('rpcool.size')

/** Of a view whose memory somebody must give back: what does it. */
export const HOLD: unique symbol = Symbol('rpcool.hold')

/** Memory that goes when its view is disposed of. */
export interface Hold {
  /** Gives the memory back. Idempotent. */
  release(): void
}

/** Of a Proxy that stands for a view: the view behind it, whose fields can be read without traps. */
export const BEHIND: unique symbol = Symbol('rpcool.behind')

/** A view, as the library sees it. */
export interface Located {
  readonly [REGION]: Region
  readonly [WORD]: number
  readonly [TYPE]: unknown
}

/** Whether a value is a view: of a struct, list, fixed array or map in shared memory. */
export function isView(value: unknown): boolean {
  return asView(value) !== undefined
}

export function asView(value: unknown): Located | undefined {
  // Of plain objects of many forms `in` takes long to find nothing; what answers every question, as some proxies do, is no view yet.
  if (typeof value !== 'object' || value === null || (value as Partial<Located>)[TYPE] === undefined || !(TYPE in value)) return undefined
  const view = (value as { readonly [BEHIND]?: Located })[BEHIND] ?? value as Located
  // A view class's own prototype has the type, but no region.
  return view[REGION] === undefined || view[REGION] === null ? undefined : view
}

function requireView(value: unknown): Located {
  const view = asView(value)
  if (view === undefined) throw new RpcError('INVALID_ARGUMENT', `expected a view of an object in shared memory, got ${typeof value}`)
  return view
}

/**
 * Whether two views stand for the same object, that is have the same address. Every read of a ref makes a new view, so
 * `a.next === a.next` is false and `same(a.next, a.next)` is true. Null is the same as null.
 */
export function same(a: object | null | undefined, b: object | null | undefined): boolean {
  if (a === null || b === null || a === undefined || b === undefined) return (a ?? null) === (b ?? null)
  if (a === b) return true
  const left = asView(a)
  const right = asView(b)
  if (left === undefined || right === undefined) return false
  const x = left[REGION]
  const y = right[REGION]
  return x.high === y.high && x.lowOf(left[WORD]) === y.lowOf(right[WORD])
}

/** The native address of the object a view stands for: the same number in every process that maps the heap. */
export function addressOf(view: object): Address {
  const located = requireView(view)
  return located[REGION].addressOf(located[WORD])
}

/** @internal Region and position of a view, for the layers above that hand pointers over. */
export function locationOf(view: object): { readonly region: Region, readonly word: number } {
  const located = requireView(view)
  return { region: located[REGION], word: located[WORD] }
}
