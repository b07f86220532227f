import { nowNs, sleep } from './clock.js'
import { CpuMeter } from './process-usage.js'
import { tailsOf, type Tails } from './statistics.js'

/** The time between two calls of a sparse pass. */
export const SPARSE_PERIOD_MS = 10
/** Back-to-back calls before a sparse pass, until V8 has compiled both ends: a service in use for a minute has made more. */
const WARMUP_CALLS = 5000
/** Sparse ones after them: what adapts to the load has adapted. */
const SETTLING_CALLS = 20

export interface SparseFigures {
  readonly rtt_mean_ns: number
  readonly tails: Tails
  /** Percent of one CPU over the pass; the caller's holds the pass's own timer. */
  readonly caller_cpu_percent: number
  readonly answerer_cpu_percent: number
  /** What the caller uses for the timer alone, with no calls. */
  readonly timer_cpu_percent: number
}

/** One call every 10 ms: what a call costs when both sides have gone to sleep, and what waiting costs meanwhile. */
export async function sparsePass(
  call: () => Promise<unknown>,
  answererPid: number,
  seconds: number,
): Promise<SparseFigures> {
  const calls = Math.max(1, Math.round((seconds * 1000) / SPARSE_PERIOD_MS))
  for (let i = 0; i < WARMUP_CALLS; i++) await call()
  for (let i = 0; i < SETTLING_CALLS; i++) await timedCall(call)
  const samples = new Float64Array(calls)
  const meter = new CpuMeter([process.pid, answererPid])
  for (let i = 0; i < calls; i++) samples[i] = await timedCall(call)
  const [caller = Number.NaN, answerer = Number.NaN] = meter.percents()
  const timerMeter = new CpuMeter([process.pid])
  for (let i = 0; i < calls; i++) await timedCall(() => Promise.resolve())
  const [timer = Number.NaN] = timerMeter.percents()
  return {
    rtt_mean_ns: samples.reduce((sum, sample) => sum + sample, 0) / calls,
    tails: tailsOf(samples),
    caller_cpu_percent: caller,
    answerer_cpu_percent: answerer,
    timer_cpu_percent: timer,
  }
}

async function timedCall(call: () => Promise<unknown>): Promise<number> {
  await sleep(SPARSE_PERIOD_MS)
  const start = nowNs()
  await call()
  return nowNs() - start
}
