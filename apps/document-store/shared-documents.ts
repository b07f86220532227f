// Documents in shared memory, as the store reads and changes them.
import { type Address, jsonPath, type JsonPath, type ObjectHeap, RpcError } from 'rpcool'
import { Document, type DocumentView } from './service.js'
import type { Documents, Reader } from './store/documents.js'
import { COMPOUND, type Found, indexOf, isScalar, type Json, parsePath, requirePlace, type Scalar } from './store/values.js'

type Holder = Readonly<Record<string, unknown>>
/** Of the views of `json.fast`, an array's: elements by method, not by key. */
interface ArrayView extends Iterable<unknown> {
  readonly length: number
  at(index: number): unknown
  set(index: number, value: unknown): void
}

/** Documents as addresses in a heap: a number each, where a view would be an object of its own for every document. */
export class SharedDocuments implements Documents<Address> {
  /** No object lies there. */
  readonly absent = 0 as Address
  #heap: ObjectHeap | undefined

  /** Names the heap, which is there after the store. */
  set heap(heap: ObjectHeap) {
    this.#heap = heap
  }

  get heap(): ObjectHeap {
    if (this.#heap === undefined) throw new RpcError('UNAVAILABLE', 'the store is still being started')
    return this.#heap
  }

  /** @throws WildPointerError when somebody has spoiled what is there. */
  at(address: Address): DocumentView {
    return this.heap.at(Document, address)
  }

  body(address: Address): unknown {
    return this.at(address).body
  }

  reader(path: string): Reader {
    const keys = parsePath(path)
    const select = compiled(keys)
    if (select === undefined) return (body) => found(walk(body, keys))
    return (body) => (typeof body === 'object' && body !== null ? found(select(body)) : undefined)
  }

  assign(address: Address, path: string, value: Json): void {
    const keys = parsePath(path)
    const last = keys.at(-1) ?? ''
    const holder = walk(this.at(address).body, keys.slice(0, -1))
    requirePlace(holder, keys)
    if (isArray(holder)) holder.set(indexOf(last), value)
    else Reflect.set(holder, last, value)
  }
}

const SEARCHED_UNITS_MAX = 2 ** 27

/** Code grows with the keys of a path, and a store keeps readers of thousands of paths. */
const COMPILED_KEYS_MAX = 16

/** Undefined for a path that is walked instead: too long a one, or one more when there are compiled paths over too many keys. */
function compiled(keys: readonly string[]): JsonPath | undefined {
  if (keys.length > COMPILED_KEYS_MAX) return undefined
  try {
    return jsonPath(...keys)
  } catch (error) {
    if (RpcError.is(error) && error.code === 'RESOURCE_EXHAUSTED') return undefined
    throw error
  }
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
  if (isScalar(value)) return value
  if (typeof value !== 'object' || value === null) return undefined
  return isArray(value) ? scalarsOf(value) : COMPOUND
}

function scalarsOf(values: Iterable<unknown>): readonly Scalar[] {
  const scalars: Scalar[] = []
  let units = 0
  for (const value of values) {
    if (!isScalar(value)) continue
    scalars.push(value)
    // A million elements may be one text that was stored once: a client of a trusting store can point at it so often.
    if (typeof value === 'string') units += value.length
    if (units > SEARCHED_UNITS_MAX) throw new RangeError(`an array that is searched or indexed holds ${SEARCHED_UNITS_MAX} code units of text at most`)
  }
  return scalars
}
