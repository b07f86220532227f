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
import { HOT_BYTES, type MutationFigures, TARGETS } from './client-main.js'

/** An attack takes so long, and longer on a machine that is busy with other things, until there was enough of it. */
const MS = 1000
const MS_MAX = 50_000
const LOOK_MS = 200

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
      const attacker = await ground.child('../hostile/mutation/client-main.js', ground.channel, target, String(seed))
      ground.waitsFor = `the attack to end (seed ${seed})`
      const died = attacker.ended().then(() => assert.fail('the attacker\'s own library did not bear it'))
      died.catch(() => undefined)
      const ask = (command: string): Promise<MutationFigures> => Promise.race([attacker.ask(command), died]) as Promise<MutationFigures>
      let [rounds, figures, looked] = [0, await ask('attack'), 0]
      const start = performance.now()
      /** What was too little, if anything. */
      const lacks = (): string | undefined => {
        const { writes } = figures
        for (const one of target === 'everything' ? TARGETS : [target]) {
          if (one === 'doorbell' ? figures.rings === 0 : !(writes[one]! > 20)) return `${one}: ${writes[one]} writes`
          if (one in HOT_BYTES && !(writes[`farthest ${one}`]! > HOT_BYTES[one as keyof typeof HOT_BYTES])) return `${one}: nothing was written behind what is used most`
        }
        if ((target === 'heap' || target === 'sealed pages') && seen.size <= 3) return 'the handlers saw arguments that were not rewritten'
        if (target === 'sealed pages' && unprotected === 0) return 'arguments without isolation did not change, or that was not seen'
        if ((served.get('seal') ?? 0) <= 10 || (served.get('snapshot') ?? 0) <= 10 || rounds <= 10) return `${rounds} rounds`
        return figures.answers > 0 || target === 'control region' ? undefined : 'no answer'
      }
      for (; ; rounds++) {
        const [first, second] = await Promise.all([good.later(makeShaky(7) as never), good.copied(makeShaky(8) as never)])
        assert.deepEqual([first, second], [1, 1])
        await turn()
        const ms = performance.now() - start
        if (ms < MS || ms - looked < LOOK_MS) continue
        looked = ms
        figures = await ask('told')
        if (ms > MS_MAX || lacks() === undefined) break
      }
      figures = await ask('stop')
      const { connections, answers, errors, rings, writes, unexpected } = figures
      t.diagnostic(`${JSON.stringify(writes)}, ${rings} rings, ${connections} connections, ${answers} answers, ${errors} errors, ` +
        `${[...served].map(([how, count]) => `${how} ${count}`).join(', ')}, ${seen.size} different arguments, ${unprotected} unprotected ones changed, ${rounds} rounds of the good client`)
      assert.deepEqual(changed, [])
      assert.deepEqual(unexpected, [])
      assert.deepEqual(failures.filter((one) => !one.startsWith('RpcError')).slice(0, 3), [])
      assert.equal(lacks(), undefined)
      assert.equal(serviceProcess('sealer'), sealer, 'the sealer lives')
      await attacker.kill()
      await ground.until('its connections to go', () => server.connectionCount === 1)
    } finally {
      await server.close()
    }
  })
}
