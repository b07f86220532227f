/** The command line of a benchmark run: `<trial> [--quick] [--json]`. */
export interface Options {
  readonly trial: string
  /** The small form that the test suite runs: seconds instead of minutes, and noisier. */
  readonly quick: boolean
  /** Exactly one JSON object on stdout; tables and notes go to stderr. */
  readonly json: boolean
}

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Throws {@link UsageError} with a sentence that says what to change. */
export function parseOptions(argv: readonly string[]): Options {
  let trial: string | undefined
  let quick = false
  let json = false
  for (const argument of argv) {
    if (argument === '--quick') quick = true
    else if (argument === '--json') json = true
    else if (argument.startsWith('-')) throw new UsageError(`there is no option ${argument}: use --quick or --json`)
    else if (trial !== undefined) throw new UsageError(`one trial at a time: ${trial} or ${argument}`)
    else trial = argument
  }
  if (trial === undefined) throw new UsageError('name a trial')
  return { trial, quick, json }
}
