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

  /** Whether words are saved, or more from the same address on. */
  has(low: number, high: number, words: number): boolean {
    const at = placeOf(low, high)
    return places[at] === low && places[at + 1] === high && places[at + 2]! >= words && places[at + 3] === this.#write
  }

  /** Takes note of words that have been saved: where the journal had no room for them they are not, and may still be changed by whoever catches that. */
  add(low: number, high: number, words: number): void {
    const at = placeOf(low, high)
    places[at] = low
    places[at + 1] = high
    places[at + 2] = words
    places[at + 3] = this.#write
  }
}

function placeOf(low: number, high: number): number {
  return (Math.imul(low ^ high << 16, 0x9e37_79b1) >>> 32 - PLACE_BITS) * 4
}
