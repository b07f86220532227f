// The shapes of a heap, each naming the one before it: what one member has made, all others use.
import { RpcError } from '../../base/errors.js'
import { SHAPE_BEFORE, SHAPE_WORDS } from '../../layout/json-layout.js'
import type { ShapesPlace } from '../../memory/region.js'
import { MAX_SHAPES_MADE } from './limits.js'
import { readKeys } from './shapes.js'

/** Shapes that are looked at, ever: a peer that keeps changing the list must not keep this process reading it. */
const LOOKS_MAX = 4 * MAX_SHAPES_MADE
/** Others that add a shape at the same time: one who meets more keeps its shape to itself. */
const TRIES = 64

/** One isolate's look at the list of a heap. Nothing in it is believed: what is damaged ends it. */
export class ShapeList {
  readonly #place: ShapesPlace
  /** The latest shape when it was looked last. */
  #seen = 0
  #looksLeft = LOOKS_MAX

  constructor(place: ShapesPlace) {
    this.#place = place
  }

  /** Shows the shapes that were added since the last look, the latest first. */
  look(show: (keys: readonly string[], lo: number, hi: number) => void): void {
    const { region, word } = this.#place
    const latest = Atomics.load(region.i32, word)
    let at = latest
    // A list that goes in circles ends, too.
    while (at !== this.#seen && at > 0 && at <= region.words - SHAPE_WORDS && this.#looksLeft-- > 0) {
      const before = region.i32[at + SHAPE_BEFORE]! | 0
      const lo = region.lowOf(at)
      let keys: readonly string[]
      try {
        keys = readKeys(region, lo, region.high)
      } catch (error) {
        if (!RpcError.is(error)) throw error
        break
      }
      show(keys, lo, region.high)
      at = before
    }
    this.#seen = latest
  }

  /** Puts a finished shape at its front, when it lies in the heap that has the list. */
  add(region: ShapesPlace['region'], shape: number): void {
    const { word } = this.#place
    if (region !== this.#place.region) return
    const { i32 } = region
    for (let tries = 0; tries < TRIES; tries++) {
      const latest = Atomics.load(i32, word)
      i32[shape + SHAPE_BEFORE] = latest
      // Pairs with the load in `look` of the other members.
      if (Atomics.compareExchange(i32, word, latest, shape) !== latest) continue
      if (latest === this.#seen) this.#seen = shape
      return
    }
  }
}
