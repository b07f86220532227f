// What peers ask a store of plain documents, and how it answers: one JSON value each way.
import { conditionsOf, type Filter } from '../../apps/document-store/store/filter.js'
import { type PlainDocument, plainDocuments } from '../../apps/document-store/store/plain-documents.js'
import { DocumentStore } from '../../apps/document-store/store/store.js'
import type { IndexKind } from '../../apps/document-store/store/indexes.js'
import { INDEXES } from './mix.js'

export type Request =
  | { readonly op: 'put', readonly document: PlainDocument }
  | { readonly op: 'putAll', readonly documents: readonly PlainDocument[] }
  | { readonly op: 'find', readonly filter: Filter, readonly project: boolean }
  | { readonly op: 'findAll', readonly filters: readonly Filter[], readonly project: boolean }
  | { readonly op: 'clear' }

/** What the client reads of a result, when the server sends that alone: a best user's answer to large documents. */
export type Projection = readonly [str1: string, num: number, nestedNum: number]

/** A fresh store with the indexes of the trial. */
export function indexedStore(): DocumentStore<PlainDocument> {
  const store = new DocumentStore(plainDocuments)
  for (const [path, kind] of INDEXES) store.createIndex(path, kind satisfies IndexKind)
  return store
}

/** Answers requests over a store of its own. */
export function plainServer(): (request: Request) => unknown {
  const store = indexedStore()
  const find = (filter: Filter, project: boolean): readonly unknown[] => {
    const found = store.find({ where: conditionsOf(filter) })
    return project ? found.map(projected) : found
  }
  return (request) => {
    switch (request.op) {
      case 'put': return store.put(request.document.key, request.document) !== undefined
      case 'putAll':
        for (const document of request.documents) store.put(document.key, document)
        return store.size
      case 'find': return find(request.filter, request.project)
      case 'findAll': return request.filters.map((filter) => find(filter, request.project))
      case 'clear': return store.clear().length
      default: return unreachable(request)
    }
  }
}

function projected({ body }: PlainDocument): Projection {
  const { str1, num, nested_obj } = body as unknown as { readonly str1: string, readonly num: number, readonly nested_obj: { readonly num: number } }
  return [str1, num, nested_obj.num]
}

function unreachable(request: never): never {
  throw new TypeError(`no such request: ${JSON.stringify(request)}`)
}
