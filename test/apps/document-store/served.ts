// The store behind its server, as the tests drive it: a server in this process or another, a client that waits on its thread.
import { isJson, plain, type View } from 'rpcool'
import { type StoreClient } from '../../../apps/document-store/client.js'
import type { Document } from '../../../apps/document-store/service.js'
import type { Json } from '../../../apps/document-store/store/values.js'
import { byKey, type Tested } from './tested.js'

/** The client's operations, with results as plain values. */
export function servedTested(client: StoreClient): Tested {
  const { sync } = client
  return {
    put: (key, body) => sync.put(key, body),
    get: (key) => {
      using got = sync.get(key)
      return got === undefined ? undefined : plainBody(got.document)
    },
    delete: (key) => sync.delete(key),
    update: (key, path, value) => sync.update(key, path, value),
    find: (filter, options) => {
      using results = sync.find(filter, options)
      return Array.from(results, (document) => [document.key, plainBody(document)] as const).sort(byKey)
    },
    count: (filter) => sync.count(filter),
    group: (filter, path) => client.group(filter, path),
    join: async (filter, left, right, options) => {
      using pairs = await client.join(filter, left, right, options)
      return Array.from(pairs, ({ left: one, right: other }) => [one.key, other.key] as const)
    },
    project: (filter, paths) => client.project(filter, paths),
    createIndex: (path, kind) => client.createIndex(path, kind),
    dropIndex: (path) => client.dropIndex(path),
    clear: () => client.clear(),
  }
}

export function plainBody({ body }: View<typeof Document>): Json {
  return (isJson(body) ? plain(body as object) : body) as unknown as Json
}
