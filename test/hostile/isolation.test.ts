// A peer that rewrites every byte it may write of its arguments while calls run: each handler sees one argument, or the call is an
// error; and a well-behaved client beside it notices nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { serve, type ServerCall, type View } from '../../src/index.js'
import { Ground } from '../support/ground.js'
import { newSeed } from '../support/random.js'
import { Isolated, makeShaky, reading, type Shaky } from './isolated-service.js'
import type { ShakyFigures } from './shaky-client-main.js'

const MS = 2500

test('an argument that is rewritten all the time does not change under its handler', async (t) => {
  await using ground = await Ground.open(t)
  const isolations = new Set<string>()
  const mixed = new Set<string>()
  const judge = (node: View<typeof Shaky>, call: ServerCall, before: string): number => {
    isolations.add(call.isolation)
    if (mixed.size < 1000) mixed.add(before)
    return reading(node) === before ? 1 : 0
  }
  const server = await serve(ground.channel, Isolated, {
    atOnce: (node, call) => judge(node, call, reading(node)),
    later: async (node, call) => {
      const before = reading(node)
      await turn()
      await turn()
      return judge(node, call, before)
    },
    healthy: (node) => (reading(node).includes('the name of node 7') ? 1 : 0),
  })
  try {
    const seed = newSeed()
    t.diagnostic(`RPCOOL_SEED=${seed}`)
    const attacker = await ground.child('../hostile/shaky-client-main.js', ground.channel, String(seed), String(MS))
    const good = await ground.connectTo(Isolated)
    let over = false
    ground.waitsFor = 'the attack to end'
    const attack = (attacker.ask('attack') as Promise<ShakyFigures>).finally(() => (over = true))
    let rounds = 0
    while (!over) {
      assert.equal(await good.healthy(makeShaky(7) as never), 1)
      rounds++
      await turn()
    }
    const { writes, answers, errors, unexpected } = await attack
    t.diagnostic(`${writes} writes, ${answers} answers, ${errors} errors, ${rounds} calls of the good client`)
    assert.deepEqual(unexpected, [])
    assert.deepEqual([...isolations], ['snapshot'])
    assert.ok(writes > 1000 && answers > 10 && rounds > 10)
    assert.ok(mixed.size > 3, 'the handlers saw arguments that were rewritten')
  } finally {
    await server.close()
  }
})
