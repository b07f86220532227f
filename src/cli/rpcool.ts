#!/usr/bin/env node
import { RpcError } from '../base/errors.js'
import { parseRun, run } from './run.js'

/** Exit codes of our own: the command line was not understood; the command could not be started. */
export const EXIT = { usage: 2, failed: 3 } as const

try {
  process.exit(await run(parseRun(process.argv.slice(2))))
} catch (error) {
  if (!RpcError.is(error)) throw error
  process.stderr.write(`rpcool: ${error.sentence}\n`)
  process.exit(error.code === 'INVALID_ARGUMENT' ? EXIT.usage : EXIT.failed)
}
