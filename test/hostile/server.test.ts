// A hostile server: its clients get errors or nonsense from it, and go on calling others.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ground } from '../support/ground.js'
import { newSeed } from '../support/random.js'
import { serverAttacks } from './server-attacks.js'

const ATTACK_MS = 1500

for (const name of Object.keys(serverAttacks)) {
  test(`a server that ${name} harms nobody but those calls`, async (t) => {
    await using ground = await Ground.open(t)
    await ground.serve()
    const seed = newSeed()
    t.diagnostic(`seed ${seed}`)
    const channel = `${ground.channel}/hostile`
    const attacker = await ground.child('../hostile/server-main.js', name, channel, String(seed))
    const victim = await ground.child('../hostile/victim-main.js', channel, ground.channel, String(ATTACK_MS))
    ground.waitsFor = `the client under attack (seed ${seed})`
    const died = victim.ended().then(() => {
      throw new Error(`the client ended under attack (seed ${seed})`)
    })
    const outcome = await Promise.race([victim.ask('go'), died]) as Record<'calls' | 'errors' | 'connections' | 'unchanged' | 'rounds' | 'mappings', number>
    died.catch(() => undefined)
    t.diagnostic(JSON.stringify(outcome))
    const attacks = await attacker.ask('attacks') as number
    t.diagnostic(`${attacks} attacks`)
    assert.ok(attacks > 20, `${attacks} attacks`)
    assert.equal(outcome.mappings, 0)
    assert.ok(outcome.rounds > 5 && outcome.calls > 20 && outcome.connections > 0)
  })
}
