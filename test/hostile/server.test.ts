// A hostile server: its clients get errors or nonsense from it, and go on calling others.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ground } from '../support/ground.js'
import { newSeed } from '../support/random.js'
import { serverAttacks } from './server-attacks.js'

const ATTACK_MS = 1300
/** Of isolated results, looked at twice; where the answers themselves are spoiled there may be none. */
const UNCHANGED = 3
const WITHOUT_RESULTS: ReadonlySet<string> = new Set(['rewrites all words of the ring at random', 'rewrites the lines of flags'])
/** Here results that nothing protects must change, or those that are isolated would prove nothing. */
const TEARING = 'rewrites results and arguments while they are read'

for (const name of Object.keys(serverAttacks)) {
  test(`a server that ${name} harms nobody but those calls`, async (t) => {
    await using ground = await Ground.open(t)
    await ground.serve()
    const seed = newSeed()
    t.diagnostic(`seed ${seed}`)
    const channel = `${ground.channel}/hostile`
    const [leastUnchanged, leastTorn] = [WITHOUT_RESULTS.has(name) ? 0 : UNCHANGED, name === TEARING ? 1 : 0]
    const attacker = await ground.child('../hostile/server-main.js', name, channel, String(seed))
    const victim = await ground.child('../hostile/victim-main.js', channel, ground.channel, ...[ATTACK_MS, leastUnchanged, leastTorn].map(String))
    ground.waitsFor = `the client under attack (seed ${seed})`
    const died = victim.ended().then(() => {
      throw new Error(`the client ended under attack (seed ${seed})`)
    })
    const outcome = await Promise.race([victim.ask('go'), died]) as Record<'calls' | 'errors' | 'connections' | 'unchanged' | 'torn' | 'rounds' | 'mappings', number>
    died.catch(() => undefined)
    t.diagnostic(JSON.stringify(outcome))
    const attacks = await attacker.ask('attacks') as number
    t.diagnostic(`${attacks} attacks`)
    assert.ok(attacks > 20, `${attacks} attacks`)
    assert.equal(outcome.mappings, 0)
    assert.ok(outcome.unchanged >= leastUnchanged, `${outcome.unchanged} isolated results`)
    assert.ok(outcome.torn >= leastTorn, 'no result without isolation changed, or that was not seen')
    assert.ok(outcome.rounds > 5 && outcome.calls > 20 && outcome.connections > 0)
  })
}
