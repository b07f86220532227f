import type { CpuPair } from '../support/cpus.js'
import type { Output } from '../support/output.js'
import type { Plan } from '../trials/plans.js'

export interface OperationContext {
  readonly cpus: CpuPair
  readonly plan: Plan
  readonly quick: boolean
  /** Sockets of this run; also the runtime directory of its daemon. */
  readonly directory: string
  readonly output: Output
}

/** Some rows of the paper's table of operations (Table 1b). What `measure` answers becomes part of the run's JSON object. */
export interface OperationGroup {
  readonly name: string
  /** Measures in processes of its own and prints its tables. */
  measure(context: OperationContext): Promise<object>
}
