import { PEERS } from '../peers/index.js'
import type { PeerName } from '../peers/peer.js'
import { runChild } from '../support/child.js'
import { twoCpus } from '../support/cpus.js'
import { formatNs, formatPercent, formatRatio, type Output } from '../support/output.js'
import type { Tails } from '../support/statistics.js'
import { Workspace } from '../support/workspace.js'
import { measureConnect, type ConnectFigures } from './call-connect.js'
import { measureLatency, type LatencyFigures } from './call-latency.js'
import { measureIdle, measureOneCore, measureSparse, type IdleFigures, type OneCoreComparison, type SparseComparison } from './call-waiting.js'
import { runPeers, type PeersResult } from './peers.js'
import { planFor } from './plans.js'
import type { Trial } from './trial.js'

interface Parts {
  readonly latency: LatencyFigures
  readonly peers: PeersResult
  readonly sparse: SparseComparison
  readonly oneCore: OneCoreComparison
  readonly oneCoreHog: OneCoreComparison
  readonly idle: IdleFigures
  readonly connecting: ConnectFigures
}

export const call: Trial = {
  name: 'call',
  about: 'calls of the library beside the C limit and every peer: latency, pipelining, waiting, idling, connecting',
  async run({ quick, output }) {
    using workspace = new Workspace()
    const { directory } = workspace
    // Children inherit it: a daemon of our own, which goes with the run.
    process.env['RPCOOL_RUNTIME_DIR'] = directory
    const plan = planFor(quick)
    const cpus = twoCpus()
    const cpu = cpus.caller
    const argument = { cpus, plan, directory }
    const parts: Parts = {
      latency: await runChild(measureLatency, argument, { label: 'the calling side', cpu }),
      sparse: await runChild(measureSparse, argument, { label: 'the sparse caller', cpu }),
      oneCore: await runChild(measureOneCore, { ...argument, hog: false }, { label: 'the one-core caller', cpu }),
      oneCoreHog: await runChild(measureOneCore, { ...argument, hog: true }, { label: 'the caller beside a hog', cpu }),
      idle: await runChild(measureIdle, { ...argument, quick }, { label: 'the caller among idle connections', cpu }),
      connecting: await runChild(measureConnect, { cpus, directory, times: quick ? 20 : 200 }, { label: 'the connecting side', cpu }),
      peers: await runPeers(plan),
    }
    const result = resultOf(quick, parts)
    print(output, parts, result)
    return result
  },
}

function resultOf(quick: boolean, { latency, peers, sparse, oneCore, oneCoreHog, idle, connecting }: Parts) {
  const { c_limit, net_uds } = latency
  return {
    trial: 'call',
    quick,
    c_limit_ns: c_limit.mean_ns,
    sync_rtt_ns: latency.sync.mean_ns,
    sync_rtt_over_c: latency.sync.mean_ns / c_limit.mean_ns,
    sync_tails: latency.sync_tails,
    async_rtt_ns: latency.async.mean_ns,
    async_speedup_over_uds: net_uds.mean_ns / latency.async.mean_ns,
    async_tails: latency.async_tails,
    timer_lateness_p99_us: {
      caller: latency.caller_timer_lateness.p99_ns / 1e3,
      answerer: latency.answerer_timer_lateness.p99_ns / 1e3,
      bare: latency.bare_timer_lateness.p99_ns / 1e3,
    },
    echo_beside_calls_us: { p50: latency.echo_beside_calls.p50_ns / 1e3, p99: latency.echo_beside_calls.p99_ns / 1e3 },
    pipelined_calls_per_s: 1e9 / latency.pipelined.mean_ns,
    async_pipelined_calls_per_s: 1e9 / latency.async_pipelined.mean_ns,
    typed_call_ns: latency.typed.mean_ns,
    typed_call_over_c: latency.typed.mean_ns / c_limit.mean_ns,
    sparse_rtt_ns: sparse.ours.rtt_mean_ns,
    sparse_rtt_over_uds: sparse.ours.rtt_mean_ns / sparse.net_uds.rtt_mean_ns,
    sparse_cpu_percent: sparse.ours.caller_cpu_percent + sparse.ours.answerer_cpu_percent - sparse.ours.timer_cpu_percent,
    sparse_timer_cpu_percent: sparse.ours.timer_cpu_percent,
    sparse_cpu_percent_uds: sparse.net_uds.caller_cpu_percent + sparse.net_uds.answerer_cpu_percent - sparse.net_uds.timer_cpu_percent,
    peer_rtt_ns: Object.fromEntries(PEERS.map(({ name }) => [name, peers.peers[name].batches.mean_ns])) as Record<PeerName, number>,
    peer_tails: Object.fromEntries(PEERS.map(({ name }) => [name, peers.peers[name].tails])) as Record<PeerName, Tails>,
    one_core_rtt_ns: oneCore.sync.mean_ns,
    one_core_c_yield_ns: oneCore.c_yield_limit?.mean_ns,
    one_core_async_over_uds: oneCore.async.mean_ns / oneCore.net_uds.mean_ns,
    one_core_hog: {
      sync_rtt_ns: oneCoreHog.sync.mean_ns,
      async_rtt_ns: oneCoreHog.async.mean_ns,
      async_over_uds: oneCoreHog.async.mean_ns / oneCoreHog.net_uds.mean_ns,
    },
    idle_cpu_percent: idle.cpu_percent,
    idle_connections: idle.many,
    idle_connections_cost: idle.with_many / idle.with_none,
    ...connecting,
  }
}

