import type { Output } from '../support/output.js'
import type { CpuPair } from '../support/cpus.js'

/** What a measurement is given. */
export interface SectionContext {
  readonly quick: boolean
  readonly output: Output
  readonly cpus: CpuPair
}

/**
 * One measurement of `bench -- objects`, in a file of its own: measures in a child process, prints its table, and answers
 * what it adds to the JSON object of the run.
 */
export interface Section {
  readonly name: string
  run(context: SectionContext): Promise<object>
}
