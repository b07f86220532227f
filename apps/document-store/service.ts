// What the store's server and its clients agree on.
import { array, bool, f64, json, list, method, nothing, numbers, optional, ref, service, struct, text, u32, union, type View } from 'rpcool'
import type { Json } from './store/values.js'

/** Documents that one client puts one by one at once. */
export const SINGLE_PLACES = 64
/** Documents that are handed over by one call. */
export const RUN_PLACES = 32
/** Such calls in flight at once: while the server collects its garbage, the client goes on. */
export const RUNS = 16
/** Documents whose hand-over one client has under way at once, and that are cleaned up after when it dies. */
export const HANDING_MAX = SINGLE_PLACES + RUNS * RUN_PLACES

/** A run of places in {@link Reader.handing}, as one number. */
export function runOf(first: number, count: number): number {
  return first << 8 | count
}

export function placesOf(run: number): { readonly first: number, readonly end: number } {
  const first = run >>> 8
  return { first, end: first + (run & 0xff) }
}

const documentOf = <Body>() => struct('Document', {
  /** The place in {@link Reader.handing} of the client that hands it over, plus one; 0 = none. Lies in what would be padding. */
  place: u32,
  key: text,
  body: json.of<Body>().fast,
})

/** A document where it lies: its key, and any JSON value. */
export const Document = documentOf<Json>()
/** `Body` is what the client's program knows about its documents; nothing checks that. */
export type DocumentView<Body = Json> = View<ReturnType<typeof documentOf<Body>>>

/** What a client tells the server through memory, without a call: in a heap that both have. */
export const Reader = struct('Reader', {
  /** Results with a ticket up to this one have been given back. Always a whole number; eight bytes are stored at once. */
  released: f64,
  /** Documents on their way to the store: the server takes them out. What is left when the client dies belongs to nobody. */
  handing: array(ref(Document), HANDING_MAX),
})

export const ScalarValue = union({ text, number: f64, bool, null: nothing })
export const BoundValue = struct('Bound', { value: ScalarValue, inclusive: bool })
export const ConditionValue = struct('Condition', {
  path: text,
  test: union({ equals: ScalarValue, contains: ScalarValue, exists: bool, prefix: text, range: struct('Range', { low: optional(BoundValue), high: optional(BoundValue) }) }),
})

export const SearchValue = struct('Search', {
  where: list(ConditionValue),
  /** 2^32 - 1 = all. */
  limit: u32,
  skip: u32,
  /** Numbers this client's results, from 1: see {@link Reader.released}. */
  ticket: f64,
})

export const IndexValue = struct('Index', { path: text, kind: text })

export const DocumentService = service('document-store', {
  /** Once, before anything else. Answers the store's mode. */
  open: method(1, Reader, text),
  /** Answers whether a document was replaced. */
  put: method(2, Document, bool),
  get: method(3, struct('Get', { key: text, ticket: f64 }), ref(Document)),
  delete: method(4, text, bool),
  update: method(5, struct('Update', { key: text, path: text, value: json.fast }), bool),
  /** Addresses of documents: the client makes views of those that it reads. */
  find: method(6, SearchValue, numbers(f64)),
  count: method(7, SearchValue, u32),
  group: method(8, struct('Grouping', { search: SearchValue, path: text }), list(struct('Group', { value: ScalarValue, count: u32 }))),
  /** Addresses too, left and right in turn. */
  join: method(9, struct('Join', { search: SearchValue, left: text, right: text }), numbers(f64)),
  /** Copies of the fields alone, one object a document; paths that lead nowhere are left out. */
  project: method(10, struct('Projection', { search: SearchValue, paths: list(text) }), json),
  createIndex: method(11, IndexValue, nothing),
  dropIndex: method(12, text, bool),
  indexes: method(13, nothing, list(IndexValue)),
  clear: method(14, nothing, u32),
  /** Puts the documents in a run of the client's places, see {@link runOf}. Those that the store did not take are left there. Answers how many were replaced. */
  putRun: method(16, u32, u32),
  stats: method(15, nothing, struct('Stats', { documents: u32, awaitingRelease: u32, heapBytes: f64, freeBytes: f64, liveBytes: f64 })),
})
