// The store as anybody would write it down: a Map, and a look at every document.
import type { Filter, RangeTest, Test } from '../../../apps/document-store/store/filter.js'
import type { Json, Scalar } from '../../../apps/document-store/store/values.js'
import { at, byKey, type Options, projection, type Tested } from './tested.js'

export function model(): Tested {
  const documents = new Map<string, Json>()
  const search = (filter: Filter): (readonly [string, Json])[] =>
    [...documents].filter(([, body]) => Object.entries(filter).every(([path, test]) => holds(at(body, path), test))).sort(byKey)
  return {
    put: (key, body) => {
      const had = documents.has(key)
      documents.set(key, structuredClone(body))
      return had
    },
    get: (key) => documents.get(key),
    delete: (key) => documents.delete(key),
    update: (key, path, value) => {
      const body = documents.get(key)
      if (body === undefined) return false
      const keys = path.split('.')
      const last = keys.pop() ?? ''
      const holder = keys.length === 0 ? body : at(body, keys.join('.'))
      if (typeof holder !== 'object' || holder === null) throw new RangeError('no such object')
      if (Array.isArray(holder) && !(last in holder && /^[0-9]+$/.test(last))) throw new RangeError('no such element')
      ;(holder as Record<string, Json>)[last] = structuredClone(value)
      return true
    },
    find: (filter, { limit = Infinity, skip = 0 }: Options = {}) => search(filter).slice(skip, skip + limit),
    count: (filter) => search(filter).length,
    group: (filter, path) => {
      const groups = new Map<Scalar, number>()
      for (const [, body] of search(filter)) {
        const value = at(body, path)
        if (value !== undefined && (typeof value !== 'object' || value === null)) groups.set(value, (groups.get(value) ?? 0) + 1)
      }
      return Promise.resolve(groups)
    },
    join: (filter, left, right) => Promise.resolve(search(filter).flatMap(([key, body]) => {
      const value = at(body, left)
      if (value === undefined || (typeof value === 'object' && value !== null)) return []
      return [...documents].filter(([, other]) => at(other, right) === value).map(([other]) => [key, other] as const)
    })),
    project: (filter, paths) => Promise.resolve(search(filter).map(([, body]) => projection(body, paths))),
    createIndex: () => Promise.resolve(),
    dropIndex: () => Promise.resolve(false),
    clear: () => {
      const { size } = documents
      documents.clear()
      return Promise.resolve(size)
    },
  }
}

function holds(value: Json | undefined, test: Test): boolean {
  if (typeof test !== 'object' || test === null) return value === test
  if ('prefix' in test) return typeof value === 'string' && value.startsWith(test.prefix)
  if ('exists' in test) return (value !== undefined) === test.exists
  if ('contains' in test) return Array.isArray(value) && value.includes(test.contains)
  return within(value, test)
}

function within(value: Json | undefined, { gte, gt, lte, lt }: RangeTest): boolean {
  const type = typeof (gte ?? gt ?? lte ?? lt)
  if ((typeof value !== 'number' && typeof value !== 'string') || typeof value !== type) return false
  return (gte === undefined || value >= gte!) && (gt === undefined || value > gt!) && (lte === undefined || value <= lte!) && (lt === undefined || value < lt!)
}
