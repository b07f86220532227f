import { PEERS } from '../peers/index.js'
import { ECHO_HANDLER } from '../peers/echo-handler.js'
import { OpenPeers } from '../peers/open.js'
import type { PeerName } from '../peers/peer.js'
import { interleave, loopContender, oneAfterTheOther, summaryOf, type BatchSummary } from '../support/batches.js'
import { runChild } from '../support/child.js'
import { clockCostNs } from '../support/clock.js'
import { twoCpus, type CpuPair } from '../support/cpus.js'
import { C_LIMIT, pingPongLimit } from '../support/limits.js'
import { formatNs, formatRatio, type Output } from '../support/output.js'
import { program } from '../support/program.js'
import { tailsOfAsync, type Tails } from '../support/statistics.js'
import { planFor, type Plan } from './plans.js'
import type { Trial } from './trial.js'

export interface PeerFigures {
  readonly batches: BatchSummary
  readonly tails: Tails
}

export interface PeersResult {
  readonly c_limit: BatchSummary
  readonly clock_ns: number
  readonly peers: Readonly<Record<PeerName, PeerFigures>>
}

interface Argument {
  readonly cpus: CpuPair
  readonly plan: Plan
}

/** Runs on the calling side's CPU: batch means of every peer and of the C limit, interleaved, then the tails. */
export const measurePeers = program<Argument, void, PeersResult>(
  import.meta.url,
  'measurePeers',
  async ({ cpus, plan }) => {
    await using open = new OpenPeers()
    for (const peer of PEERS) {
      const { client } = await open.open(peer, { handlerModule: ECHO_HANDLER, cpu: cpus.answerer })
      await oneAfterTheOther(() => client.noop())(plan.peerWarmupCalls)
    }
    const contenders = open.all.map(({ peer, opened: { client } }) =>
      loopContender(peer.name, plan.batches, oneAfterTheOther(() => client.noop())),
    )
    const limit = pingPongLimit(cpus, plan.batches.batchMs)
    const summaries = await interleave([limit, ...contenders], plan.batches)
    const figures: [PeerName, PeerFigures][] = []
    for (const { peer, opened: { client } } of open.all) {
      const tails = await tailsOfAsync(() => client.noop(), plan.tails)
      figures.push([peer.name, { batches: summaryOf(summaries, peer.name), tails }])
    }
    return {
      c_limit: summaryOf(summaries, C_LIMIT),
      clock_ns: clockCostNs(),
      peers: Object.fromEntries(figures) as Record<PeerName, PeerFigures>,
    }
  },
)

/** The no-op round trip of every peer, both sides pinned, with the C limit in the same run. */
export async function runPeers(plan: Plan): Promise<PeersResult> {
  const cpus = twoCpus()
  return await runChild(measurePeers, { cpus, plan }, { label: 'the calling side of the peers', cpu: cpus.caller })
}

export function printPeers(output: Output, { c_limit, clock_ns, peers }: PeersResult): void {
  const rows = PEERS.map(({ name }) => {
    const { batches, tails } = peers[name]
    return [
      name,
      formatNs(batches.mean_ns),
      formatRatio(batches.mean_ns / c_limit.mean_ns),
      formatNs(tails.p50_ns),
      formatNs(tails.p99_ns),
      formatNs(tails.p999_ns),
    ]
  })
  output.table(
    'No-op round trip, one in flight, each side on a CPU of its own',
    ['peer', 'batch mean', '÷ C limit', 'p50', 'p99', 'p99.9'],
    [['C limit: one cache line', formatNs(c_limit.mean_ns), '1', '', '', ''], ...rows],
  )
  output.note(`batch mean: median of ${String(c_limit.batches)} interleaved batches; a clock reading costs ${formatNs(clock_ns)}`)
  for (const { name, about } of PEERS) output.note(`  ${name}: ${about}`)
}

export const peers: Trial = {
  name: 'peers',
  about: 'no-op round trip of every other way to call a process, beside the C limit',
  async run({ quick, output }) {
    const result = await runPeers(planFor(quick))
    printPeers(output, result)
    return { trial: 'peers', quick, ...result }
  },
}
