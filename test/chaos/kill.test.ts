// Death at any instruction: five hundred processes are killed while they allocate and call.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { connect } from '../../src/index.js'
import { DaemonClient } from '../../src/control/index.js'
import { Everything } from '../support/everything.js'
import { errorOf } from '../support/ground.js'
import { isAlive, mappedMemoryFiles, memoryFiles } from '../support/leaks.js'
import { newSeed } from '../support/random.js'
import { Storm, type StormOptions } from './storm.js'

const daemonPid = async (): Promise<number> => (await DaemonClient.shared().connect()).pid

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000
  while (!await condition()) {
    assert.ok(performance.now() < end, `waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function storm(t: TestContext, options: Omit<StormOptions, 'seed'>): Promise<void> {
  const seed = newSeed()
  t.diagnostic(`seed ${seed}`)
  const one = new Storm({ ...options, seed })
  await one.run()
  t.diagnostic(`${one.kills} processes killed`)
  const daemon = await daemonPid()
  await until('the daemon to let go of all memory', () => memoryFiles(daemon).length === 0)
  assert.deepEqual([memoryFiles().length, mappedMemoryFiles(), mappedMemoryFiles(daemon)], [0, 0, 0])
  await until('the channel name to be free', async () => (await errorOf(connect(one.channel, Everything))).code === 'NOT_FOUND')
}

test('400 processes killed, each connection with its own heap: survivors are told, and nothing is left', async (t) => {
  await storm(t, { kills: 400, clients: 2 })
})

test('100 processes killed that share one heap: survivors are told, and nothing is left', async (t) => {
  await storm(t, { kills: 100, clients: 2, sharedHeapBytes: 256 << 20 })
})

test('the daemon is killed in the middle, again and again: calls go on, and all of the above still holds', async (t) => {
  const killed: number[] = []
  await storm(t, {
    kills: 40, clients: 2,
    between: async (kills) => {
      if (kills < killed.length * 8) return
      const pid = await daemonPid()
      process.kill(pid, 'SIGKILL')
      killed.push(pid)
    },
  })
  assert.ok(killed.length >= 4)
  for (const pid of killed) assert.ok(!isAlive(pid))
})
