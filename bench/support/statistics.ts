import { build } from 'hdr-histogram-js'
import { nowNs } from './clock.js'

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of nothing')
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[sorted.length >> 1] ?? Number.NaN
  if (sorted.length % 2 === 1) return upper
  return ((sorted[(sorted.length >> 1) - 1] ?? Number.NaN) + upper) / 2
}

/** Percentiles of single calls, from an HDR histogram with three significant digits. */
export interface Tails {
  readonly samples: number
  readonly p50_ns: number
  readonly p99_ns: number
  readonly p999_ns: number
  readonly max_ns: number
}

export function tailsOf(samplesNs: Float64Array): Tails {
  const histogram = build({ numberOfSignificantValueDigits: 3 })
  for (const sample of samplesNs) histogram.recordValue(Math.max(1, Math.round(sample)))
  return {
    samples: samplesNs.length,
    p50_ns: histogram.getValueAtPercentile(50),
    p99_ns: histogram.getValueAtPercentile(99),
    p999_ns: histogram.getValueAtPercentile(99.9),
    max_ns: histogram.maxValue,
  }
}

export interface TailsPlan {
  /** Calls before the first sample; they fill caches and let the compiler finish. */
  readonly warmup: number
  readonly samples: number
}

/** A pass of its own for tails: the clock around every call would spoil the batch means. */
export async function tailsOfAsync(call: () => Promise<unknown>, plan: TailsPlan): Promise<Tails> {
  for (let i = 0; i < plan.warmup; i++) await call()
  const samples = new Float64Array(plan.samples)
  for (let i = 0; i < plan.samples; i++) {
    const start = nowNs()
    await call()
    samples[i] = nowNs() - start
  }
  return tailsOf(samples)
}

/** The same for a call that returns without an await. */
export function tailsOfSync(call: () => unknown, plan: TailsPlan): Tails {
  for (let i = 0; i < plan.warmup; i++) call()
  const samples = new Float64Array(plan.samples)
  for (let i = 0; i < plan.samples; i++) {
    const start = nowNs()
    call()
    samples[i] = nowNs() - start
  }
  return tailsOf(samples)
}
