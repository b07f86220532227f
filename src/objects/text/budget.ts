import { RpcError } from '../../base/errors.js'
import type { Region, RegionSpace } from '../../memory/region.js'
import { damaged } from '../problems.js'

/**
 * What one walk may make of texts and bytes in private memory: as much as the memory holds in which they lie, because honest cells
 * lead to a text each. A peer's may all lead to one, and each would become a string of its own.
 */
export class TextBudget {
  #left = 0
  #wanted: number
  readonly #met: Array<Region | RegionSpace> = []
  #latest: Region | null = null

  /**
   * @param region where the walk starts, when that is known.
   * @param wanted what its caller has use for, however much the memory holds.
   */
  constructor(region?: Region, private readonly wanted = Infinity) {
    this.#wanted = wanted
    if (region !== undefined) this.meet(region)
  }

  /** The walk comes into a region; what stands for one for a while is no further memory. */
  meet({ origin: region }: Region): void {
    if (region === this.#latest) return
    this.#latest = region
    const { space } = region
    const bytes = space?.byteLength
    const memory = space === null || bytes === undefined ? region : space
    if (this.#met.includes(memory)) return
    this.#met.push(memory)
    this.#left += bytes ?? region.words * 4
  }

  /** The walk has made a string, or a copy of bytes, of so many units. */
  spend(units: number): void {
    this.#wanted -= units
    if (this.#wanted < 0) throw new RpcError('RESOURCE_EXHAUSTED', `more than ${this.wanted} code units of text and bytes; raise maxUnits if it is legitimate`)
    this.#left -= units
    if (this.#left < 0) damaged('the texts of this value are longer than the memory in which they lie: many of its cells lead to one text')
  }

  /** Does again what may have to be done again, at the price of once. */
  again(): () => void {
    const [left, wanted] = [this.#left, this.#wanted]
    return () => { [this.#left, this.#wanted] = [left, wanted] }
  }
}

/** What a method gives back of the elements that it has read: texts, bytes and numbers among them are no longer than the memory in which they lie. */
export class KeptValues {
  #texts: TextBudget | null = null
  #latest: Region | null = null

  /**
   * @param region of what the value is an element of; undefined where that is private.
   * @param units of memory that it stands for.
   */
  keep<V>(value: V, region: Region | undefined, units = unitsOf(value)): V {
    if (region === undefined || units === 0) return value
    const texts = this.#texts ??= new TextBudget()
    if (region !== this.#latest) texts.meet(this.#latest = region)
    texts.spend(units)
    return value
  }
}

function unitsOf(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  if (ArrayBuffer.isView(value)) return value.byteLength
  // A union is read as a plain object, a view never.
  return Object.getPrototypeOf(value) === Object.prototype && 'value' in value ? unitsOf(value.value) : 0
}
