// Connecting to a server that comes later, or never.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, RpcError, serve } from '../../src/index.js'
import { whenReady } from '../../src/calls/client/ready.js'
import { Everything, everyHandler, Gates } from '../support/everything.js'
import { errorOf, Ground } from '../support/ground.js'

test('a client that waits for its server connects when it comes; one that does not is told at once', async (t) => {
  await using ground = await Ground.open(t)
  const { channel } = ground
  const waiting = ground.connect({ waitForReady: true })
  assert.equal((await errorOf(connect(channel, Everything))).code, 'NOT_FOUND')
  await sleep(20)
  ground.owns(await serve(channel, Everything, everyHandler(new Gates())))
  const conn = await waiting
  assert.equal(await conn.number(7), 7)
})

test('waiting for a server ends with its time, or by its signal', async (t) => {
  await using ground = await Ground.open(t)
  const { channel } = ground
  const late = await errorOf(connect(channel, Everything, { waitForReady: true, connectTimeoutMs: 40 }))
  assert.equal(late.code, 'DEADLINE_EXCEEDED')
  assert.match(late.message, /nobody serves the channel after 40 ms of waiting \(there is no channel/)
  const giveUp = new AbortController()
  const given = errorOf(connect(channel, Everything, { waitForReady: true, signal: giveUp.signal }))
  await sleep(20)
  giveUp.abort(new Error('enough'))
  const { code, cause } = await given
  assert.deepEqual([code, String(cause)], ['CANCELLED', 'Error: enough'])
  assert.equal((await errorOf(connect(channel, Everything, { waitForReady: true, signal: AbortSignal.timeout(20) }))).code, 'DEADLINE_EXCEEDED')
  assert.equal((await errorOf(connect(channel, Everything, { signal: AbortSignal.abort() }))).code, 'CANCELLED')
  for (const wrong of [{ waitForReady: 1 as never }, { signal: {} as never }]) assert.equal((await errorOf(connect(channel, Everything, wrong))).code, 'INVALID_ARGUMENT')
})

test('what waiting does not help is told at once; a connection that comes too late is closed', async () => {
  let attempts = 0
  const never = new AbortController()
  const ready = { timeoutMs: 10_000, waitForReady: true, signal: never.signal }
  const refused = await errorOf(whenReady('x', ready, () => {
    attempts++
    return Promise.reject(new RpcError(attempts < 3 ? 'UNAVAILABLE' : 'FAILED_PRECONDITION', 'no'))
  }))
  assert.deepEqual([refused.code, attempts], ['FAILED_PRECONDITION', 3])
  let closed = 0
  let connected!: (connection: AsyncDisposable) => void
  const slow = errorOf(whenReady('x', ready, () => new Promise<AsyncDisposable>((resolve) => {
    connected = resolve
  })))
  never.abort()
  assert.equal((await slow).code, 'CANCELLED')
  connected({ [Symbol.asyncDispose]: () => Promise.resolve(void closed++) })
  await sleep(1)
  assert.equal(closed, 1)
})
