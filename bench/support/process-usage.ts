import { readFileSync, readdirSync } from 'node:fs'
import { nowNs } from './clock.js'

/** Linux reports /proc/PID/stat in USER_HZ, which is 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100

/**
 * CPU time that all threads of `pid` have used, in ms. From each thread's schedstat, which counts nanoseconds; a 10 ms tick
 * of /proc/PID/stat would be a fifth of a percent over 5 s. Threads that have ended are not counted there.
 */
export function cpuTimeMs(pid: number): number {
  let ns = 0
  for (const thread of readdirSync(`/proc/${String(pid)}/task`)) {
    const spent = readIfThere(`/proc/${String(pid)}/task/${thread}/schedstat`)
    if (spent === undefined) return cpuTimeFromStat(pid)
    ns += Number(spent.split(' ', 1)[0])
  }
  return ns / 1e6
}

function cpuTimeFromStat(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
  // The second field is the name in parentheses, and may hold spaces: count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12]); // utime, stime: fields 14 and 15 of proc(5)
  return (ticks * 1000) / TICKS_PER_SECOND
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** CPU used by processes between the meter's making and each reading. */
export class CpuMeter {
  readonly #pids: readonly number[]
  readonly #start: readonly number[]
  readonly #startNs: number

  constructor(pids: readonly number[]) {
    this.#pids = pids
    this.#start = pids.map(cpuTimeMs)
    this.#startNs = nowNs()
  }

  /** Percent of one CPU for each process, in the order given. */
  percents(): number[] {
    const elapsedMs = (nowNs() - this.#startNs) / 1e6
    return this.#pids.map((pid, i) => ((cpuTimeMs(pid) - (this.#start[i] ?? 0)) / elapsedMs) * 100)
  }
}

/** Resident memory of `pid` in bytes, each shared page divided by the number of processes that map it. */
export function pssBytes(pid: number): number {
  const rollup = readFileSync(`/proc/${String(pid)}/smaps_rollup`, 'utf8')
  const found = /^Pss:\s+(\d+) kB$/m.exec(rollup)
  if (found === null) throw new Error(`/proc/${String(pid)}/smaps_rollup has no Pss line`)
  return Number(found[1]) * 1024
}
