import type { CopyPoint } from '../operations/copy-costs.js'
import type { OperationGroup } from '../operations/group.js'
import { isolationGroup } from '../operations/isolation.js'
import type { CurvePoint } from '../operations/seal-costs.js'
import { sealGroup } from '../operations/seals.js'
import { twoCpus } from '../support/cpus.js'
import { formatNs } from '../support/output.js'
import { plotLogLog } from '../support/plot.js'
import { Workspace } from '../support/workspace.js'
import { planFor } from './plans.js'
import type { Trial } from './trial.js'

const GROUPS: readonly OperationGroup[] = [isolationGroup, sealGroup]

export const operations: Trial = {
  name: 'operations',
  about: 'seals, sandboxes and isolation, row by row as in the paper\'s table of operations',
  async run({ quick, output }) {
    using workspace = new Workspace()
    const { directory } = workspace
    // Children inherit it: a daemon and a sealer of our own, which go with the run.
    process.env['RPCOOL_RUNTIME_DIR'] = directory
    const cpus = twoCpus()
    const result: Record<string, unknown> = { trial: 'operations', quick }
    for (const group of GROUPS) Object.assign(result, await group.measure({ cpus, plan: planFor(quick), quick, directory, output }))
    output.note(`\nA private copy against a seal, its release and the sender's next stores\n${plotOf(result['copy_curve'] as readonly CopyPoint[], result['seal_curve'] as readonly CurvePoint[])}`)
    result['isolation_crossover_pages'] = crossover(result['copy_curve'], result['seal_curve'], true)
    result['isolation_crossover_not_rewritten_pages'] = crossover(result['copy_curve'], result['seal_curve'], false)
    output.note(`sealing a page that is written again costs less than copying it from ${String(result['isolation_crossover_pages'])} pages on; without the ` +
      `fault of that next store, from ${String(result['isolation_crossover_not_rewritten_pages'])} pages on (null: at no length that was tried, up to 16384). The library's auto, which tries three lengths at start-up, changes over at ${String(result['isolation_auto_pages'])}`)
    return result
  },
}

/**
 * The first length, in pages, at which a seal and its release cost less than a private copy; null when there is none.
 * @param stores whether the sender's next first store to each page counts, too.
 */
function crossover(copies: unknown, seals: unknown, stores: boolean): number | null {
  const copyOf = new Map((copies as readonly CopyPoint[]).map(({ pages, copy_ns }) => [pages, copy_ns]))
  const cheaper = (seals as readonly CurvePoint[]).find(({ pages, seal_ns, release_ns, store_ns }) =>
    seal_ns + release_ns + (stores ? store_ns : 0) < (copyOf.get(pages) ?? 0))
  return cheaper?.pages ?? null
}

function plotOf(copies: readonly CopyPoint[], seals: readonly CurvePoint[]): string {
  return plotLogLog([
    { name: 'copy', mark: 'o', points: copies.map(({ pages, copy_ns }) => ({ x: pages, y: copy_ns })) },
    { name: 'seal', mark: '#', points: seals.map(({ pages, seal_ns, release_ns, store_ns }) => ({ x: pages, y: seal_ns + release_ns + store_ns })) },
    { name: 'seal, not written again', mark: '-', points: seals.map(({ pages, seal_ns, release_ns }) => ({ x: pages, y: seal_ns + release_ns })) },
  ], formatNs, 'pages')
}
