// The same attacks where nobody is root: the sealer belongs to the senders' user, and hears of no forks and no moved mappings.
import assert from 'node:assert/strict'
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { runtimeDirectory } from '../../../src/control/index.js'
import { formatStrength } from '../../../src/safety/seals/strength.js'
import { Commanded } from '../../support/ground.js'
import { ATTACKER_UID, type Attempt, isRoot, openToAttackers } from './attack.js'
import { ATTACKS } from './expected.js'
import { judge, SIDE_BY_SIDE } from './judge.js'

let child: Commanded

before(async () => {
  // A user who is none runs all tests like that.
  openToAttackers()
  const folder = join(runtimeDirectory(), 'unprivileged')
  mkdirSync(folder, { mode: 0o700 })
  if (isRoot) chownSync(folder, ATTACKER_UID, ATTACKER_UID)
  child = await Commanded.startAs(isRoot ? ATTACKER_UID : undefined, { RPCOOL_RUNTIME_DIR: join(folder, 'run'), TMPDIR: folder }, '../hostile/seals/unprivileged-main.js')
})
after(() => child.end())

suite('a sender of the sealer\'s user, who is not root', { concurrency: SIDE_BY_SIDE }, () => {
  // There is no device to hand out; the file system whose reads wait is root's to make.
  for (const row of ATTACKS.filter(({ needs }) => needs === undefined)) {
    test(row.name, async () => {
      const attempt = await child.ask(row.name)
      assert.ok(typeof attempt === 'object', String(attempt))
      judge(row, 'by itself', attempt as Attempt)
      if (row.refused !== true && (attempt as Attempt).outcome !== 'no seal') assert.match(formatStrength((attempt as Attempt).strength), /fork, remap, same-user/)
    })
  }
})
