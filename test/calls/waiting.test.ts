// Ends that wait in different ways beside each other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { HOT_MAX } from '../../src/calls/server/hot-set.js'
import type { Waiting } from '../../src/calls/waiting/waiting.js'
import { Everything } from '../support/everything.js'
import { type Commanded, Ground } from '../support/ground.js'

test('a server that always polls answers more connections than it polls', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve({ waiting: 'spin' })
  await server.ask('mostPolled')
  for (let i = 0; i < HOT_MAX + 2; i++) {
    const conn = await ground.connect()
    assert.equal(await conn.number(i), i)
  }
  assert.equal(await server.ask('mostPolled'), HOT_MAX, 'as many as there is room for, and no more')
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

/** CPU time in milliseconds and sleeps of a server's process so far; what it costs to ask comes on top. */
interface Spent {
  readonly cpuMs: number
  readonly sleeps: number
}

/** What a server of the policy spends while nobody calls. The connection stays open, and has made a call. */
async function idle(ground: Ground, waiting: Waiting): Promise<Spent> {
  const channel = `${ground.channel}/${waiting}`
  const server = await ground.serve({ waiting }, channel)
  const conn = await ground.connectTo(Everything, {}, channel)
  assert.equal(await conn.number(7), 7)
  // What a start leaves to do is over.
  await sleep(200)
  const before = await spent(server)
  await sleep(600)
  const after = await spent(server)
  await conn.close()
  await server.end()
  return { cpuMs: after.cpuMs - before.cpuMs, sleeps: after.sleeps - before.sleeps }
}

async function spent(server: Commanded): Promise<Spent> {
  return await server.ask('spent') as Spent
}

test('what an idle server costs tells its ways of waiting apart', async (t) => {
  await using ground = await Ground.open(t)
  const [spin, adaptive, event, paper] = [
    await idle(ground, 'spin'), await idle(ground, 'adaptive'), await idle(ground, 'event'), await idle(ground, 'paper'),
  ]
  const all = JSON.stringify({ spin, adaptive, event, paper })
  // Polling takes what the machine has left; the others are woken by nothing but the two questions.
  assert.ok(spin.cpuMs > 5 * adaptive.cpuMs && spin.cpuMs > 5 * event.cpuMs, all)
  // Every pause is a sleep, unless the CPUs have so little to do that polling without pauses is right.
  assert.ok(paper.sleeps > 5 * (event.sleeps + adaptive.sleeps) || paper.cpuMs > 5 * event.cpuMs, all)
})
