import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mappingCount } from '../../src/sys/index.js'
import { stressWaking } from '../support/wake-stress.js'

test('no wake-up is lost', async () => {
  const outcome = await stressWaking('none', 30_000, 1, 2000)
  assert.deepEqual(outcome, { messages: 30_000, lost: 0 })
  assert.equal(mappingCount(), 0)
})

for (const mutilation of ['no-recheck', 'look-before-publishing'] as const) {
  test(`the protocol with the fault "${mutilation}" loses a wake-up, so that this test would notice`, async () => {
    const { lost } = await stressWaking(mutilation, 200_000, 1, 2000)
    assert.equal(lost, 1)
  })
}
