import { method, nothing, ref, service, text } from 'rpcool'
import { Catalog, Feature } from './schema.js'

/** What client and server agree on. Both answers are pointers into the heap that the server shares with all its clients. */
export const Compatibility = service('compatibility', {
  /** The feature of a whole name, such as `api.AbortController`; null when there is none. */
  lookup: method(1, text, ref(Feature)),
  /** The root of everything. */
  catalog: method(2, nothing, ref(Catalog)),
})
