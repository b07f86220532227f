import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

/** Monotonic nanoseconds as a double; exact to the nanosecond for the first weeks of a process. */
export function nowNs(): number {
  return performance.now() * 1e6
}

/** What one reading of the clock costs: the floor under every single-call sample. */
export function clockCostNs(): number {
  const readings = 200_000
  let last = 0
  const start = nowNs()
  for (let i = 0; i < readings; i++) last = nowNs()
  return (last - start) / readings
}

export { sleep }
