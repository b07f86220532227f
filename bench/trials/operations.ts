import type { OperationGroup } from '../operations/group.js'
import { isolationGroup } from '../operations/isolation.js'
import { sealGroup } from '../operations/seals.js'
import { twoCpus } from '../support/cpus.js'
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
    return result
  },
}
