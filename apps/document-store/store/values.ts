import type { JsonValue } from 'rpcool'

/** What can be compared and indexed. */
export type Scalar = string | number | boolean | null

/** Any JSON value. */
export type Json = JsonValue

/** Stands for an object, or an array, where a scalar was looked for: there is something, and it equals no scalar. */
export const COMPOUND: unique symbol = Symbol('an object')

/** What a path leads to: nothing, a scalar, the scalars of an array, or something else. */
export type Found = Scalar | readonly Scalar[] | typeof COMPOUND | undefined

/** NaN is none: no document has it but one that somebody spoiled, and it has no place in an order. */
export function isScalar(value: unknown): value is Scalar {
  return value === null || typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && !Number.isNaN(value))
}

/** A path such as `nested_obj.str`, as its keys; `\.` is a dot in a key, and `\\` a backslash. Throws RangeError for one that cannot be walked. */
export function parsePath(path: string): readonly string[] {
  if (typeof path !== 'string' || path === '' || path.length > PATH_LENGTH_MAX) {
    throw new RangeError(`a path is 1 to ${PATH_LENGTH_MAX} characters long: keys with dots between them`)
  }
  if (!path.includes('\\')) return path.split('.')
  // One spelling for each path: indexes know them by it.
  if (/\\(?![\\.])/.test(path.replaceAll('\\\\', ''))) throw new RangeError(`in a path, a backslash stands before a dot or a backslash of a key: ${path}`)
  return Array.from(`.${path}`.matchAll(/\.((?:[^\\.]|\\.)*)/g), ([, key = '']) => key.replaceAll(/\\(.)/g, '$1'))
}

/** A key as it stands in a path. */
export function spellKey(key: string): string {
  return key.replaceAll(/[\\.]/g, '\\$&')
}

const PATH_LENGTH_MAX = 1024

/**
 * Refuses to put a value where JSON has no place for one: into what is no object, or beside the elements of an array.
 * @param keys the path; its last key names the place in `holder`.
 */
export function requirePlace(holder: unknown, keys: readonly string[]): asserts holder is Record<string, unknown> {
  const last = keys.at(-1) ?? ''
  const where = JSON.stringify(keys.slice(0, -1).join('.'))
  if (typeof holder !== 'object' || holder === null) throw new RangeError(`there is no object at ${where} to hold "${last}"`)
  if (!(Symbol.iterator in holder)) return
  const { length } = holder as unknown as { readonly length: number }
  const index = indexOf(last)
  if (index < 0 || index >= length) throw new RangeError(`the array at ${where} has no element "${last}"`)
}

/** The index that a key of a path is in an array; -1 when it is none. */
export function indexOf(key: string): number {
  const index = Number(key)
  return index >= 0 && String(index) === key && Number.isInteger(index) ? index : -1
}
