// One face for the store however it is reached, so that the same tests run over all of them.
import type { Filter } from '../../../apps/document-store/store/filter.js'
import { conditionsOf } from '../../../apps/document-store/store/filter.js'
import type { IndexKind } from '../../../apps/document-store/store/indexes.js'
import { type PlainDocument, plainDocuments } from '../../../apps/document-store/store/plain-documents.js'
import { DocumentStore } from '../../../apps/document-store/store/store.js'
import type { Json, Scalar } from '../../../apps/document-store/store/values.js'

export interface Options {
  readonly limit?: number
  readonly skip?: number
}

/** Results are plain values, documents sorted by key: in which order they are found is another matter. */
export interface Tested {
  put(key: string, body: Json): boolean
  get(key: string): Json | undefined
  delete(key: string): boolean
  update(key: string, path: string, value: Json): boolean
  find(filter: Filter, options?: Options): (readonly [key: string, body: Json])[]
  count(filter: Filter): number
  group(filter: Filter, path: string): Promise<Map<Scalar, number>>
  /** Keys of pairs. */
  join(filter: Filter, left: string, right: string, options?: Options): Promise<(readonly [string, string])[]>
  project(filter: Filter, paths: readonly string[]): Promise<Record<string, Json>[]>
  createIndex(path: string, kind: IndexKind): Promise<void>
  dropIndex(path: string): Promise<boolean>
  clear(): Promise<number>
}

/** The store itself, over plain objects. */
export function plainTested(): Tested {
  const store = new DocumentStore<PlainDocument>(plainDocuments)
  return {
    put: (key, body) => store.put(key, { key, body: structuredClone(body) }) !== undefined,
    get: (key) => store.get(key)?.body,
    delete: (key) => store.delete(key) !== undefined,
    update: (key, path, value) => store.update(key, path, structuredClone(value)),
    find: (filter, options) => store.find({ where: conditionsOf(filter), ...options }).map(({ key, body }) => [key, body] as const).sort(byKey),
    count: (filter) => store.count(conditionsOf(filter)),
    group: (filter, path) => Promise.resolve(store.group(conditionsOf(filter), path)),
    join: (filter, left, right, options) =>
      Promise.resolve(store.join({ where: conditionsOf(filter), ...options }, left, right).map(([one, other]) => [one.key, other.key] as const)),
    project: (filter, paths) => Promise.resolve(store.find({ where: conditionsOf(filter) }).map(({ body }) => projection(body, paths))),
    createIndex: (path, kind) => Promise.resolve(store.createIndex(path, kind)),
    dropIndex: (path) => Promise.resolve(store.dropIndex(path)),
    clear: () => Promise.resolve(store.clear().length),
  }
}

export function byKey([a]: readonly [string, Json], [b]: readonly [string, Json]): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** What JSON has at a path; undefined where there is nothing. */
export function at(body: Json | undefined, path: string): Json | undefined {
  let value = body
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key) || (Array.isArray(value) && key === 'length')) return undefined
    value = (value as Record<string, Json>)[key]
  }
  return value
}

export function projection(body: Json, paths: readonly string[]): Record<string, Json> {
  return Object.fromEntries(paths.flatMap((path) => {
    const value = at(body, path)
    return value === undefined ? [] : [[path, value]]
  }))
}
