// Some seconds of each fuzz target, and every case that ever failed. `npm run fuzz` goes on for as long as one likes.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Ending, FuzzFailure, regressions, runCampaign } from './campaign.js'
import { TARGETS } from './targets/index.js'

const MS = 600
/** The first look at the clock is after sixteen cases, on however busy a machine. */
const LEAST_INPUTS = 15

for (const name of Object.keys(TARGETS)) {
  test(`${name}: random cases`, async (t) => {
    const { cases, inputs, seed } = await runCampaign(name, { ms: MS })
    t.diagnostic(`${inputs} mutated inputs in ${cases} cases from seed ${seed}`)
    assert.ok(inputs > LEAST_INPUTS)
  })
}

test('cases that failed once', async () => {
  for (const { target, seed } of regressions()) await runCampaign(target, { ms: 0, first: seed })
})

const ENDINGS: readonly (readonly [target: string, ending: Ending])[] = [
  ['throwing', 'an error'], ['crashing', 'the end of its process'], ['exiting', 'the end of its process'], ['hanging', 'a case without an end'],
]

for (const [target, ending] of ENDINGS) {
  test(`a campaign that ends by ${ending} (${target}) leaves the case's seed, and that fails again`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'rpcool-regressions-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const failed = (error: unknown): boolean => error instanceof FuzzFailure && error.ending === ending && error.target === target
    const options = { ms: 20_000, hangMs: 500, folder }
    await assert.rejects(runCampaign(target, { ...options, first: 1 }), failed)
    const [kept, ...others] = regressions(folder)
    assert.deepEqual([kept?.target, others], [target, []])
    await assert.rejects(runCampaign(target, { ...options, ms: 0, first: kept!.seed }), failed)
  })
}
