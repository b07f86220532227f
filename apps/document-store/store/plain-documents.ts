// Documents as ordinary objects: what a server behind JSON, msgpack, gRPC or Thrift stores.
import type { Documents } from './documents.js'
import { COMPOUND, type Found, indexOf, isScalar, type Json, parsePath, requirePlace } from './values.js'

export interface PlainDocument {
  readonly key: string
  readonly body: Json
}

export const plainDocuments: Documents<PlainDocument> = {
  absent: { key: '', body: null },

  body: ({ body }) => body,

  reader(path) {
    const keys = parsePath(path)
    const [first, second] = keys as [string, string | undefined]
    // A key that every object inherits something under.
    if (keys.some((key) => key in Object.prototype)) return (body) => found(walk(body, keys, ownMember))
    if (second === undefined) return (body) => found(member(body, first))
    return (body) => found(walk(body, keys, member))
  },

  assign({ body }, path, value) {
    const keys = parsePath(path)
    const holder = walk(body, keys.slice(0, -1), ownMember)
    requirePlace(holder, keys)
    Object.defineProperty(holder, keys.at(-1) ?? '', { value, writable: true, enumerable: true, configurable: true })
  },
}

function walk(body: unknown, keys: readonly string[], get: (value: unknown, key: string) => unknown): unknown {
  let value = body
  for (const key of keys) value = get(value, key)
  return value
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Array.isArray(value) ? value[indexOf(key)] : (value as Readonly<Record<string, unknown>>)[key]
}

function ownMember(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? member(value, key) : undefined
}

function found(value: unknown): Found {
  if (typeof value !== 'object' || value === null) return value as Found
  return Array.isArray(value) ? value.filter(isScalar) : COMPOUND
}
