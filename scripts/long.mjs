// npm run chaos, npm run fuzz, npm run million: set-up, then the long form of a suite.
import { SetupError, main } from './console.mjs'
import { runProgram } from './run.mjs'
import { setUp } from './setup.mjs'

const PROGRAMS = { chaos: 'build/test/chaos/long.js', fuzz: 'build/test/fuzz/long.js', million: 'build/bench/documents/million.js' }

await main(async () => {
  const [name, ...args] = process.argv.slice(2)
  const program = PROGRAMS[name]
  if (program === undefined) throw new SetupError(`say which suite: node scripts/long.mjs <${Object.keys(PROGRAMS).join('|')}> [arguments]`)
  await setUp()
  return await runProgram(program, args)
})
