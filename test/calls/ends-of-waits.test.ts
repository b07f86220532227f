// What ends waiting: a server that closes, a peer that dies.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { Rpc, serve } from '../../src/index.js'
import { Everything, everyHandler, Gates } from '../support/everything.js'
import { errorOf, Ground } from '../support/ground.js'
import { isAlive } from '../support/leaks.js'

test('a server that closes ends listen() and accept()', async () => {
  const server = new Rpc().open('test/ends-of-waits')
  const first = server.accept()
  await server.listening()
  const client = await new Rpc().open('test/ends-of-waits').connect()
  const listening = (await first).listen()
  const second = server.accept()
  const refused = errorOf(second)
  await server.close()
  await listening
  assert.equal((await refused).code, 'CANCELLED')
  await client.close()
})

test('the death of a peer whose sockets a child of it still holds is noticed all the same', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect()
  assert.equal(await conn.number(1), 1)
  const heir = await server.ask('leaveHeir') as number
  try {
    const held = errorOf(conn.hold('for ever', { timeoutMs: 3000 }))
    await server.kill()
    assert.equal((await held).code, 'UNAVAILABLE')
    assert.equal((await conn.closed)?.code, 'UNAVAILABLE')
    assert.ok(isAlive(heir), 'it held them until now')
  } finally {
    process.kill(heir, 'SIGKILL')
  }
})

for (const waiting of ['adaptive', 'event', 'spin'] as const) {
  test(`a thread blocked in a call hears of it, too, under the policy "${waiting}"`, async (t) => {
    await using ground = await Ground.open(t)
    const server = await ground.serve()
    const conn = await ground.connect({ waiting })
    assert.equal(conn.sync.number(1), 1)
    const heir = await server.ask('leaveHeir') as number
    const killer = spawn('sh', ['-c', `sleep 0.3; kill -9 ${server.pid}`])
    try {
      assert.throws(() => conn.sync.hold('for ever', { timeoutMs: 30_000 }), { code: 'UNAVAILABLE' })
      assert.equal((await conn.closed)?.code, 'UNAVAILABLE')
      assert.ok(isAlive(heir), 'it held them until now')
    } finally {
      process.kill(heir, 'SIGKILL')
    }
    await once(killer, 'close')
  })
}

test('who hears of the death of a client may close the connection that its thread was blocked in', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  for (const waiting of ['adaptive', 'spin'] as const) {
    const conn = await ground.connect({ waiting })
    let told: string | undefined
    const between = `${ground.channel}/${waiting}`
    const server = ground.owns(await serve(between, Everything, everyHandler(new Gates()), {
      onConnection: (connection) => {
        connection.onClose = (): void => {
          told = blocked ? 'in the middle of a call' : 'in its own turn'
          void conn.close()
        }
      },
    }))
    const client = await ground.child('./caller-main.js', between)
    await ground.until('its call', () => server.inHandlers === 1)
    const killed = once(spawn('sh', ['-c', `sleep 0.1; kill -9 ${client.pid}`]), 'close')
    let blocked = true
    // Its end is told by the daemon while the thread waits.
    assert.throws(() => conn.sync.sleep(400, { timeoutMs: 350 }), { code: 'DEADLINE_EXCEEDED' })
    blocked = false
    await ground.until('the news', () => told !== undefined)
    assert.equal(told, 'in its own turn')
    await killed
    await server.close(0)
  }
})

test('a server, too, hears that a client has died whose child holds its sockets', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const caller = await ground.child('./caller-main.js', ground.channel)
  await ground.until('its call to be in a handler', async () => (await ground.info(server)).inHandlers === 1)
  const heir = await caller.ask('leaveHeir') as number
  try {
    await caller.kill()
    await ground.until('the server to hear of it', async () => (await ground.info(server)).reasons.length > 0)
    assert.ok(isAlive(heir), 'it held them until now')
    await server.ask('free', 'at work')
    await ground.until('its memory to be given back', async () => (await ground.info(server)).connections === 0)
    const { reasons, closes } = await ground.info(server)
    assert.deepEqual([reasons, closes], [['at work CANCELLED'], [true]])
  } finally {
    process.kill(heir, 'SIGKILL')
  }
})
