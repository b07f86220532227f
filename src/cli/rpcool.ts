#!/usr/bin/env node
import { RpcError } from '../base/errors.js'
import { parseRun, run } from './run.js'

/** Exit codes of our own: the command line was not understood; the command could not be started. */
export const EXIT = { usage: 2, failed: 3 } as const

const HELP = `rpcool run [--user NUMBER] [--heap BYTES] -- COMMAND [ARGUMENT…]

  Starts a program so that the seals of its calls are enforced: from its first instruction on it can do nothing that would let it
  write to an argument that it has sealed. Its exit code is the program's.

  --user NUMBER   the uid that the program gets; ours if left out
  --heap BYTES    memory for its sealed arguments; 32 MiB if left out
  --help, -h
`
const words = process.argv.slice(2)
if (words[0] === '--help' || words[0] === '-h') {
  process.stdout.write(HELP)
  process.exit(0)
}

try {
  process.exit(await run(parseRun(words)))
} catch (error) {
  if (!RpcError.is(error)) throw error
  process.stderr.write(`rpcool: ${error.sentence}\n`)
  process.exit(error.code === 'INVALID_ARGUMENT' ? EXIT.usage : EXIT.failed)
}
