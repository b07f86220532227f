import { randomOrder } from '../support/plain-list.js'
import { encodeNumber } from './encode.js'

/** Sparse attributes are numbered from 0 to here; a document has one cluster of ten of them. */
export const SPARSE_ATTRIBUTES = 1000
export const CLUSTER_SIZE = 10
const CLUSTERS = SPARSE_ATTRIBUTES / CLUSTER_SIZE
const MAX_NESTED = 7
/** Documents that share one value of a sparse attribute, on average. */
const SHARERS = 10
/** Words that nested arrays are drawn from, small numbers more often. */
const WORDS = 4096

/** One document of NoBench ("Enabling JSON Document Stores in Relational Systems", WebDB 2013). */
export interface NoBenchDocument {
  /** Unique in the set. */
  str1: string
  /** Ten documents share one on average. */
  str2: string
  /** From 0 to the number of documents - 1; unique in the set. */
  num: number
  bool: boolean
  /** A number in half of the documents, the same number as a string in the other half. */
  dyn1: number | string
  /** A string, a boolean or a number. */
  dyn2: number | string | boolean
  /** None to seven. */
  nested_arr: string[]
  /** `str` is the `str1` of another document, `num` its number. */
  nested_obj: { str: string, num: number }
  /** num % 1000. */
  thousandth: number
  /** Ten neighbours of the thousand attributes sparse_000 to sparse_999. */
  [sparse: `sparse_${string}`]: string
}

/** Documents that depend on count, seed and their index alone: the same in every process, in any order. */
export class NoBench {
  readonly #numbers: Uint32Array
  readonly #partners: Uint32Array
  readonly #sparseValues: number

  constructor(readonly count: number, readonly seed: number = 0xb0b) {
    this.#numbers = randomOrder(count, seed)
    this.#partners = randomOrder(count, seed + 1)
    this.#sparseValues = Math.max(1, Math.round(count / CLUSTERS / SHARERS))
  }

  /** @param index from 0 to count - 1. */
  document(index: number): NoBenchDocument {
    const num = at(this.#numbers, index)
    const partner = at(this.#partners, index)
    const random = new Draw(this.seed, index)
    const document: NoBenchDocument = {
      str1: encodeNumber(num),
      str2: encodeNumber(Math.floor(num / SHARERS)),
      num,
      bool: random.below(2) === 0,
      dyn1: random.below(2) === 0 ? num : String(num),
      dyn2: dynamic(random, partner),
      nested_arr: Array.from({ length: random.below(MAX_NESTED + 1) }, () => word(random)),
      nested_obj: { str: encodeNumber(partner), num: partner },
      thousandth: num % 1000,
    }
    const first = random.below(CLUSTERS) * CLUSTER_SIZE
    for (let i = first; i < first + CLUSTER_SIZE; i++) document[sparseName(i)] = encodeNumber(random.below(this.#sparseValues))
    return document
  }

  *[Symbol.iterator](): IterableIterator<NoBenchDocument> {
    for (let i = 0; i < this.count; i++) yield this.document(i)
  }
}

/** sparse_000 … sparse_999 */
export function sparseName(attribute: number): `sparse_${string}` {
  return `sparse_${String(attribute).padStart(3, '0')}`
}

/** A word that nested arrays hold. */
function word(random: Draw): string {
  return encodeNumber(Math.floor(random.below(WORDS) * random.below(WORDS) / WORDS))
}

function dynamic(random: Draw, value: number): string | boolean | number {
  const kind = random.below(3)
  return kind === 0 ? encodeNumber(value) : kind === 1 ? value % 2 === 0 : value
}

function at(numbers: Uint32Array, index: number): number {
  const value = numbers[index]
  if (value === undefined) throw new RangeError(`there is no document ${index} of ${numbers.length}`)
  return value
}

/** Random numbers of one document (xorshift32 from a mix of seed and index). */
class Draw {
  #state: number

  constructor(seed: number, index: number) {
    const mixed = Math.imul(seed ^ Math.imul(index + 1, 0x9e37_79b1), 0x85eb_ca6b)
    this.#state = (mixed ^ mixed >>> 15) || 1
    this.below(1)
  }

  below(limit: number): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return (x >>> 0) % limit
  }
}
