// A hostile client: the server answers errors to it alone, and goes on serving the others.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressOf } from '../../src/index.js'
import { Point } from '../support/everything.js'
import { Ground } from '../support/ground.js'
import { newSeed } from '../support/random.js'
import { clientAttacks } from './client-attacks.js'
import { callAllTheTime } from './well-behaved.js'

const ATTACK_MS = 1500

/** What these send is answered, by errors; who breaks the ring or floods is thrown out instead, or gets nothing. */
const ANSWERED_BY_ERRORS = /pointers|tables|texts|lists|graphs|cycles/

for (const name of Object.keys(clientAttacks)) {
  test(`a client that ${name} harms nobody else`, async (t) => {
    await using ground = await Ground.open(t)
    const server = await ground.serve()
    const good = await ground.connect({ heapBytes: 4 << 20 })
    const secret = good.heap.new(Point, { x: 1, y: 2, label: 'SECRET of another connection'.repeat(10) })
    const seed = newSeed()
    t.diagnostic(`seed ${seed}`)
    const attacker = await ground.child('../hostile/attacker-main.js', name, ground.channel, String(seed), String(ATTACK_MS), String(addressOf(secret)))
    let over = false
    ground.waitsFor = `the server under attack (seed ${seed})`
    const attack = attacker.ask('attack').then((outcome) => {
      over = true
      return outcome as { readonly connections: number, readonly good: number, readonly errors: number, readonly mappings: number }
    })
    const rounds = await callAllTheTime(good, () => over)
    const outcome = await attack
    t.diagnostic(`${rounds} rounds of the good client, ${outcome.connections} hostile connections, ${outcome.good} answers and ${outcome.errors} errors`)
    assert.equal(outcome.mappings, 0, 'the attacker itself leaks nothing')
    assert.ok(rounds > 3)
    assert.ok(outcome.connections > 0)
    if (ANSWERED_BY_ERRORS.test(name)) assert.ok(outcome.errors > 20, `${outcome.errors} errors: nothing was attacked`)
    await attacker.kill()
    const info = await ground.info(server)
    assert.ok(!info.errors.some((error) => error.includes('AssertionError')), info.errors.join('\n'))
    assert.equal(secret.label.length, 280)
    assert.equal(await callAllTheTime(good, once()), 1)
  })
}

function once(): () => boolean {
  let count = 0
  return () => count++ > 0
}
