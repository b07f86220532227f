import { tailsOf, type Tails } from './statistics.js'
import { nowNs } from './clock.js'

const PERIOD_NS = 1e6
const SAMPLES_MAX = 200_000

export interface LatenessFigures {
  /** How much later than asked for a 1 ms timer fires. */
  readonly timer: Tails
}

/** Of a process that ran none. */
export const NO_LATENESS: LatenessFigures = { timer: tailsOf(new Float64Array(1)) }

/** Runs a 1 ms timer and records how late it fires: what a busy poll loop costs everything else on the event loop. */
export function lateness(): { stop(): LatenessFigures; reset(): void } {
  const samples = new Float64Array(SAMPLES_MAX)
  let count = 0
  let asked = nowNs()
  let timer = setTimeout(tick, 1)
  function tick(): void {
    const now = nowNs()
    if (count < SAMPLES_MAX) samples[count++] = Math.max(0, now - asked - PERIOD_NS)
    asked = now
    timer = setTimeout(tick, 1)
  }
  return {
    reset() {
      count = 0
    },
    stop() {
      clearTimeout(timer)
      return { timer: tailsOf(samples.subarray(0, Math.max(1, count))) }
    },
  }
}
