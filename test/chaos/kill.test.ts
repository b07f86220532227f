// Death at any instruction: five hundred processes are killed while they connect, allocate and call.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { serve } from '../../src/index.js'
import { Everything, everyHandler, Gates } from '../support/everything.js'
import { mappedMemoryFiles, memoryFiles } from '../support/leaks.js'
import { newSeed } from '../support/random.js'
import { Storm, type StormOptions } from './storm.js'

async function storm(t: TestContext, options: Omit<StormOptions, 'seed'>): Promise<Storm> {
  const seed = newSeed()
  t.diagnostic(`RPCOOL_SEED=${seed}`)
  const one = new Storm({ ...options, seed })
  try {
    await one.run()
  } catch (error) {
    throw new Error(`RPCOOL_SEED=${seed}, after ${one.kills} kills`, { cause: error })
  }
  t.diagnostic(`${one.kills} processes killed, ${one.told} deaths told to a server, ${one.aborted} handlers told, ${one.daemonKills} daemons killed`)
  assert.ok(one.told > 0 && one.aborted > 0)
  // The name is free.
  await (await serve(one.channel, Everything, everyHandler(new Gates()))).close()
  assert.deepEqual([memoryFiles().length, mappedMemoryFiles()], [0, 0])
  return one
}

test('350 processes killed, each connection with its own heap: survivors are told, and nothing is left', async (t) => {
  await storm(t, { kills: 350 })
})

test('100 processes killed that share one heap: the living adopt, their objects stay what they are', async (t) => {
  await storm(t, { kills: 100, sharedHeapBytes: 64 << 20 })
})

test('the daemon is killed in the middle, again and again: calls go on, and all of the above still holds', async (t) => {
  const { daemonKills } = await storm(t, { kills: 50, daemon: true })
  assert.ok(daemonKills > 0)
})
