import { readFileSync } from 'node:fs'
import { addon } from '../../sys/index.js'

const SAMPLE_MS = 100

/**
 * The paper's pause between polls, in microseconds, at a load from 0 to 1: none below 25 %, 5 µs up to 50 %, 150 µs above.
 * Source: paper, section 5.8.
 */
export function pauseMicroseconds(load: number): number {
  if (load < 0.25) return 0
  return load > 0.5 ? 150 : 5
}

/** Busy and total time of all CPUs together since the start, in the kernel's ticks. Source: proc_stat(5). */
export function parseCpuTimes(stat: string): readonly [busy: number, total: number] {
  // user nice system idle iowait irq softirq steal.
  const times = stat.split('\n', 1)[0]!.split(/\s+/).slice(1, 9).map(Number)
  const total = times.reduce((sum, time) => sum + time, 0)
  return [total - (times[3] ?? 0) - (times[4] ?? 0), total]
}

/** Busy waiting as in the paper, with pauses that depend on the load of the machine. Here for comparison; the default policy rests instead. */
export class CpuLoad {
  #sampledAt = 0
  #busy = 0
  #total = 0
  #load = 0

  /** @param stat what /proc/stat holds now. */
  constructor(readonly stat: () => string = () => readFileSync('/proc/stat', 'latin1')) {}

  pause(): void {
    this.#sample()
    const duration = pauseMicroseconds(this.#load)
    if (duration > 0) addon.sleepMicroseconds(duration)
  }

  #sample(): void {
    const now = performance.now()
    if (now - this.#sampledAt < SAMPLE_MS) return
    this.#sampledAt = now
    const [busy, total] = parseCpuTimes(this.stat())
    if (total > this.#total) this.#load = (busy - this.#busy) / (total - this.#total)
    this.#busy = busy
    this.#total = total
  }
}
