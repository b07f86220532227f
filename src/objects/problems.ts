import { RpcError, WildPointerError } from '../base/errors.js'
import type { Allocator, Region } from '../memory/region.js'
import { journal, refuseWrite } from './shared/journal.js'

/** A value of the wrong type or out of range. */
export function mismatch(where: string, expected: string, got: unknown): never {
  throw new RpcError('INVALID_ARGUMENT', `${where}: expected ${expected}, got ${show(got)}`)
}

export { refuseWrite } from './shared/journal.js'

export function refuseAbsent(where: string): never {
  throw new RpcError('FAILED_PRECONDITION',
    `${where} cannot be written: the object was made by a peer with an older version of the struct, without this field`)
}

export function tooLarge(where: string): never {
  throw new RpcError('OUT_OF_RANGE', `${where} is beyond 2^53 and cannot be read as a number: declare it u64 or i64`)
}

/** The allocator for what an assignment through a view needs or frees. */
export function allocatorOf(region: Region, where: string): Allocator {
  if (region.readOnly) refuseWrite(where, region)
  if (region.allocator === null) {
    throw new RpcError('FAILED_PRECONDITION', `${where} cannot be assigned: this memory is a private copy or not one's own`)
  }
  return journal.current === null ? region.allocator : journal.current.allocatorFor(region, region.allocator)
}

/** Whether a pointer to `target` may be stored in memory of `region`; throws where it may not. */
export function requireReachable(allocator: Allocator | null, region: Region | null, target: Region, where: string): void {
  if (target === region || allocator?.owns(target.origin) === true) return
  // A scope's region is never replaced, and names it.
  const holder = region ?? allocator?.region
  if (holder !== undefined && holder.scope !== null) {
    throw new RpcError('INVALID_ARGUMENT', `${where}: the object lies outside of the scope, and what lies in a scope points only to objects of that scope; bring it in with scope.copyFrom(view)`)
  }
  throw new RpcError('INVALID_ARGUMENT',
    `${where}: the object lies in memory that the peer cannot reach; copy it first with heap.copyFrom(view)`)
}

export function tooDeep(where: string, limit: number): never {
  throw new RpcError('INVALID_ARGUMENT',
    `${where}: values are nested by value more than ${limit} deep, or contain themselves: use ref(…) for deep or cyclic data`)
}

export function damaged(what: string): never {
  throw new WildPointerError(what)
}

export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'symbol' || typeof value === 'function') return `a ${typeof value}`
  return typeof value === 'object' && value !== null ? `an object (${nameOfClass(value)})` : String(value)
}

function nameOfClass(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (typeof prototype !== 'object' || prototype === null) return 'no prototype'
  const { constructor } = prototype
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'unnamed class'
}
