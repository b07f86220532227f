// The same by a server: its clients' sealed calls end in a value or an error, their results do not change, their memory comes back, and calls to
// another server go on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Connection, connect, RpcError, serve } from '../../../src/index.js'
import { Ground } from '../../support/ground.js'
import { newSeed } from '../../support/random.js'
import { serviceProcess } from '../../safety/seals/services.js'
import { makeShaky, reading, Shaky } from '../isolated-service.js'
import { SealAttacked } from '../sealed-service.js'
import type { Writes } from './scribblers.js'

const MS = 1500
const TARGETS = ['seal descriptors', 'control region', 'heap'] as const

type Victim = Connection<typeof SealAttacked.methods>

interface Figures {
  calls: number
  errors: number
  connections: number
  /** Results that were looked at twice. */
  results: number
}

/** An RpcError is an answer; anything else would be a fault of ours. */
async function attempt(figures: Figures, work: () => unknown): Promise<void> {
  figures.calls++
  try {
    await work()
  } catch (error) {
    if (!RpcError.is(error)) throw error
    figures.errors++
  }
}

async function callOnce(conn: Victim, figures: Figures): Promise<void> {
  using scope = conn.createScope(4096)
  const node = scope.new(Shaky, makeShaky(1) as never)
  await Promise.all([
    attempt(figures, () => conn.atOnce(node)), attempt(figures, () => conn.copied(makeShaky(2) as never)), attempt(figures, () => conn.later(makeShaky(3) as never)),
    attempt(figures, () => conn.word(7)), attempt(figures, () => conn.words('a text of some length')),
    attempt(figures, async () => {
      const result = await conn.back(makeShaky(4) as never)
      const first = reading(result)
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(reading(result), first)
      figures.results++
    }),
  ])
  await attempt(figures, () => conn.sync.atOnce(makeShaky(5) as never))
}

/** One connection for a while. What its server does to it may make even its scopes unusable: then it is closed. */
async function bearOnce(channel: string, figures: Figures, over: () => boolean): Promise<void> {
  const conn = await connect(channel, SealAttacked, { slots: 16, heapBytes: 1 << 20, timeoutMs: 100, connectTimeoutMs: 2000, isolateResults: true, seals: { heapBytes: 256 << 10 } })
  try {
    figures.connections++
    let gone = false
    void conn.closed.then(() => (gone = true))
    for (let round = 0; round < 100 && !gone && !over(); round++) await callOnce(conn, figures)
  } finally {
    await conn.close()
  }
}

for (const target of [...TARGETS, 'everything'] as const) {
  test(`a server whose ${target} is rewritten all the time harms nobody but its own calls`, async (t) => {
    await using ground = await Ground.open(t)
    const server = await serve(ground.channel, SealAttacked, {
      atOnce: () => 1, open: () => 1, copied: () => 1, later: () => 1, word: (value) => value, words: () => 1, back: (node) => node,
    })
    try {
      const seed = newSeed()
      t.diagnostic(`RPCOOL_SEED=${seed}`)
      const good = await ground.connectTo(SealAttacked)
      const sealer = serviceProcess('sealer')
      const hostile = `${ground.channel}/hostile`
      const attacker = await ground.child('../hostile/mutation/server-main.js', hostile, target, String(seed))
      const figures: Figures = { calls: 0, errors: 0, connections: 0, results: 0 }
      const end = performance.now() + MS
      const over = (): boolean => performance.now() > end
      ground.waitsFor = `the client under attack (seed ${seed})`
      const bear = async (): Promise<void> => {
        while (!over()) {
          try {
            await bearOnce(hostile, figures, over)
          } catch (error) {
            if (!RpcError.is(error)) throw error
            figures.errors++
          }
        }
      }
      let rounds = 0
      const callGood = async (): Promise<void> => {
        for (; !over(); rounds++) {
          assert.deepEqual(await Promise.all([good.atOnce(makeShaky(7) as never), good.copied(makeShaky(8) as never)]), [1, 1])
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      await Promise.all([bear(), callGood()])
      const writes = await attacker.ask('writes') as Writes
      t.diagnostic(`${JSON.stringify(writes)}, ${JSON.stringify(figures)}, ${rounds} rounds with the good server`)
      for (const one of target === 'everything' ? TARGETS : [target]) assert.ok(writes[one]! > 20, `${one}: ${writes[one]} writes`)
      assert.ok(figures.calls > 50 && figures.connections > 0 && rounds > 10)
      if (target === 'seal descriptors') assert.ok(figures.results > 0, 'some results came')
      assert.equal(serviceProcess('sealer'), sealer, 'the sealer lives')
      await attacker.kill()
    } finally {
      await server.close()
    }
  })
}
