import type { Scalar } from './values.js'

/** How many values may be counted, of how many code units of text, and what is said when there are more. */
export interface TallyLimits {
  readonly count: number
  readonly tooMany: string
  readonly units: number
  readonly tooLong: string
}

/** Counts what one request makes the store keep in memory. */
export class Tally {
  readonly #limits: TallyLimits
  #count = 0
  #units = 0

  constructor(limits: TallyLimits) {
    this.#limits = limits
  }

  /** Counts one more, which has these texts. Throws RangeError. */
  add(...texts: readonly (Scalar | undefined)[]): void {
    if (++this.#count > this.#limits.count) throw new RangeError(this.#limits.tooMany)
    for (const text of texts) if (typeof text === 'string') this.#units += text.length
    if (this.#units > this.#limits.units) throw new RangeError(this.#limits.tooLong)
  }
}

const VALUES_MAX = 1_000_000
const UNITS_MAX = 2 ** 27
const KEPT_LIMITS: TallyLimits = {
  count: VALUES_MAX,
  tooMany: `there are more than ${VALUES_MAX} different values: narrow the search`,
  units: UNITS_MAX,
  tooLong: `the different values have more than ${UNITS_MAX} code units of text: narrow the search`,
}

/** Counts the different values that one search keeps in memory: what many documents point to may be longer than all of them. */
export class Kept extends Tally {
  constructor() {
    super(KEPT_LIMITS)
  }
}
