// A hostile client: the server answers errors to it alone, and goes on serving the others.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressOf } from '../../src/index.js'
import { TEXT_HEADER_WORDS } from '../../src/objects/text/read.js'
import { Point } from '../support/everything.js'
import { type EverythingConnection, Ground } from '../support/ground.js'
import { newSeed } from '../support/random.js'
import { clientAttacks } from './client-attacks.js'
import { SECRET } from './hostile-client.js'
import { callAllTheTime } from './well-behaved.js'

const ATTACK_MS = 1500

/** What these send is answered, by errors; who breaks the ring or floods is thrown out instead, or gets nothing. */
const ANSWERED_BY_ERRORS = /pointers|tables|texts|lists|graphs|cycles/

/** What points into the other connection's memory. */
const AIMED_AT_OTHERS = /pointers/

for (const name of Object.keys(clientAttacks)) {
  test(`a client that ${name} harms nobody else`, async (t) => {
    await using ground = await Ground.open(t)
    const server = await ground.serve()
    const good = await ground.connect({ heapBytes: 4 << 20 })
    const secret = good.heap.new(Point, { x: 1, y: 2, label: `${SECRET} of another connection`.repeat(10) })
    const seed = newSeed()
    t.diagnostic(`seed ${seed}`)
    const attacker = await ground.child('../hostile/attacker-main.js', name, ground.channel, String(seed), String(ATTACK_MS), ...secretsOf(good, secret))
    let over = false
    ground.waitsFor = `the server under attack (seed ${seed})`
    const attack = attacker.ask('attack').then((outcome) => {
      over = true
      return outcome as { readonly connections: number, readonly good: number, readonly errors: number, readonly lookedInto: number, readonly secrets: number, readonly mappings: number }
    })
    const rounds = await callAllTheTime(good, () => over)
    const outcome = await attack
    t.diagnostic(`${rounds} rounds of the good client, ${outcome.connections} hostile connections, ${outcome.good} answers and ${outcome.errors} errors, ${outcome.lookedInto} of them looked into`)
    assert.equal(outcome.secrets, 0, `${outcome.secrets} answers held the text of another connection`)
    if (AIMED_AT_OTHERS.test(name)) assert.ok(outcome.lookedInto > 20, `only ${outcome.lookedInto} answers could have told a secret`)
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

/** Addresses of the object and of the record of its text. */
function secretsOf({ heaps }: EverythingConnection, secret: object): string[] {
  const { region } = heaps.set
  const text = Buffer.from(region.u8.slice()).indexOf(SECRET) - TEXT_HEADER_WORDS * 4
  assert.ok(text > 0 && text % 8 === 0)
  return [addressOf(secret), region.addressOf(text / 4)].map(String)
}

function once(): () => boolean {
  let count = 0
  return () => count++ > 0
}
