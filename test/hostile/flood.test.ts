// A client that has its server make private copies without a pause: it gets its share, and errors beyond; a client beside it is served.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { serve } from '../../src/index.js'
import { Ground } from '../support/ground.js'
import { Isolated, makeShaky } from './isolated-service.js'

const MS = 1500
const SNAPSHOT_BYTES = 2 << 20
/** Copies that are given back and not yet collected. The flood asks for twice as much at a time. */
const SLACK_BYTES = 14 << 20

test('a flood of arguments to be copied harms nobody else, and is bounded', async (t) => {
  await using ground = await Ground.open(t)
  let held = 0
  const server = await serve(ground.channel, Isolated, {
    atOnce: () => 1, healthy: (node) => (node.name === 'the name of node 7' ? 1 : 0),
    later: async (node) => {
      held = Math.max(held, process.memoryUsage().arrayBuffers)
      for (let i = 0; i < 10; i++) await turn()
      return node.id
    },
  }, { snapshotBytes: SNAPSHOT_BYTES })
  try {
    const good = await ground.connectTo(Isolated)
    const before = process.memoryUsage().arrayBuffers
    const flooder = await ground.child('../hostile/flood-main.js', ground.channel, String(MS))
    let over = false
    const flood = (flooder.ask('flood') as Promise<{ answers: number, exhausted: number, unexpected: string[] }>).finally(() => (over = true))
    let rounds = 0
    for (; !over; rounds++) {
      // Its own copies have room, whatever the other one holds.
      assert.deepEqual(await Promise.all([good.healthy(makeShaky(7) as never), good.healthy(makeShaky(7) as never)]), [1, 1])
      await turn()
    }
    const { answers, exhausted, unexpected } = await flood
    t.diagnostic(`${answers} answers and ${exhausted} refusals of the flood, ${rounds} rounds of the good client, ${(held - before) >> 20} MiB of copies at most`)
    assert.deepEqual(unexpected, [])
    assert.ok(held - before < SLACK_BYTES, `${held - before} bytes of copies`)
    assert.ok(answers > 5 && exhausted > 20 && rounds > 20)
    assert.equal(await good.healthy(makeShaky(7) as never), 1)
  } finally {
    await server.close()
  }
})
