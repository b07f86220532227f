// Native attackers, of another user than their victim and the sealer, against every promise of a connection's strength.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { formatStrength } from '../../../src/safety/seals/strength.js'
import { attack, isRoot, openToAttackers, prepareAttackers, type Setting } from './attack.js'
import { ATTACKS } from './expected.js'
import { judge, runsHere, SIDE_BY_SIDE } from './judge.js'

let attackers: Awaited<ReturnType<typeof prepareAttackers>>

before(async () => {
  openToAttackers()
  attackers = await prepareAttackers()
})
after(() => attackers[Symbol.asyncDispose]())

const SETTINGS: readonly Setting[] = ['by itself', 'confined', 'cooperative', 'unprotected']

for (const setting of SETTINGS) {
  suite(`a sender set up ${setting}`, { concurrency: SIDE_BY_SIDE }, () => {
    for (const row of ATTACKS.filter((one) => runsHere(one, setting))) {
      test(row.name, async () => {
        const attempt = await attack(row.name, attackers, setting)
        judge(row, setting, attempt)
        if (isRoot && setting === 'confined') assert.equal(formatStrength(attempt.strength), 'enforced')
      })
    }
  })
}
