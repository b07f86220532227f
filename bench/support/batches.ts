import { nowNs } from './clock.js'
import { median } from './statistics.js'

/** One of several things compared in one run. */
export interface Contender {
  readonly name: string
  /** Runs one batch and answers its mean in ns per operation. */
  batch(): Promise<number>
}

export interface BatchSummary {
  /** The median of the batch means: the figure that ratios are made of. */
  readonly mean_ns: number
  readonly least_ns: number
  readonly greatest_ns: number
  readonly batches: number
}

export interface BatchPlan {
  /** Batches per contender that count. */
  readonly rounds: number
  /** Rounds before them that do not: they calibrate, compile and fill caches. */
  readonly warmupRounds: number
  /** About how long one batch of {@link loopContender} lasts. */
  readonly batchMs: number
}

/**
 * Interleaves the contenders' batches, so that a slow spell of the machine falls on all of them. Each round starts with
 * the next contender, so that none always runs behind the same one.
 * @param onWarm called when the rounds that count begin.
 */
export async function interleave(
  contenders: readonly Contender[],
  plan: BatchPlan,
  onWarm: () => void = () => undefined,
): Promise<ReadonlyMap<string, BatchSummary>> {
  const means = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
  if (means.size !== contenders.length) throw new RangeError('two contenders have one name')
  for (let round = -plan.warmupRounds; round < plan.rounds; round++) {
    if (round === 0) onWarm()
    const first = (round + plan.warmupRounds) % contenders.length
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const mean = await contender.batch()
      if (round >= 0) means.get(contender.name)?.push(mean)
    }
  }
  return new Map([...means].map(([name, values]) => [name, summarize(values)]))
}

/** The summary of `name`, which must have taken part. */
export function summaryOf(summaries: ReadonlyMap<string, BatchSummary>, name: string): BatchSummary {
  const summary = summaries.get(name)
  if (summary === undefined) throw new RangeError(`no contender was called ${name}`)
  return summary
}

function summarize(means: readonly number[]): BatchSummary {
  return {
    mean_ns: median(means),
    least_ns: Math.min(...means),
    greatest_ns: Math.max(...means),
    batches: means.length,
  }
}

/** Performs `count` operations. */
export type Loop = (count: number) => void | Promise<void>

/** `count` operations one after the other, each awaited before the next starts. */
export function oneAfterTheOther(operation: () => Promise<unknown>): Loop {
  return async (count) => {
    for (let i = 0; i < count; i++) await operation()
  }
}

/** The unmeasured share of a batch, before its clock starts: the contender before has filled the caches with its own. */
const RUN_IN = 0.1

/** From one batch to the next, at most so many times more operations: a mean of few of them says little. */
const GROWTH_MAX = 8

/** A contender whose batches hold as many operations as fill `batchMs`, by the mean of the batch before; the first one finds out how many. */
export function loopContender(name: string, plan: BatchPlan, loop: Loop): Contender {
  const batchNs = plan.batchMs * 1e6
  let count: number | undefined
  return {
    name,
    async batch() {
      count ??= await calibrate(loop, batchNs)
      await loop(Math.ceil(count * RUN_IN))
      const mean = (await timed(loop, count)) / count
      // Cold code, or a hiccup while calibrating, must not make all later batches short.
      count = Math.max(1, Math.min(Math.round(batchNs / mean), count * GROWTH_MAX))
      return mean
    },
  }
}

async function timed(loop: Loop, count: number): Promise<number> {
  const start = nowNs()
  const running = loop(count)
  if (running !== undefined) await running; // a synchronous loop must not pay for a turn of the microtask queue
  return nowNs() - start
}

async function calibrate(loop: Loop, batchNs: number): Promise<number> {
  let count = 1
  for (;;) {
    const elapsed = await timed(loop, count)
    if (elapsed >= batchNs / 4) return Math.max(1, Math.round((count * batchNs) / elapsed))
    count *= elapsed < batchNs / 64 ? 8 : 2
  }
}
