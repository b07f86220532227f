// Ends that wait in different ways beside each other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOT_MAX } from '../../src/calls/server/hot-set.js'
import { Ground } from '../support/ground.js'

test('a server that always polls answers more connections than it polls', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve({ waiting: 'spin' })
  for (let i = 0; i < HOT_MAX + 2; i++) {
    const conn = await ground.connect()
    assert.equal(await conn.number(i), i)
  }
})

test('sync calls beside one that is awaited for long are not taken for a flood', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  const held = conn.hold('held')
  // Each call finds this end asleep, for the sake of the awaited one, and so rings.
  for (let i = 0; i < 6000; i++) {
    assert.equal(conn.sync.number(i), i)
    for (let turns = 0; turns < 4; turns++) await new Promise((resolve) => setImmediate(resolve))
  }
  conn.sync.free('held')
  assert.equal(await held, 'held')
})
