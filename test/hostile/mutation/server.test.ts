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

/** An attack takes so long, and longer on a machine that is busy with other things, until there was enough of it. */
const MS = 1200
const MS_MAX = 50_000
const LOOK_MS = 200
const TARGETS = ['seal descriptors', 'control region', 'heap', 'doorbell'] as const
/** Of what is rewritten more than the start is. */
const FAR_BYTES = { 'seal descriptors': 4096, 'heap': 64 << 10 } as const
/** A heap whose tables were spoilt gives no more results: the next connection has another one. */
const ROUNDS_PER_CONNECTION = 12
/** Looks at a result that nothing protects, until it has changed, and the pause between two. */
const LOOKS = 10
const PAUSE_MS = 3
const RESULTS = 3

type Victim = Connection<typeof SealAttacked.methods>

interface Figures {
  calls: number
  errors: number
  connections: number
  /** Isolated results that were looked at twice. */
  results: number
  /** The same without isolation, and how many of them changed. */
  unprotected: number
  torn: number
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

async function callOnce(conn: Victim, figures: Figures, isolated: boolean): Promise<void> {
  using scope = conn.createScope(4096)
  const node = scope.new(Shaky, makeShaky(1) as never)
  await Promise.all([
    attempt(figures, () => conn.atOnce(node)), attempt(figures, () => conn.copied(makeShaky(2) as never)), attempt(figures, () => conn.later(makeShaky(3) as never)),
    attempt(figures, () => conn.word(7)), attempt(figures, () => conn.words('a text of some length')),
    attempt(figures, async () => {
      const result = await conn.back(makeShaky(4) as never)
      const first = reading(result)
      let isSame = true
      for (let i = isolated ? 1 : LOOKS; i > 0 && isSame; i--) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
        isSame = reading(result) === first
      }
      if (isolated) {
        assert.ok(isSame, 'an isolated result changed')
        figures.results++
      } else {
        figures.unprotected++
        if (!isSame) figures.torn++
      }
    }),
  ])
  await attempt(figures, () => conn.sync.atOnce(makeShaky(5) as never))
}

/** One connection for a while. What its server does to it may make even its scopes unusable: then it is closed. */
async function bearOnce(channel: string, figures: Figures, isolated: boolean, over: () => boolean): Promise<void> {
  const conn = await connect(channel, SealAttacked, { slots: 16, heapBytes: 1 << 20, timeoutMs: 100, connectTimeoutMs: 2000, isolateResults: isolated, seals: { heapBytes: 256 << 10 } })
  try {
    figures.connections++
    let gone = false
    void conn.closed.then(() => (gone = true))
    for (let round = 0; round < ROUNDS_PER_CONNECTION && !gone && !over(); round++) await callOnce(conn, figures, isolated)
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
      const figures: Figures = { calls: 0, errors: 0, connections: 0, results: 0, unprotected: 0, torn: 0 }
      let [over, rounds, writes] = [false, 0, {} as Writes]
      ground.waitsFor = `the client under attack (seed ${seed})`
      /** What was too little, if anything. */
      const lacks = (): string | undefined => {
        for (const one of target === 'everything' ? TARGETS : [target]) {
          if (!(writes[one]! > 20)) return `${one}: ${writes[one]} writes`
          if (one in FAR_BYTES && !(writes[`farthest ${one}`]! > FAR_BYTES[one as keyof typeof FAR_BYTES])) return `${one}: nothing was written behind what is used most`
        }
        if (figures.calls <= 30 || figures.connections < 2 || rounds <= 10) return `${figures.calls} calls, ${rounds} rounds`
        if (figures.results < (target === 'everything' ? 1 : RESULTS)) return `${figures.results} isolated results`
        return target === 'heap' && figures.torn === 0 ? 'no result without isolation changed, or that was not seen' : undefined
      }
      const bear = async (): Promise<void> => {
        for (let isolated = true; !over; isolated = !isolated) {
          try {
            await bearOnce(hostile, figures, isolated, () => over)
          } catch (error) {
            if (!RpcError.is(error)) throw error
            figures.errors++
          }
        }
      }
      const callGood = async (): Promise<void> => {
        for (; !over; rounds++) {
          assert.deepEqual(await Promise.all([good.atOnce(makeShaky(7) as never), good.copied(makeShaky(8) as never)]), [1, 1])
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      const watch = async (): Promise<void> => {
        const start = performance.now()
        do {
          await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
          writes = await attacker.ask('told') as Writes
        } while (performance.now() - start < MS || (performance.now() - start < MS_MAX && lacks() !== undefined))
      }
      // Whatever ends first, what fails too, ends the others.
      await Promise.all([bear(), callGood(), watch()].map((work) => work.finally(() => (over = true))))
      writes = await attacker.ask('stop') as Writes
      t.diagnostic(`${JSON.stringify(writes)}, ${JSON.stringify(figures)}, ${rounds} rounds with the good server`)
      assert.equal(lacks(), undefined)
      assert.equal(serviceProcess('sealer'), sealer, 'the sealer lives')
      await attacker.kill()
    } finally {
      await server.close()
    }
  })
}
