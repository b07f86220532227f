// A client of a hostile server and of a good one, in one process. It looks at everything that the hostile one answers.
import assert from 'node:assert/strict'
import { connect, plain, RpcError, WildPointerError } from '../../src/index.js'
import { mappingCount } from '../../src/sys/index.js'
import { Everything } from '../support/everything.js'
import type { EverythingConnection } from '../support/ground.js'
import { callAllTheTime } from './well-behaved.js'

const [hostile, good, ms] = process.argv.slice(2) as [string, string, string]
const options = { timeoutMs: 100 }
const counts = { calls: 0, errors: 0, connections: 0, unchanged: 0 }

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

/** A result in private memory cannot change between two looks at it, whatever its server writes. */
function lookTwice(result: object): void {
  const first = plain(result, { maxNodes: 100_000 })
  for (let i = 0; i < 1000; i++) Math.sqrt(i)
  assert.deepEqual(plain(result, { maxNodes: 100_000 }), first)
  counts.unchanged++
}

async function callOnce(conn: EverythingConnection, round: number, isolated: boolean): Promise<void> {
  const point = { x: round, y: round, label: 'a label in a record' }
  await Promise.all([
    attempt(() => conn.nothing(undefined, options)), attempt(() => conn.number(1, options)), attempt(async () => await conn.text('t'.repeat(round % 300), options)),
    attempt(async () => {
      using copy = await conn.copy(point, options)
      if (isolated) lookTwice(copy)
      else plain(copy)
    }),
    attempt(async () => {
      using points = await conn.points(50, options)
      for (const { label } of points.items) if (label.length > 1e9) throw new WildPointerError('longer than its heap')
    }),
    attempt(async () => {
      using bag = await conn.bag({ words: ['some', 'words that are longer than a cell'], counts: [['key', 1], ['a key in a record', 2]], blob: new Uint8Array(100), grid: [1, 2, 3, 4], on: true, note: 'a note in a record' }, options)
      if (isolated) lookTwice(bag)
      else plain(bag, { maxNodes: 100_000 })
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
      for (let round = 0; round < 40 && !gone && !over(); round++) await callOnce(conn, round, isolated)
    })
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id }: { id: number }) => {
  const end = performance.now() + Number(ms)
  const over = (): boolean => performance.now() > end
  void (async () => {
    const conn = await connect(good, Everything)
    const [rounds] = await Promise.all([callAllTheTime(conn, over), bearIt(over)])
    await conn.close()
    process.send?.({ id, result: { ...counts, rounds, mappings: mappingCount() } })
  })()
})
process.send?.({ id: 0, result: null })
