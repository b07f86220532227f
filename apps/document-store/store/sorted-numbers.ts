/** Entries of a chunk. Two chunks are made of one that is full; two that would fill less than half of one become one. */
const CHUNK = 128
/** Ids are from 0 to this. */
const ID_MAX = 0x7fff_ffff

class Chunk {
  readonly numbers = new Float64Array(CHUNK)
  readonly ids = new Int32Array(CHUNK)
  used = 0
}

/**
 * Pairs of a number and an id, ordered by number, then by id: chunks of typed arrays, in an order that is found by their greatest
 * pairs. (sorted-btree took twice the time to add a number, measured: it calls a function for each comparison.)
 */
export class SortedNumbers {
  readonly #chunks: Chunk[] = [new Chunk()]
  /** Of each chunk but the last, whose end is open. */
  #greatest = new Float64Array(64)
  #greatestIds = new Int32Array(64)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Adds a pair that is not there. */
  add(number: number, id: number): void {
    const index = this.#chunkOf(number, id)
    const chunk = this.#chunks[index]!
    const { numbers, ids } = chunk
    const at = placeIn(chunk, number, id)
    for (let i = chunk.used; i > at; i--) {
      numbers[i] = numbers[i - 1]!
      ids[i] = ids[i - 1]!
    }
    numbers[at] = number
    ids[at] = id
    this.#size++
    if (++chunk.used === CHUNK) this.#split(index)
  }

  /** Removes a pair, if it is there. */
  delete(number: number, id: number): void {
    const index = this.#chunkOf(number, id)
    const chunk = this.#chunks[index]!
    const at = placeIn(chunk, number, id)
    if (at === chunk.used || chunk.numbers[at] !== number || chunk.ids[at] !== id) return
    chunk.numbers.copyWithin(at, at + 1, chunk.used)
    chunk.ids.copyWithin(at, at + 1, chunk.used)
    chunk.used--
    this.#size--
    if (index + 1 < this.#chunks.length) this.#join(index)
    else if (index > 0) this.#join(index - 1)
  }

  /** How many numbers lie in a range; each end is included or not. */
  count(low: number, withLow: boolean, high: number, withHigh: boolean): number {
    const from = this.#find(low, !withLow)
    const to = this.#find(high, withHigh)
    let count = to.at - from.at
    for (let i = from.index; i < to.index; i++) count += this.#chunks[i]!.used
    return Math.max(0, count)
  }

  /** Adds the ids of the numbers in a range to a list, in order. */
  collect(low: number, withLow: boolean, high: number, withHigh: boolean, into: number[]): void {
    const from = this.#find(low, !withLow)
    const to = this.#find(high, withHigh)
    for (let i = from.index; i <= to.index; i++) {
      const { ids, used } = this.#chunks[i]!
      const end = i === to.index ? to.at : used
      for (let k = i === from.index ? from.at : 0; k < end; k++) into.push(ids[k]!)
    }
  }

  /** Where a number's pairs begin, or where they have ended. */
  #find(number: number, behind: boolean): { readonly index: number, readonly at: number } {
    const id = behind ? ID_MAX : -1
    const index = this.#chunkOf(number, id)
    return { index, at: placeIn(this.#chunks[index]!, number, id) }
  }

  /** The chunk in which a pair lies or would lie. */
  #chunkOf(number: number, id: number): number {
    const greatest = this.#greatest
    let first = 0
    let last = this.#chunks.length - 1
    while (first < last) {
      const middle = first + last >>> 1
      const one = greatest[middle]!
      if (one < number || (one === number && this.#greatestIds[middle]! < id)) first = middle + 1
      else last = middle
    }
    return first
  }

  #split(index: number): void {
    const chunk = this.#chunks[index]!
    const half = CHUNK / 2
    const upper = new Chunk()
    upper.numbers.set(chunk.numbers.subarray(half))
    upper.ids.set(chunk.ids.subarray(half))
    upper.used = half
    chunk.used = half
    const count = this.#chunks.length
    this.#chunks.splice(index + 1, 0, upper)
    if (count === this.#greatest.length) this.#makeRoom()
    this.#greatest.copyWithin(index + 1, index, count)
    this.#greatestIds.copyWithin(index + 1, index, count)
    this.#note(index)
  }

  /** Moves what is in the chunk behind one into it, when both have become small. */
  #join(index: number): void {
    const chunk = this.#chunks[index]!
    const next = this.#chunks[index + 1]!
    if (chunk.used + next.used > CHUNK / 2) {
      this.#note(index)
      return
    }
    chunk.numbers.set(next.numbers.subarray(0, next.used), chunk.used)
    chunk.ids.set(next.ids.subarray(0, next.used), chunk.used)
    chunk.used += next.used
    this.#chunks.splice(index + 1, 1)
    this.#greatest.copyWithin(index, index + 1)
    this.#greatestIds.copyWithin(index, index + 1)
  }

  /** What is greatest in a chunk that is not empty. An empty one keeps its bound. */
  #note(index: number): void {
    const { numbers, ids, used } = this.#chunks[index]!
    if (used === 0) return
    this.#greatest[index] = numbers[used - 1]!
    this.#greatestIds[index] = ids[used - 1]!
  }

  #makeRoom(): void {
    const numbers = new Float64Array(this.#greatest.length * 2)
    numbers.set(this.#greatest)
    this.#greatest = numbers
    const ids = new Int32Array(this.#greatestIds.length * 2)
    ids.set(this.#greatestIds)
    this.#greatestIds = ids
  }
}

/** The first place in a chunk whose pair is not less. */
function placeIn({ numbers, ids, used }: Chunk, number: number, id: number): number {
  let first = 0
  let end = used
  while (first < end) {
    const middle = first + end >>> 1
    const one = numbers[middle]!
    if (one < number || (one === number && ids[middle]! < id)) first = middle + 1
    else end = middle
  }
  return first
}
