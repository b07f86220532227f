// Connecting to a server that comes later, or never.
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { connect, RpcError, serve } from '../../src/index.js'
import { whenReady } from '../../src/calls/client/ready.js'
import { FrameSocket } from '../../src/calls/service/frames.js'
import { addon, connectUnix, listenUnix } from '../../src/sys/index.js'
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
  for (const wrong of [{ waitForReady: 1 as never }, { signal: {} as never }, { signal: null as never }]) assert.equal((await errorOf(connect(channel, Everything, wrong))).code, 'INVALID_ARGUMENT')
})

test('a signal of another realm is one, and what is none is refused by connections and calls', async (t) => {
  await using ground = await Ground.open(t)
  const { AbortController: Foreign } = runInNewContext('{ class AbortController { signal = Object.assign(new EventTarget(), { aborted: false }); abort() { Object.assign(this.signal, { aborted: true, reason: 1 }).dispatchEvent(new Event("abort")) } }; ({ AbortController }) }', { EventTarget, Event }) as { readonly AbortController: typeof AbortController }
  const giveUp = new Foreign()
  assert.ok(!(giveUp.signal instanceof AbortSignal))
  await ground.serve()
  const conn = await ground.connect({ signal: giveUp.signal })
  const held = errorOf(conn.hold('held', { signal: giveUp.signal }))
  const waiting = errorOf(connect('nobody/here', Everything, { waitForReady: true, signal: giveUp.signal }))
  giveUp.abort()
  assert.deepEqual([(await held).code, (await waiting).code], ['CANCELLED', 'CANCELLED'])
  for (const signal of [{}, null, 'now', { aborted: false }]) assert.equal((await errorOf(conn.number(7, { signal: signal as never }))).code, 'INVALID_ARGUMENT')
  conn.sync.free('held')
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

test('however long somebody waits, each attempt gets whole milliseconds that a timer takes', async () => {
  for (const timeoutMs of [Infinity, 2 ** 31, 0.4]) {
    const given: number[] = []
    await errorOf(whenReady('x', { timeoutMs, waitForReady: true, signal: undefined }, (ms) => {
      given.push(ms)
      return Promise.reject(new RpcError(given.length < 3 ? 'NOT_FOUND' : 'FAILED_PRECONDITION', 'no'))
    }))
    assert.ok(given.every((ms) => Number.isInteger(ms) && ms >= 1 && ms < 2 ** 31), `${timeoutMs}: ${given.join(', ')}`)
  }
  assert.equal((await errorOf(connect('nobody/here', Everything, { connectTimeoutMs: Infinity }))).code, 'NOT_FOUND')
})

test('connecting that was aborted keeps neither timers nor descriptors, where the server does not answer and where it does not greet', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  await ground.connect()
  const timers = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
  const before = timers()
  process.kill(server.pid, 'SIGSTOP')
  try {
    const giveUp = new AbortController()
    const given = errorOf(connect(ground.channel, Everything, { signal: giveUp.signal }))
    await sleep(20)
    assert.ok(timers() > before, 'it waits')
    giveUp.abort()
    assert.equal((await given).code, 'CANCELLED')
    assert.equal(timers(), before)
  } finally {
    process.kill(server.pid, 'SIGCONT')
  }
  const path = join(tmpdir(), `rpcool-connecting-${process.pid}`)
  const listening = listenUnix(path, 'stream', 1)
  const fd = connectUnix(path, 'stream')
  try {
    const giveUp = new AbortController()
    const receiving = errorOf(new FrameSocket(fd, giveUp.signal).receive(60_000))
    assert.equal(timers(), before + 1)
    giveUp.abort()
    assert.equal((await receiving).code, 'CANCELLED')
    assert.equal((await errorOf(new FrameSocket(fd, giveUp.signal).receive(60_000))).code, 'CANCELLED')
    assert.equal(timers(), before)
  } finally {
    for (const one of [fd, listening]) addon.closeFd(one)
    rmSync(path, { force: true })
  }
})
