// Pipelines, and the paper's own interface.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConnectOptions, Rpc, type RpcConnection, struct, text, u32 } from '../../src/index.js'
import { errorOf, Ground } from '../support/ground.js'

const Pair = struct('Pair', { a: u32, b: u32 })

function ping(channel: string): Rpc {
  return new Rpc().open(channel).add(100, (connection, argument) => connection.newString(`pong to ${String(argument)}`))
    .add(101, u32, u32, (_, value) => {
      if (value === 13) throw new Error('unlucky')
      return value * 2
    })
    .add(102, Pair, u32, (_, { a, b }) => a + b)
    .add(103, text, text, async (_, value) => {
      await new Promise((resolve) => setTimeout(resolve, 1))
      return value.toUpperCase()
    })
}

test('the example of the paper: open, add, accept, listen, connect, call with strings', async (t) => {
  await using ground = await Ground.open(t)
  const server = ground.owns(ping(ground.channel))
  const accepted = server.accept()
  await ground.until('the channel to be there', async () => await new Rpc().open(ground.channel).connect().then(async (conn) => {
    await conn.close()
    return true
  }, () => false))
  await (await accepted).listen()
  const conn = ground.owns(await new Rpc().open(ground.channel).connect())
  using argument = conn.newString('ping')
  assert.equal(await conn.callAsync(103, text, text, 'abc'), 'ABC')
  assert.equal(await conn.callAsync(102, Pair, u32, { a: 40, b: 2 }), 42)
  assert.equal((await errorOf(() => conn.callString(100, argument))).code, 'FAILED_PRECONDITION')
  assert.equal((await errorOf(conn.callAsync(999, u32, u32, 1))).code, 'UNIMPLEMENTED')
})

/** The plain interface does not tell when its channel is registered. */
async function arrive(ground: Ground, options: ConnectOptions): Promise<RpcConnection> {
  for (;;) {
    try {
      return await new Rpc().open(ground.channel).connect(options)
    } catch (error) {
      assert.equal((await errorOf(() => {
        throw error
      })).code, 'NOT_FOUND')
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
}

test('a pipeline keeps many calls in flight, in order, and goes on behind one that fails', async (t) => {
  await using ground = await Ground.open(t)
  await ground.child('../support/ping-main.js', ground.channel)
  const conn = ground.owns(await arrive(ground, { slots: 32 }))
  assert.equal(String(conn.callString(100, conn.newString('ping'))), 'pong to ping')
  const pipeline = conn.pipeline(101, u32, u32)
  const results: number[] = []
  let submitted = 0
  while (results.length < 5000) {
    while (submitted < 5000 && pipeline.submit(submitted === 13 ? 14 : submitted)) submitted++
    if (pipeline.poll((result) => results.push(result)) === 0) pipeline.wait()
  }
  assert.deepEqual(results, Array.from({ length: 5000 }, (_, i) => (i === 13 ? 14 : i) * 2))
  for (const value of [1, 13, 2]) assert.ok(pipeline.submit(value))
  const outcomes: unknown[] = []
  while (outcomes.length < 3) {
    try {
      pipeline.poll((result) => outcomes.push(result))
    } catch (error) {
      outcomes.push((await errorOf(() => {
        throw error
      })).code)
    }
  }
  assert.deepEqual(outcomes, [2, 'UNKNOWN', 4])
})

test('a pipeline whose connection is closed says so', async (t) => {
  await using ground = await Ground.open(t)
  await ground.child('../support/ping-main.js', ground.channel)
  const conn = ground.owns(await arrive(ground, {}))
  const pipeline = conn.pipeline(101, u32, u32)
  assert.ok(pipeline.submit(1))
  await conn.close()
  assert.equal((await errorOf(() => pipeline.submit(2))).code, 'CANCELLED')
  assert.equal((await errorOf(() => pipeline.poll(() => undefined))).code, 'CANCELLED')
  assert.equal((await errorOf(() => pipeline.wait(10))).code, 'CANCELLED')
})

test('the plain interface and a typed service do not mix', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  assert.equal((await errorOf(new Rpc().open(ground.channel).connect())).code, 'FAILED_PRECONDITION')
})
