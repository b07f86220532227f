// Documents in shared memory, as the store reads and changes them.
import { jsonPath, type JsonPath, RpcError } from 'rpcool'
import type { DocumentView } from './service.js'
import type { Documents } from './store/documents.js'
import { COMPOUND, type Found, indexOf, isScalar, type Json, parsePath, requirePlace, type Scalar } from './store/values.js'

type Holder = Readonly<Record<string, unknown>>
/** Of the views of `json.fast`, an array's: elements by method, not by key. */
interface ArrayView extends Iterable<unknown> {
  readonly length: number
  at(index: number): unknown
  set(index: number, value: unknown): void
}

export const sharedDocuments: Documents<DocumentView> = {
  reader(path) {
    const keys = parsePath(path)
    const select = keys.some((key) => indexOf(key) >= 0) ? undefined : compiled(keys)
    if (select === undefined) return ({ body }) => found(walk(body, keys))
    // An array has no keys; a compiled path expects an object.
    return ({ body }) => (isHolder(body) && !isArray(body) ? found(select(body)) : undefined)
  },

  assign({ body }, path, value: Json) {
    const keys = parsePath(path)
    const last = keys.at(-1) ?? ''
    const holder = walk(body, keys.slice(0, -1))
    requirePlace(holder, keys)
    if (isArray(holder)) holder.set(indexOf(last), value)
    else Reflect.set(holder, last, value)
  },
}

/** Undefined when there are compiled paths over too many keys already: somebody asks about ever new ones. */
function compiled(keys: readonly string[]): JsonPath | undefined {
  try {
    return jsonPath(...keys)
  } catch (error) {
    if (RpcError.is(error) && error.code === 'RESOURCE_EXHAUSTED') return undefined
    throw error
  }
}

function isHolder(body: unknown): body is object {
  return typeof body === 'object' && body !== null
}

/** What a path leads to, as a view where it is no scalar. */
export function walk(body: unknown, keys: readonly string[]): unknown {
  let value = body
  for (const key of keys) value = member(value, key)
  return value
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  if (isArray(value)) {
    const index = indexOf(key)
    return index < 0 ? undefined : value.at(index)
  }
  const found = (value as Holder)[key]
  // A view has methods, and a document has none.
  return typeof found === 'function' ? undefined : found
}

function isArray(value: object): value is ArrayView {
  return Symbol.iterator in value
}

function found(value: unknown): Found {
  if (typeof value !== 'object' || value === null) return value as Found
  return isArray(value) ? scalarsOf(value) : COMPOUND
}

function scalarsOf(values: Iterable<unknown>): readonly Scalar[] {
  const scalars: Scalar[] = []
  for (const value of values) if (isScalar(value)) scalars.push(value)
  return scalars
}
