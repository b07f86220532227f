#!/usr/bin/env node
import { RpcError } from '../base/errors.js'
import { parseRun, run } from './run.js'

/** Exit codes of our own: the command line was not understood; the command could not be started. */
export const EXIT = { usage: 2, failed: 3 } as const

const HELP = `rpcool run [--user NUMBER [--keep-env NAME,…]] [--heap BYTES] [--heaps COUNT] -- COMMAND [ARGUMENT…]

  Starts a program so that the seals of its calls are enforced: from its first instruction on it can do nothing that would let it
  write to an argument that it has sealed. Its exit code is the program's.

  --user NUMBER   the uid that the program gets; ours if left out. Another user's program gets that user's name and home, no keys of ours, and
                  of our environment only where programs lie, language, time zone, terminal, how Node runs, and RPCOOL_*
  --keep-env NAME,NAME…   more of our environment for it
  --heap BYTES    memory for the sealed arguments of one of its connections; 8 MiB if left out
  --heaps COUNT   how many of its connections have sealed arguments at once; 4 if left out, 64 at most
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
