// Native attackers, of another user than their victim and the sealer, against every promise of a connection's strength.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { formatStrength } from '../../../src/safety/seals/strength.js'
import { attack, compileAttackers, isRoot, openToAttackers, removeFolder, type Setting } from './attack.js'
import { ATTACKS, expectedOf } from './expected.js'

let attackers: ReturnType<typeof compileAttackers>

before(() => {
  openToAttackers()
  attackers = compileAttackers()
})
after(() => removeFolder(attackers.folder))

const SETTINGS: readonly Setting[] = ['by itself', 'confined']

for (const setting of SETTINGS) {
  for (const row of ATTACKS) {
    test(`a sender set up ${setting}: ${row.name}`, async () => {
      const { strength, outcome, said } = await attack(row.name, attackers, setting)
      const expected = expectedOf(row, strength)
      const where = `strength ${formatStrength(strength)}; the attacker said ${JSON.stringify(said)}`
      if (outcome === 'no seal') {
        // Else a broken attacker would pass for one that was held off.
        assert.ok(row.prevents === true && setting === 'by itself', `no seal came about; ${where}`)
        return
      }
      assert.equal(said.at(-1), 'done', `the attack was not carried out; ${where}`)
      if (expected === 'held') assert.notEqual(outcome, 'not held', where)
      if (expected === 'not held') assert.equal(outcome, 'not held', where)
      if (isRoot && setting === 'confined') assert.equal(formatStrength(strength), 'enforced')
    })
  }
}
