// A client of a hostile server and of a good one, in one process. It looks at everything that the hostile one answers.
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { connect, plain, RpcError, WildPointerError } from '../../src/index.js'
import { mappingCount } from '../../src/sys/index.js'
import { Everything } from '../support/everything.js'
import type { EverythingConnection } from '../support/ground.js'
import { callAllTheTime } from './well-behaved.js'

const [hostile, good, ms, leastUnchanged, leastTorn] = process.argv.slice(2) as [string, string, string, string, string]
const options = { timeoutMs: 100 }
/** Where there was not enough in the time it was given: a machine that is busy with other things takes longer. */
const MS_MAX = 20_000
/** Looks at a result that nothing protects, until it has changed, and the pause between two. */
const LOOKS = 10
const PAUSE_MS = 2
const ROUNDS_PER_CONNECTION = 20
/** `unchanged`: isolated results, looked at twice; `torn`: others that changed between two looks. */
const counts = { calls: 0, errors: 0, connections: 0, unchanged: 0, unprotected: 0, torn: 0 }

/** An RpcError is an answer; anything else would be a fault of ours. */
async function attempt(work: () => unknown): Promise<void> {
  counts.calls++
  try {
    await work()
  } catch (error) {
    if (!RpcError.is(error)) throw error
    if (error.sentence.startsWith('the library failed')) throw error
    counts.errors++
  }
}

/** What can be read of a result, or the error that reading ends in. */
function reading(result: object): unknown {
  try {
    return plain(result, { maxNodes: 100_000 })
  } catch (error) {
    if (!RpcError.is(error)) throw error
    return error.message
  }
}

/** A result in private memory cannot change between two looks at it, whatever its server writes. One that is not is looked at to see that others can. */
async function lookTwice(result: object, isolated: boolean): Promise<void> {
  const first = reading(result)
  for (let i = isolated ? 1 : LOOKS; i > 0; i--) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    if (isDeepStrictEqual(reading(result), first)) continue
    assert.ok(!isolated, 'an isolated result changed')
    counts.torn++
    break
  }
  counts[isolated ? 'unchanged' : 'unprotected']++
}

async function callOnce(conn: EverythingConnection, round: number, isolated: boolean): Promise<void> {
  const point = { x: round, y: round, label: 'a label in a record '.repeat(20) }
  await Promise.all([
    attempt(() => conn.nothing(undefined, options)), attempt(() => conn.number(1, options)), attempt(async () => await conn.text('t'.repeat(round % 300), options)),
    attempt(async () => {
      using copy = await conn.copy(point, options)
      await lookTwice(copy, isolated)
    }),
    attempt(async () => {
      using points = await conn.points(50, options)
      for (const { label } of points.items) if (label.length > 1e9) throw new WildPointerError('longer than its heap')
    }),
    attempt(async () => {
      using bag = await conn.bag({ words: ['some', 'words that are longer than a cell'], counts: [['key', 1], ['a key in a record', 2]], blob: new Uint8Array(100), grid: [1, 2, 3, 4], on: true, note: 'a note in a record' }, options)
      await lookTwice(bag, isolated)
    }),
  ])
  if (round % 10 === 0) await attempt(() => conn.sync.copy(point, options)[Symbol.dispose]())
}

async function bearIt(over: () => boolean): Promise<void> {
  for (let isolated = false; !over(); isolated = !isolated) {
    await attempt(async () => {
      await using conn = await connect(hostile, Everything, { slots: 16, heapBytes: 1 << 20, connectTimeoutMs: 2000, isolateResults: isolated })
      counts.connections++
      let gone = false
      void conn.closed.then(() => (gone = true))
      for (let round = 0; round < ROUNDS_PER_CONNECTION && !gone && !over(); round++) await callOnce(conn, round, isolated)
    })
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id }: { id: number }) => {
  const start = performance.now()
  const over = (): boolean => {
    const elapsed = performance.now() - start
    const isEnough = counts.unchanged >= Number(leastUnchanged) && counts.torn >= Number(leastTorn) && counts.calls > 20
    return elapsed > MS_MAX || (elapsed > Number(ms) && isEnough)
  }
  void (async () => {
    const conn = await connect(good, Everything)
    const [rounds] = await Promise.all([callAllTheTime(conn, over), bearIt(over)])
    await conn.close()
    process.send?.({ id, result: { ...counts, rounds, mappings: mappingCount() } })
  })()
})
process.send?.({ id: 0, result: null })
