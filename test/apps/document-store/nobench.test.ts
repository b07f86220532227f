// NoBench over the store itself; over its servers beside, in served.test.ts.
import { test } from 'node:test'
import { runQueries } from './nobench.js'
import { plainTested } from './tested.js'

test('NoBench, plain objects', async (t) => {
  await runQueries(plainTested(), async (name, run) => {
    await t.test(name, run)
  })
})
