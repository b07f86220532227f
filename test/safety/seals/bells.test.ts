// The bell by which a sender wakes a sealer that waits for it: one that is lost costs a tick, one that rings twice costs nothing.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { addon } from '../../../src/sys/index.js'
import { openUserfaultfd, sealOnce } from './ground.js'

const ROUNDS = 200

/** Has bells rung in another way, until the test is over. Returns how often one was to be rung. */
function ringBy(t: TestContext, ring: (original: (bell: number) => number, bell: number) => number): () => number {
  const original = addon.ringBell.bind(addon)
  let rings = 0
  addon.ringBell = (bell): number => {
    rings++
    return ring(original, bell)
  }
  t.after(() => (addon.ringBell = original))
  return () => rings
}

async function sealMany(): Promise<void> {
  await using ground = await openUserfaultfd({ pages: 16, descriptors: 16 })
  for (let round = 0; round < ROUNDS; round++) {
    sealOnce(ground, round % 16)
    assert.equal(ground.authority.inFlight, 0)
  }
}

test('bells that are lost: every seal and release comes about all the same', async (t) => {
  const rings = ringBy(t, () => 0)
  await sealMany()
  assert.ok(rings() > 0, 'the sealer waited for a bell')
})

test('bells that ring several times: none is taken for a request', async (t) => {
  const rings = ringBy(t, (original, bell) => original(bell) | original(bell) | original(bell))
  await sealMany()
  assert.ok(rings() > 0, 'the sealer waited for a bell')
})
