// Seals of a prepared heap that were found broken stay so: for the next connection, and for the next sealer.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { compiledProgram } from '../../../bench/support/compile.js'
import { addon } from '../../../src/sys/index.js'
import { openFiles } from '../../support/leaks.js'
import type { Launched } from '../../support/launched.js'
import { isReplaced, serviceProcess } from '../seals/services.js'
import { launch, local, until, type Connected } from './ground.js'

const SAME_USER = 'enforced except [same-user]'
const DO_NOT_COUNT = /FAILED_PRECONDITION.*seals of this prepared heap do not count any more/

async function launched(t: TestContext): Promise<Launched> {
  const { server } = await local(t)
  return launch(t, server.channel, '--heap', '65536', '--heaps', '1')
}

/** Makes the readers of the program's only userfaultfd wait, as nobody but its kept copy could: the sealer finds its seals broken. */
async function breakSeals(): Promise<void> {
  const sealer = serviceProcess('sealer')
  const userfault = readdirSync(`/proc/${sealer}/fd`).find((fd) => readlinkSync(`/proc/${sealer}/fd/${fd}`).includes('[userfaultfd]'))
  assert.ok(userfault !== undefined, 'the sealer has the program\'s userfaultfd')
  const pidfd = addon.openPidfd(sealer)
  const taken = addon.takeFd(pidfd, Number(userfault))
  const { status } = spawnSync(await compiledProgram('test/hostile/confined', 'waiting-readers'), { stdio: ['ignore', 'inherit', 'inherit', taken] })
  for (const fd of [taken, pidfd]) addon.closeFd(fd)
  assert.equal(status, 0)
}

/** What a new connection is told, when there is a sealer again. */
async function nextConnection(client: Launched): Promise<string> {
  let said = ''
  await until('a sealer', async () => {
    const { strength, connection } = await client.ask('connect') as Connected
    said = strength === 'none' ? String(await client.ask('read', { connection, value: 1 })) : strength
    await client.ask('close', connection)
    return !/UNAVAILABLE|no launcher prepared|ABORTED/.test(said)
  })
  return said
}

async function endSealer(): Promise<void> {
  const sealer = serviceProcess('sealer')
  process.kill(sealer, 'SIGKILL')
  await until('another sealer', () => isReplaced('sealer', sealer))
  // Launcher, program and server find it by themselves; a sealer waits seconds for an end that does not come.
  await sleep(300)
}

test('broken while no connection used it', async (t) => {
  const client = await launched(t)
  assert.equal(await nextConnection(client), SAME_USER)
  await breakSeals()
  assert.match(await nextConnection(client), DO_NOT_COUNT)
  await endSealer()
  assert.match(await nextConnection(client), DO_NOT_COUNT)
})

test('broken while a connection used it, which outlives two sealers', async (t) => {
  const client = await launched(t)
  const { connection } = await client.ask('connect') as Connected
  assert.equal(await client.ask('read', { connection, value: 1 }), '1')
  await breakSeals()
  // The next sealer finds it, and puts it right; the one after that finds nothing, and must have been told.
  for (let sealer = 0; sealer < 2; sealer++) {
    await endSealer()
    await until('its calls to be refused', async () => /FAILED_PRECONDITION.*do not count any more/.test(String(await client.ask('read', { connection, value: 2 }))))
  }
  await client.ask('close', connection)
  assert.match(await nextConnection(client), DO_NOT_COUNT)
  await endSealer()
  assert.match(await nextConnection(client), DO_NOT_COUNT)
})

for (const ends of [false, true]) {
  test(`broken while its launcher slept, and known to one sealer only, whose successor the launcher finds${ends ? '; its connection has ended meanwhile' : ''}`, async (t) => {
    const client = await launched(t)
    const { connection } = await client.ask('connect') as Connected
    assert.equal(await client.ask('read', { connection, value: 1 }), '1')
    await breakSeals()
    process.kill(client.launcher.pid!, 'SIGSTOP')
    try {
      await endSealer()
      await until('the next sealer to find it', async () => /FAILED_PRECONDITION.*do not count any more/.test(String(await client.ask('read', { connection, value: 2 }))))
      if (ends) {
        const sealer = serviceProcess('sealer')
        await client.ask('close', connection)
        await until('that sealer to end the heap', () => !openFiles(sealer).some((name) => name.includes('[userfaultfd]')))
      }
      // Nobody needs another one when the connection has ended, but the launcher, as soon as it is awake.
      if (ends) process.kill(serviceProcess('sealer'), 'SIGKILL')
      else await endSealer()
    } finally {
      process.kill(client.launcher.pid!, 'SIGCONT')
    }
    if (!ends) await client.ask('close', connection)
    assert.match(await nextConnection(client), DO_NOT_COUNT)
  })
}
