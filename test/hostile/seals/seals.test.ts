// Native attackers, of another user than their victim and the sealer, against every promise of a connection's strength.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { formatStrength } from '../../../src/safety/seals/strength.js'
import { attack, compileAttackers, openToAttackers, removeFolder } from './attack.js'
import { ATTACKS, expectedOf } from './expected.js'

let attackers: ReturnType<typeof compileAttackers>

before(() => {
  openToAttackers()
  attackers = compileAttackers()
})
after(() => removeFolder(attackers.folder))

for (const row of ATTACKS) {
  test(`a sender that attached by itself: ${row.name}`, async () => {
    const { strength, outcome, said } = await attack(row.name, attackers.binary, attackers.folder)
    const expected = expectedOf(row, strength)
    const where = `strength ${formatStrength(strength)}; the attacker said ${JSON.stringify(said)}`
    if (expected === 'held') assert.notEqual(outcome, 'not held', where)
    if (expected === 'not held') assert.equal(outcome, 'not held', where)
  })
}
