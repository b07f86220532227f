// npm run chaos, npm run fuzz: set-up, then the long form of a suite.
import { SetupError, main } from './console.mjs'
import { runProgram } from './run.mjs'
import { setUp } from './setup.mjs'

await main(async () => {
  const [name, ...args] = process.argv.slice(2)
  if (!/^[a-z-]+$/.test(name ?? '')) throw new SetupError('say which suite: node scripts/long.mjs <chaos|fuzz> [arguments]')
  await setUp()
  return await runProgram(`build/test/${name}/long.js`, args)
})
