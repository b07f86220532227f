// npm start: set-up, then the main job.
import { main } from './console.mjs'
import { runProgram } from './run.mjs'
import { setUp } from './setup.mjs'

await main(async () => {
  await setUp()
  return await runProgram('build/apps/compat-lookup/main.js', process.argv.slice(2))
})
