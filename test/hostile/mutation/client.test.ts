// A peer that rewrites, at any moment, whatever it may write of what a connection shares, while sealed and copied calls run: each handler sees
// one argument or none, the sealer goes on, and a client beside it notices nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { serve, type ServerCall, type View } from '../../../src/index.js'
import { Ground } from '../../support/ground.js'
import { newSeed } from '../../support/random.js'
import { serviceProcess } from '../../safety/seals/services.js'
import { makeShaky, reading, type Shaky } from '../isolated-service.js'
import { SealAttacked } from '../sealed-service.js'
import { type MutationFigures, TARGETS } from './client-main.js'

const MS = 1200

for (const target of [...TARGETS, 'everything'] as const) {
  test(`a client whose ${target} ${target === 'doorbell' ? 'rings' : 'is rewritten'} all the time changes no argument under its handler`, async (t) => {
    await using ground = await Ground.open(t)
    const changed: string[] = []
    let unprotected = 0
    const served = new Map<string, number>()
    const seen = new Set<string>()
    const failures: string[] = []
    const note = (call: ServerCall, before: string, after: string): number => {
      served.set(call.isolation, (served.get(call.isolation) ?? 0) + 1)
      if (seen.size < 1000) seen.add(before)
      if (before !== after) {
        if (call.isolation === 'none') unprotected++
        else changed.push(`${call.isolation} ${call.method}: ${before} ${after}`)
      }
      return before === after ? 1 : 0
    }
    const twice = (node: View<typeof Shaky>, call: ServerCall): number => note(call, reading(node), reading(node))
    const later = async (node: View<typeof Shaky>, call: ServerCall): Promise<number> => {
      const before = reading(node)
      for (let i = 0; i < 5; i++) await turn()
      return note(call, before, reading(node))
    }
    const server = await serve(ground.channel, SealAttacked, {
      atOnce: twice, open: later, copied: twice, later,
      word: (value) => value, words: () => 1, back: (node) => node,
    }, { onError: (error) => void failures.push(String(error)) })
    try {
      const seed = newSeed()
      t.diagnostic(`RPCOOL_SEED=${seed}`)
      const good = await ground.connectTo(SealAttacked)
      const sealer = serviceProcess('sealer')
      const attacker = await ground.child('../hostile/mutation/client-main.js', ground.channel, target, String(seed), String(MS))
      let over = false
      ground.waitsFor = `the attack to end (seed ${seed})`
      const died = attacker.ended().then(() => assert.fail('the attacker\'s own library did not bear it'))
      died.catch(() => undefined)
      const attack = (Promise.race([attacker.ask('attack'), died]) as Promise<MutationFigures>).finally(() => (over = true))
      let rounds = 0
      for (; !over; rounds++) {
        assert.deepEqual(await Promise.all([good.later(makeShaky(7) as never), good.copied(makeShaky(8) as never)]), [1, 1])
        await turn()
      }
      const { connections, answers, errors, rings, writes, unexpected } = await attack
      t.diagnostic(`${JSON.stringify(writes)}, ${rings} rings, ${connections} connections, ${answers} answers, ${errors} errors, ` +
        `${[...served].map(([how, count]) => `${how} ${count}`).join(', ')}, ${seen.size} different arguments, ${unprotected} unprotected ones changed, ${rounds} rounds of the good client`)
      assert.deepEqual(changed, [])
      assert.deepEqual(unexpected, [])
      assert.deepEqual(failures.filter((one) => !one.startsWith('RpcError')).slice(0, 3), [])
      for (const one of target === 'everything' ? TARGETS : [target]) {
        if (one === 'doorbell') assert.ok(rings > 0)
        else assert.ok(writes[one]! > 20, `${one}: ${writes[one]} writes`)
      }
      if (target === 'heap' || target === 'sealed pages') assert.ok(seen.size > 3, 'the handlers saw arguments that were rewritten')
      if (target === 'sealed pages') assert.ok(unprotected > 0, 'arguments without isolation change, and that is seen')
      assert.ok((served.get('seal') ?? 0) > 10 && (served.get('snapshot') ?? 0) > 10 && rounds > 10)
      assert.equal(serviceProcess('sealer'), sealer, 'the sealer lives')
      await attacker.kill()
      await ground.until('its connections to go', () => server.connectionCount === 1)
    } finally {
      await server.close()
    }
  })
}
