import { UsageError, parseOptions, type Options } from './support/options.js'
import { Output } from './support/output.js'
import { findTrial, listTrials } from './trials/registry.js'

const USAGE_EXIT_CODE = 2

function usage(problem: string): void {
  process.stderr.write(`${problem}\nusage: npm run bench -- TRIAL [--quick] [--json]\ntrials:\n${listTrials()}\n`)
  process.exitCode = USAGE_EXIT_CODE
}

function readOptions(): Options | undefined {
  try {
    return parseOptions(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    usage(error.message)
    return undefined
  }
}

const options = readOptions()
if (options !== undefined) {
  const trial = findTrial(options.trial)
  if (trial === undefined) {
    usage(`there is no trial ${options.trial}`)
  } else {
    const output = new Output(options.json)
    output.finish(await trial.run({ quick: options.quick, output }))
  }
}
