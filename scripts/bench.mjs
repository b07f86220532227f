// npm run bench -- <trial> [--quick] [--json]: set-up on stderr, so that stdout is the benchmark's alone.
import { main } from './console.mjs'
import { ensurePrograms, PROGRAMS } from './debian.mjs'
import { runProgram } from './run.mjs'
import { setUp } from './setup.mjs'

await main(async () => {
  ensurePrograms(PROGRAMS)
  await setUp()
  return await runProgram('build/bench/main.js', process.argv.slice(2))
})
