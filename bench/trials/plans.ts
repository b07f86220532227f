import type { BatchPlan } from '../support/batches.js'
import type { TailsPlan } from '../support/statistics.js'

/** How much of everything a run measures. */
export interface Plan {
  readonly batches: BatchPlan
  readonly tails: TailsPlan
  /** Calls to every peer before its first batch: cold packages would flatter us (thrift runs slow for its first 1,700). */
  readonly peerWarmupCalls: number
  /** Of a sparse pass, in seconds: one call every 10 ms. */
  readonly sparseSeconds: number
}

/** 20,000 samples put 20 of them above p99.9. */
const FULL: Plan = {
  batches: { rounds: 15, warmupRounds: 3, batchMs: 100 },
  tails: { warmup: 1_000, samples: 20_000 },
  peerWarmupCalls: 5_000,
  sparseSeconds: 10,
}

const QUICK: Plan = {
  batches: { rounds: 3, warmupRounds: 1, batchMs: 40 },
  tails: { warmup: 100, samples: 1_000 },
  peerWarmupCalls: 2_000,
  sparseSeconds: 1,
}

export function planFor(quick: boolean): Plan {
  return quick ? QUICK : FULL
}
