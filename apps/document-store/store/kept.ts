import type { Scalar } from './values.js'

const VALUES_MAX = 1_000_000
const UNITS_MAX = 2 ** 27

/** Counts the different values that one search keeps in memory: what many documents point to may be longer than all of them. */
export class Kept {
  #values = 0
  #units = 0

  add(value: Scalar): void {
    if (++this.#values > VALUES_MAX) throw new RangeError(`there are more than ${VALUES_MAX} different values: narrow the search`)
    if (typeof value === 'string') this.#units += value.length
    if (this.#units > UNITS_MAX) throw new RangeError(`the different values have more than ${UNITS_MAX} code units of text: narrow the search`)
  }
}
