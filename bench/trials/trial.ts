import type { Output } from '../support/output.js'

export interface TrialContext {
  readonly quick: boolean
  readonly output: Output
}

/** One benchmark that the command line can name. What `run` answers is the JSON object that the run prints. */
export interface Trial {
  readonly name: string
  readonly about: string
  run(context: TrialContext): Promise<object>
}
