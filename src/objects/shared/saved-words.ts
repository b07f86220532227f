/** A power of two: some hundred nodes of a sorted map, and what leads to them. */
const PLACES = 2048
const PLACE_BITS = 11
/** Of each place: address and length of words that were saved, and the number of the write that did. */
const places = new Int32Array(PLACES * 4)
let writes = 0

/**
 * What one write has saved, as far as a small table remembers: what changes again and again is saved once, or a loop over a counter would need a journal
 * as long as it runs. Nothing that a write frees is used again before it has ended, so an address stands for one thing.
 */
export class SavedWords {
  readonly #write: number

  constructor() {
    writes = writes + 1 | 0
    if (writes === 0) places.fill(0)
    this.#write = writes
  }

  /** Takes note of words that are about to be saved; whether they are, or more from the same address on. */
  add(low: number, high: number, words: number): boolean {
    const at = (Math.imul(low ^ high << 16, 0x9e37_79b1) >>> 32 - PLACE_BITS) * 4
    if (places[at] === low && places[at + 1] === high && places[at + 2]! >= words && places[at + 3] === this.#write) return true
    places[at] = low
    places[at + 1] = high
    places[at + 2] = words
    places[at + 3] = this.#write
    return false
  }
}
