// Another user's process that takes all the places it can get at the daemon and the sealer: their own user's go on being served.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DaemonClient, runtimeDirectory } from '../../src/control/index.js'
import { Places } from '../../src/control/place/places.js'
import { daemonSocket, sealerSocket } from '../../src/control/place/runtime-directory.js'
import { PARTICIPANTS_MAX, PROTOCOL_VERSION } from '../../src/control/protocol/limits.js'
import { SEALER_VERSION } from '../../src/safety/seals/messages.js'
import { SealClient } from '../../src/safety/seals/seal-client.js'
import { asAttacker, isRoot, openToAttackers } from './seals/attack.js'

const main = fileURLToPath(new URL('./places-main.js', import.meta.url))
/** Of one other user. */
const SHARE = PARTICIPANTS_MAX / 8

test('one other user gets an eighth of the places, all others half, and what is given back is free', () => {
  const places = new Places('service', 16, 0)
  const holders = Array.from({ length: 20 }, () => ({}))
  const taken = (from: number, count: number, uid: number): number => holders.slice(from, from + count).filter((one) => places.take(one, uid) === undefined).length
  assert.equal(taken(0, 4, 1), 2)
  places.giveBack(holders[3]!)
  places.giveBack(holders[0]!)
  assert.equal(taken(3, 2, 1), 1)
  for (const uid of [2, 3, 4]) assert.equal(taken(uid * 2 + 2, 2, uid), 2)
  assert.match(String(places.take({}, 5)), /RESOURCE_EXHAUSTED.*8 of users besides its own/)
  assert.equal(taken(12, 8, 0), 8, 'its own user has the other half')
  assert.match(String(places.take({}, 0)), /RESOURCE_EXHAUSTED.*serves 16 isolates/)
})

test('another user who takes all places that there are', { skip: isRoot ? false : 'only root can become another user' }, async () => {
  openToAttackers()
  await DaemonClient.shared().connect()
  using first = SealClient.ofDirectory()
  await first.connected()
  const services = [[daemonSocket(runtimeDirectory()), PROTOCOL_VERSION], [sealerSocket(runtimeDirectory()), SEALER_VERSION]] as const
  await Promise.all(services.map(async ([socket, version]) => {
    const [program, args] = asAttacker([process.execPath, main, socket, JSON.stringify({ type: 'hello', version }), String(SHARE + 20)])
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    const [said] = await Promise.race([once(child.stdout, 'data'), ended]) as [unknown]
    try {
      assert.equal(Number(String(said)), SHARE)
      using client = SealClient.ofDirectory()
      await client.connected()
    } finally {
      child.kill('SIGKILL')
      await ended
    }
  }))
})
