import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mappingCount } from '../../src/sys/index.js'
import { newSeed } from '../support/random.js'
import { stormShared } from './shared-storm.js'

// A minute of it, and more: npm run chaos.
const SECONDS = 4

test('processes change shared containers and are killed: each write is there as a whole or not at all, and memory comes back', async () => {
  const seed = newSeed()
  const { kills, writes } = await stormShared(SECONDS, seed)
  assert.ok(kills >= 2 && writes > 20, `RPCOOL_SEED=${seed}: ${kills} deaths, ${writes} writes`)
  assert.equal(mappingCount(), 0)
})
