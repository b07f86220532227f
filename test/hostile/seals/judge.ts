// Whether what came of an attack is what the table of expected.ts promises.
import assert from 'node:assert/strict'
import { formatStrength } from '../../../src/safety/seals/strength.js'
import { type Attempt, isRoot, type Setting } from './attack.js'
import { type AttackRow, expectedOf } from './expected.js'

/** Attackers mostly wait. */
export const SIDE_BY_SIDE = 4

/** Whether a setting, and this machine's user, have what the attack takes. */
export function runsHere(row: AttackRow, setting: Setting): boolean {
  if (row.needs !== undefined && !isRoot) return false
  if (setting === 'by itself') return true
  if (row.refused === true || (setting !== 'confined' && row.needs === 'device')) return false
  return setting !== 'unprotected' || row.harmless === undefined
}

/** Fails when the promise is broken, and when nothing was attacked. */
export function judge(row: AttackRow, setting: Setting, { strength, outcome, said }: Attempt): void {
  const where = `strength ${formatStrength(strength)}; the attacker said ${JSON.stringify(said)}`
  const expected = setting === 'unprotected' ? 'not held' : expectedOf(row, strength)
  if (expected === 'refused') {
    assert.equal(outcome, 'refused', where)
    return
  }
  if (row.optional === true && said[0] === 'not here') return
  if (outcome === 'no seal') {
    // Else a broken attacker would pass for one that was held off.
    assert.ok(row.prevents === true && setting === 'by itself', `no seal came about; ${where}`)
    return
  }
  assert.equal(said.at(-1), 'done', `the attack was not carried out; ${where}`)
  if (expected === 'held') assert.ok(outcome === 'held' || outcome === 'noticed', `${outcome}; ${where}`)
  else assert.equal(outcome, 'not held', where)
}
