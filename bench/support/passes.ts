import type { Contender } from './batches.js'
import { nowNs } from './clock.js'

/** A contender whose batch is one pass over so many things; `sumOf` makes it and must find the expected sum. */
export function pass(name: string, things: number, expected: number, sumOf: () => number): Contender {
  return {
    name,
    batch() {
      const start = nowNs()
      const sum = sumOf()
      const elapsed = nowNs() - start
      if (sum !== expected) throw new Error(`${name} summed ${sum}, not ${expected}`)
      return Promise.resolve(elapsed / things)
    },
  }
}
