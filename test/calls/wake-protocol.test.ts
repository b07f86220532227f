import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WaitingFlag } from '../../src/layout/control-layout.js'
import { mappingCount } from '../../src/sys/index.js'
import { Ground } from '../support/ground.js'
import { stressWaking } from '../support/wake-stress.js'

test('no wake-up is lost', async () => {
  const outcome = await stressWaking('none', 30_000, 1, 2000)
  assert.deepEqual(outcome, { messages: 30_000, lost: 0 })
  assert.equal(mappingCount(), 0)
})

for (const mutilation of ['no-recheck', 'look-before-publishing'] as const) {
  test(`the protocol with the fault "${mutilation}" loses a wake-up, so that this test would notice`, async () => {
    const { lost } = await stressWaking(mutilation, 200_000, 1, 2000)
    assert.equal(lost, 1)
  })
}

/** What a client's end looks at and does to wake its server. */
interface Waking {
  readonly words: Int32Array
  readonly peerLine: number
  readonly doorbell: { ring(): void }
}

// On x86-64 only: elsewhere publishing is a fence by itself. The moment in which a processor would show the fault is too short to be met often.
test('a server that falls asleep unseen until a fence is woken, after one call and after a batch', { skip: process.arch !== 'x64' }, async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve({ waiting: 'event' })
  const conn = await ground.connect()
  conn.sync.nothing()
  const { words, peerLine, doorbell } = conn.end as unknown as Waking
  const flag = (): number => Atomics.load(words, peerLine)
  await ground.until('the server to sleep', () => flag() === WaitingFlag.ASLEEP)
  process.kill(server.pid, 'SIGSTOP')
  try {
    const ring = t.mock.method(doorbell, 'ring')
    const pipeline = conn.pipeline('nothing')
    assert.ok(pipeline.submit(undefined))
    assert.deepEqual([ring.mock.callCount(), flag()], [1, WaitingFlag.POLLING], 'the first of a batch rings')
    assert.ok(pipeline.submit(undefined) && pipeline.submit(undefined))
    assert.equal(ring.mock.callCount(), 1)

    // Its flag arrives with our next fence: `fence` stores in a word of its own.
    const { store } = Atomics
    let fences = 0
    t.mock.method(Atomics, 'store', (array: Int32Array, index: number, value: number) => {
      if (array.length === 1 && fences++ === 0) store(words, peerLine, WaitingFlag.ASLEEP)
      return store(array, index, value)
    })
    assert.equal(pipeline.poll(() => undefined), 0)
    assert.deepEqual([fences, ring.mock.callCount(), flag()], [1, 2, WaitingFlag.POLLING], 'the end of the batch looks once more, behind a fence')
    fences = 0
    const single = conn.nothing()
    assert.deepEqual([fences, ring.mock.callCount(), flag()], [1, 3, WaitingFlag.POLLING], 'a single call looks behind a fence')
    t.mock.restoreAll()
    process.kill(server.pid, 'SIGCONT')
    let answers = 0
    await ground.until('the answers', () => (answers += pipeline.poll(() => undefined)) === 3)
    await single
  } finally {
    process.kill(server.pid, 'SIGCONT')
  }
})
