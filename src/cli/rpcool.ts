#!/usr/bin/env node
import { RpcError } from '../base/errors.js'
import { parseRun, run } from './run.js'
import { PREPARE_USAGE, RUN_USAGE } from './usage.js'

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

rpcool prepare-wasm IN.wasm OUT.wasm

  Makes a compiled handler fit for a sandbox, as WasmHandlers.load does at each start of a program: done once, when the program is built, loading
  takes milliseconds and needs no binaryen. Here it is needed: npm install -D binaryen

rpcool --help, -h
`

/** The exit code. What stands behind `--` belongs to the command that is to be run. */
async function main(words: readonly string[]): Promise<number> {
  const own = words.includes('--') ? words.slice(0, words.indexOf('--')) : words
  if (own.includes('--help') || own.includes('-h')) {
    process.stdout.write(HELP)
    return 0
  }
  const [command, ...rest] = words
  if (command === 'run') return run(parseRun(rest))
  if (command !== 'prepare-wasm') throw new RpcError('INVALID_ARGUMENT', `${command === undefined ? '' : `there is no command "${command}"; `}${RUN_USAGE}\n${PREPARE_USAGE}`)
  // Not before: a launcher that has loaded all of this starts its programs seconds later.
  const { prepareFile } = await import('./prepare.js')
  await prepareFile(rest)
  return 0
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  if (!RpcError.is(error)) throw error
  process.stderr.write(`rpcool: ${error.sentence}\n`)
  process.exit(error.code === 'INVALID_ARGUMENT' ? EXIT.usage : EXIT.failed)
}
