import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newSeed, Random } from '../support/random.js'
import { dieAtStores, pickSome } from './shared-deaths.js'
import { SCENARIOS } from './shared-scenarios.js'

// Of the some ten thousand stores; all of them: npm run chaos.
const SCENARIOS_TRIED = 16
const DEATHS = 3
const SECOND_DEATHS = 1

test('the holder of a lock dies after a store, and whoever repairs after it: the write is there as a whole or not at all', () => {
  const seed = newSeed()
  const random = new Random(seed)
  const left = [...SCENARIOS]
  for (let i = 0; i < SCENARIOS_TRIED; i++) {
    const [scenario] = left.splice(random.below(left.length), 1)
    try {
      const { deaths, secondDeaths } = dieAtStores(scenario!, pickSome(random, DEATHS), pickSome(random, SECOND_DEATHS))
      assert.ok(deaths > 0 && secondDeaths > 0)
    } catch (error) {
      throw new Error(`RPCOOL_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
})
