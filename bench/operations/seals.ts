import { runChild } from '../support/child.js'
import { formatNs, formatRatio } from '../support/output.js'
import type { OperationGroup } from './group.js'
import { measureSealedCalls } from './seal-calls.js'
import { measureSealCosts } from './seal-costs.js'

export const sealGroup: OperationGroup = {
  name: 'seals',
  async measure({ cpus, plan, quick, output }) {
    const calls = await runChild(measureSealedCalls, { cpus, plan }, { label: 'the sender of sealed calls', cpu: cpus.caller })
    const costs = await runChild(measureSealCosts, { rounds: quick ? 20 : 200 }, { label: 'seals alone', cpu: cpus.caller })
    const perSecond = 1e9 / calls.pipelined.mean_ns
    const batched = costs.batchedSealNs + costs.batchedReleaseNs
    output.table(`Sealed calls of one rewritten page (strength: ${calls.strength})`, ['', 'ours', 'limit', 'ratio'], [
      ['round trip ÷ three C processes', formatNs(calls.call.mean_ns), formatNs(calls.limit.mean_ns), formatRatio(calls.call.mean_ns / calls.limit.mean_ns)],
      [`pipelined, ${String(calls.window)} in flight at most, each`, formatNs(calls.pipelined.mean_ns), '', ''],
      ['pipelined, calls per second', Math.round(perSecond), '', ''],
      ['pipelined, from rewriting to answer, p99', formatNs(calls.pipelinedTails.p99_ns), '', ''],
    ])
    output.table('Seals alone', ['', 'seal', 'release', 'next first store'], [
      ['1024 scopes of one page, together, each', formatNs(costs.batchedSealNs), formatNs(costs.batchedReleaseNs), formatNs(costs.firstStoreNs)],
      ...costs.curve.map(({ pages, seal_ns, release_ns }) => [`one scope of ${String(pages)} pages`, formatNs(seal_ns), formatNs(release_ns), '']),
    ])
    return {
      seal_strength: calls.strength,
      sealed_rtt_ns: calls.call.mean_ns,
      sealed_limit_ns: calls.limit.mean_ns,
      sealed_rtt_over_limit: calls.call.mean_ns / calls.limit.mean_ns,
      sealed_calls_per_s: perSecond,
      sealed_calls_window: calls.window,
      sealed_calls_p99_us: calls.pipelinedTails.p99_ns / 1e3,
      seal_release_batched_ns_per_scope: batched,
      seal_first_store_ns: costs.firstStoreNs,
      seal_curve: costs.curve,
    }
  },
}
