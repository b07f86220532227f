import { readFileSync } from 'node:fs'
import { addon } from '../../sys/index.js'

const SAMPLE_MS = 100

/**
 * The paper's busy waiting: pauses between polls that depend on the load of the machine. No pause below 25 %, 5 µs up to
 * 50 %, 150 µs above. Source: paper, section 5.8. Here for comparison; the default policy rests instead.
 */
export class CpuLoad {
  #sampledAt = 0
  #busy = 0
  #total = 0
  #load = 0

  pause(): void {
    this.#sample()
    if (this.#load >= 0.25) addon.sleepMicroseconds(this.#load > 0.5 ? 150 : 5)
  }

  #sample(): void {
    const now = performance.now()
    if (now - this.#sampledAt < SAMPLE_MS) return
    this.#sampledAt = now
    // user nice system idle iowait irq softirq steal: proc_stat(5).
    const times = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]!.split(/\s+/).slice(1, 9).map(Number)
    const total = times.reduce((sum, time) => sum + time, 0)
    const busy = total - (times[3] ?? 0) - (times[4] ?? 0)
    if (total > this.#total) this.#load = (busy - this.#busy) / (total - this.#total)
    this.#busy = busy
    this.#total = total
  }
}
