import { runChild } from '../support/child.js'
import { formatNs, formatRatio } from '../support/output.js'
import type { OperationGroup } from './group.js'
import { measureSealedCalls } from './seal-calls.js'
import { measurePublicSeals } from './sealed-public.js'
import { measureSealCosts } from './seal-costs.js'

/** By pages: the paper's seal and standard release, without a call, and of one page its later version's. */
const PAPER_SEALS: Readonly<Record<number, string>> = { 1: '1.1 µs; later 770 ns', 1024: '3.46 µs' }

export const sealGroup: OperationGroup = {
  name: 'seals',
  async measure({ cpus, plan, quick, output }) {
    const calls = await runChild(measureSealedCalls, { cpus, plan }, { label: 'the sender of sealed calls', cpu: cpus.caller })
    const typed = await runChild(measurePublicSeals, { cpus, plan }, { label: 'the sender of sealed pages', cpu: cpus.caller })
    const costs = await runChild(measureSealCosts, { rounds: quick ? 20 : 200 }, { label: 'seals alone', cpu: cpus.caller })
    const perSecond = 1e9 / calls.pipelined.mean_ns
    const typedPerSecond = 1e9 / typed.pipelined.mean_ns
    const batched = costs.batchedSealNs + costs.batchedReleaseNs
    output.table(`Sealed typed calls: one page built from a plain value, read and compared by the handler (strength: ${typed.strength})`, ['', 'ours', 'limit', 'ratio'], [
      ['round trip ÷ three C processes', formatNs(typed.call.mean_ns), formatNs(calls.limit.mean_ns), formatRatio(typed.call.mean_ns / calls.limit.mean_ns)],
      [`pipelined, ${String(typed.window)} in flight at most, each`, formatNs(typed.pipelined.mean_ns), '', ''],
      ['pipelined, calls per second', Math.round(typedPerSecond), '', ''],
      ['pipelined, from building to answer, p99', formatNs(typed.pipelinedTails.p99_ns), '', ''],
    ])
    output.table(`The same below the calls' interface: plain pages, seals and releases by hand (strength: ${calls.strength})`, ['', 'ours', 'limit', 'ratio'], [
      ['round trip ÷ three C processes', formatNs(calls.call.mean_ns), formatNs(calls.limit.mean_ns), formatRatio(calls.call.mean_ns / calls.limit.mean_ns)],
      [`pipelined, ${String(calls.window)} in flight at most, each`, formatNs(calls.pipelined.mean_ns), '', ''],
      ['pipelined, calls per second', Math.round(perSecond), '', ''],
      ['pipelined, from rewriting to answer, p99', formatNs(calls.pipelinedTails.p99_ns), '', ''],
    ])
    output.table('Seals alone, beside the paper\'s (seal and release together)', ['', 'seal', 'release', 'paper', 'next first store'], [
      ['1024 scopes of one page, together, each', formatNs(costs.batchedSealNs), formatNs(costs.batchedReleaseNs), '650 ns; later 470 ns', formatNs(costs.firstStoreNs)],
      ...costs.curve.map(({ pages, seal_ns, release_ns, store_ns }) =>
        [`one scope of ${String(pages)} pages`, formatNs(seal_ns), formatNs(release_ns), PAPER_SEALS[pages] ?? '', formatNs(store_ns)]),
    ])
    return {
      seal_strength: typed.strength,
      sealed_rtt_ns: typed.call.mean_ns,
      sealed_limit_ns: calls.limit.mean_ns,
      sealed_rtt_over_limit: typed.call.mean_ns / calls.limit.mean_ns,
      sealed_calls_per_s: typedPerSecond,
      sealed_calls_window: typed.window,
      sealed_calls_p99_us: typed.pipelinedTails.p99_ns / 1e3,
      sealed_authority_rtt_ns: calls.call.mean_ns,
      sealed_authority_rtt_over_limit: calls.call.mean_ns / calls.limit.mean_ns,
      sealed_authority_calls_per_s: perSecond,
      sealed_authority_window: calls.window,
      sealed_authority_p99_us: calls.pipelinedTails.p99_ns / 1e3,
      seal_release_batched_ns_per_scope: batched,
      seal_first_store_ns: costs.firstStoreNs,
      seal_curve: costs.curve,
      isolation_auto_pages: Number.isFinite(costs.autoPages) ? costs.autoPages : null,
    }
  },
}
