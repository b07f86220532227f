// The documents and the searches of the trial.
import type { Filter } from '../../apps/document-store/store/filter.js'
import { NoBench, type NoBenchDocument } from '../nobench/generate.js'

/** The sparse attribute that is searched by. A hundredth of the documents have it, ten of those share a value. */
export const SPARSE = 'sparse_550'

export const INDEXES = [['str1', 'hash'], [SPARSE, 'hash'], ['num', 'ordered']] as const

const RANGE = 100

export const KINDS = ['str1', 'sparse', 'range'] as const
export type SearchKind = (typeof KINDS)[number]

export interface SearchOrder {
  readonly kind: SearchKind
  readonly filter: Filter
}

export interface DataSet {
  readonly documents: readonly NoBenchDocument[]
  /** A third of each kind, in turn. */
  readonly searches: readonly SearchOrder[]
}

export function keyOf(index: number): string {
  return `nobench/${index}`
}

/** The same in every process. */
export function dataSet(count: number, searchCount: number): DataSet {
  const documents = [...new NoBench(count)]
  const sparse = documents.flatMap((document) => document[SPARSE] ?? [])
  if (sparse.length === 0) throw new RangeError(`none of ${count} documents has ${SPARSE}`)
  const searches = Array.from({ length: searchCount }, (_, i): SearchOrder => {
    // Steps that share no factor with the counts: every part of the data is asked for.
    const at = (i * 7919) % count
    const kind = KINDS[i % KINDS.length]!
    if (kind === 'str1') return { kind, filter: { str1: documents[at]!.str1 } }
    if (kind === 'sparse') return { kind, filter: { [SPARSE]: sparse[at % sparse.length]! } }
    const low = at % Math.max(1, count - RANGE)
    return { kind, filter: { num: { gte: low, lt: low + RANGE } } }
  })
  return { documents, searches }
}

/** What reading the three fields of one result adds to a sum that every way to search must come to. */
export function checked(str1: string, num: number, nestedNum: number): number {
  return str1.length + num + nestedNum
}

/** In words, for the table. */
export function mixInWords(searchCount: number): string {
  return `${searchCount} searches in turn: str1 = (hash index, 1 result), ${SPARSE} = (hash index, some 10), ` +
    `num from … to … (ordered index, ${RANGE}); the client reads str1, num and nested_obj.num of every result`
}