function print(output: Output, parts: Parts, result: ReturnType<typeof resultOf>): void {
  const { latency, peers } = parts
  const lateness = result.timer_lateness_p99_us
  const overC = (ns: number): string => formatRatio(ns / latency.c_limit.mean_ns)
  const tails = ({ p50_ns, p99_ns, p999_ns }: Tails): string[] => [p50_ns, p99_ns, p999_ns].map(formatNs)
  const row = (name: string, ns: number, tail: string[] = ['', '', '']): string[] => [name, formatNs(ns), overC(ns), ...tail]
  output.table('Calls between two processes, each side on a CPU of its own', ['', 'batch mean', '÷ C limit', 'p50', 'p99', 'p99.9'], [
    row('C limit: one cache line', latency.c_limit.mean_ns),
    row('conn.sync.noop()', latency.sync.mean_ns, tails(latency.sync_tails)),
    row('await conn.noop(), loops busy', latency.async.mean_ns, tails(latency.async_tails)),
    row('typed: struct in, struct out', latency.typed.mean_ns),
    row('pipelined, per call', latency.pipelined.mean_ns),
    row('await Promise.all of 32, per call', latency.async_pipelined.mean_ns),
    ...PEERS.map(({ name }) => row(name, peers.peers[name].batches.mean_ns, tails(peers.peers[name].tails))),
  ])
  output.table('Waiting and connecting', ['', ''], [
    ['one call every 10 ms', `${formatNs(result.sparse_rtt_ns)}, ${formatRatio(result.sparse_rtt_over_uds)} of net.Socket`],
    ['its CPU, both sides (timer subtracted)', `${formatPercent(result.sparse_cpu_percent)} (net.Socket ${formatPercent(result.sparse_cpu_percent_uds)})`],
    ['one core: sync', formatNs(result.one_core_rtt_ns)],
    ['one core: await ÷ net.Socket', formatRatio(result.one_core_async_over_uds)],
    ['one core beside a hog: sync, await', `${formatNs(result.one_core_hog.sync_rtt_ns)}, ${formatNs(result.one_core_hog.async_rtt_ns)}`],
    ['idle CPU, server + daemon, 100 connections', formatPercent(result.idle_cpu_percent)],
    [`no-op with ${String(result.idle_connections)} idle connections ÷ with none`, formatRatio(result.idle_connections_cost)],
    ['timer lateness p99: caller, answerer; beside bare turns',
      `${formatNs(lateness.caller * 1e3)}, ${formatNs(lateness.answerer * 1e3)}; ${formatNs(lateness.bare * 1e3)}`],
    ['create a channel, connect', `${formatNs(result.channel_create_us * 1e3)}, ${formatNs(result.connect_us * 1e3)}`],
  ])
  output.note(`batch mean: median of ${String(latency.sync.batches)} interleaved batches after warm-up; tails from a pass of their own`)
}
