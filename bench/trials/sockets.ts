import { ECHO_HANDLER } from '../peers/echo-handler.js'
import { netUds } from '../peers/net-uds.js'
import { openPeer } from '../peers/open.js'
import { interleave, loopContender, oneAfterTheOther, summaryOf, type BatchSummary } from '../support/batches.js'
import { runChild } from '../support/child.js'
import { twoCpus, type CpuPair } from '../support/cpus.js'
import { startHog } from '../support/hog.js'
import { C_YIELD_LIMIT, yieldLimit } from '../support/limits.js'
import { formatNs, formatPercent, type Output } from '../support/output.js'
import { program } from '../support/program.js'
import { sparsePass, type SparseFigures } from '../support/sparse.js'
import { tailsOfAsync, type Tails } from '../support/statistics.js'
import { planFor, type Plan } from './plans.js'
import type { Trial } from './trial.js'

interface SparseArgument {
  readonly cpus: CpuPair
  readonly seconds: number
}

/** Runs on the calling side's CPU: one no-op over net.Socket every 10 ms. */
export const measureSparseSocket = program<SparseArgument, void, SparseFigures>(
  import.meta.url,
  'measureSparseSocket',
  async ({ cpus, seconds }) => {
    await using peer = await openPeer(netUds, { handlerModule: ECHO_HANDLER, cpu: cpus.answerer })
    return await sparsePass(() => peer.client.noop(), peer.serverPid, seconds)
  },
)

export interface OneCoreFigures {
  readonly net_uds: BatchSummary
  readonly tails: Tails
  /** Two processes that hand the CPU over with sched_yield; beside a hog that is no limit, so it is not run there. */
  readonly c_yield_limit?: BatchSummary
}

interface OneCoreArgument {
  readonly cpu: number
  readonly plan: Plan
  /** Beside a process that always wants the CPU. */
  readonly hog: boolean
}

/** Runs on `cpu`, and so does the server: no-ops over net.Socket between two processes that share one CPU. */
export const measureOneCoreSocket = program<OneCoreArgument, void, OneCoreFigures>(
  import.meta.url,
  'measureOneCoreSocket',
  async ({ cpu, plan, hog }) => {
    await using peer = await openPeer(netUds, { handlerModule: ECHO_HANDLER, cpu })
    await using running = hog ? await startHog(cpu) : undefined
    const socket = loopContender(netUds.name, plan.batches, oneAfterTheOther(() => peer.client.noop()))
    const limits = running === undefined ? [yieldLimit(cpu, plan.batches.batchMs)] : []
    const summaries = await interleave([...limits, socket], plan.batches)
    const tails = await tailsOfAsync(() => peer.client.noop(), plan.tails)
    return {
      net_uds: summaryOf(summaries, netUds.name),
      tails,
      ...(running === undefined ? { c_yield_limit: summaryOf(summaries, C_YIELD_LIMIT) } : {}),
    }
  },
)

export interface SocketsResult {
  readonly sparse: SparseFigures
  readonly one_core: OneCoreFigures
  readonly one_core_with_hog: OneCoreFigures
}

export async function runSockets(plan: Plan): Promise<SocketsResult> {
  const cpus = twoCpus()
  const cpu = cpus.caller
  const sparse = await runChild(measureSparseSocket, { cpus, seconds: plan.sparseSeconds }, { label: 'the sparse caller', cpu })
  const one_core = await runChild(measureOneCoreSocket, { cpu, plan, hog: false }, { label: 'the one-core caller', cpu })
  const one_core_with_hog = await runChild(measureOneCoreSocket, { cpu, plan, hog: true }, { label: 'the caller beside a hog', cpu })
  return { sparse, one_core, one_core_with_hog }
}

function printSockets(output: Output, { sparse, one_core, one_core_with_hog }: SocketsResult): void {
  const row = (name: string, meanNs: number, tails: Tails | undefined): string[] => [
    name,
    formatNs(meanNs),
    ...(tails === undefined ? ['', '', ''] : [tails.p50_ns, tails.p99_ns, tails.p999_ns].map(formatNs)),
  ]
  output.table(
    'No-op round trip over net.Socket on a Unix socket',
    ['', 'mean', 'p50', 'p99', 'p99.9'],
    [
      row('one call every 10 ms, two CPUs', sparse.rtt_mean_ns, sparse.tails),
      row('both sides on one CPU', one_core.net_uds.mean_ns, one_core.tails),
      row('the same beside a CPU hog', one_core_with_hog.net_uds.mean_ns, one_core_with_hog.tails),
      ...(one_core.c_yield_limit === undefined ? [] : [row('C limit on one CPU: two yields', one_core.c_yield_limit.mean_ns, undefined)]),
    ],
  )
  output.note(
    `CPU at one call every 10 ms: caller ${formatPercent(sparse.caller_cpu_percent)} ` +
      `(its timer alone ${formatPercent(sparse.timer_cpu_percent)}), answerer ${formatPercent(sparse.answerer_cpu_percent)}`,
  )
}

export const sockets: Trial = {
  name: 'sockets',
  about: 'sparse calls, and calls between two processes on one CPU, over net.Socket',
  async run({ quick, output }) {
    const result = await runSockets(planFor(quick))
    printSockets(output, result)
    return { trial: 'sockets', quick, ...result }
  },
}
