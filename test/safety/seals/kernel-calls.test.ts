// What typed calls cost the sealer in calls of the kernel: those in flight together are sealed together, and released together.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../../../src/index.js'
import { Commanded } from '../../support/ground.js'
import { Paper, SealedService } from '../../support/sealed-service.js'
import { writable } from '../../support/writable.js'

interface Count {
  readonly protects: number
  readonly lifts: number
  readonly pages: number
}

/** As many as are in flight at once, with the default ring. */
const CALLS = 48

test('typed calls in flight together, of plain values and of a pool\'s scopes, cost a few calls of the kernel, not one each', async (t) => {
  const sealer = await Commanded.start('./counting-sealer-main.js')
  t.after(() => sealer.end())
  const channel = `kernel-calls/${process.pid}`
  const server = await Commanded.start('./sealed-main.js', channel)
  t.after(() => server.kill())
  await server.ask('serve')
  const conn = await connect(channel, SealedService)
  const counted = async (): Promise<Count> => await sealer.ask('count') as Count
  const plain = (): Promise<number[]> => Promise.all(Array.from({ length: CALLS }, (_, value) => conn.read({ value, body: 'text' })))
  // All scopes that the connection needs for these are there afterwards.
  await plain()
  await counted()
  const values = Array.from({ length: CALLS }, (_, value) => value)
  assert.deepEqual(await plain(), values)
  const ofPlain = await counted()
  t.diagnostic(`${CALLS} plain values: ${JSON.stringify(ofPlain)}`)
  assert.ok(ofPlain.pages >= CALLS, 'each argument was sealed')
  assert.ok(ofPlain.protects <= CALLS / 8, `${ofPlain.protects} calls to seal ${CALLS} arguments`)
  using pool = conn.createScopePool({ scopeBytes: 4096, count: CALLS })
  const scopes = values.map(() => pool.take())
  const papers = scopes.map((scope, value) => scope.new(Paper, { value, body: 'text' }))
  await counted()
  // In no order of addresses: the sealer finds what is adjacent.
  const order = values.toSorted((a, b) => (a * 7) % CALLS - (b * 7) % CALLS)
  assert.deepEqual(await Promise.all(order.map((i) => conn.read(papers[i]!))), order)
  const ofPool = await counted()
  t.diagnostic(`${CALLS} scopes of a pool: ${JSON.stringify(ofPool)}`)
  assert.equal(ofPool.pages, CALLS)
  assert.ok(ofPool.protects <= 2, `${ofPool.protects} calls to seal ${CALLS} adjacent scopes`)
  const addresses = scopes.map(({ address }) => address)
  for (const scope of scopes) scope.destroy()
  pool.release()
  let { lifts } = ofPool
  while (lifts === 0 || addresses.some((address) => !writable(address))) lifts += (await counted()).lifts
  t.diagnostic(`${lifts} calls released them`)
  assert.ok(lifts <= CALLS / 8, `${lifts} calls to release them`)
  await conn.close()
})
