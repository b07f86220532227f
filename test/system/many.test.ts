// More connections than a server polls at once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOT_MAX } from '../../src/calls/server/hot-set.js'
import { Ground } from '../support/ground.js'

test('130 connections to one server, all served, by every kind of call', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  assert.equal(await server.ask('mostPolled'), 0)
  const connections = await Promise.all(Array.from({ length: 130 }, () => ground.connect({ heapBytes: 1 << 20, slots: 8 })))
  assert.equal((await ground.info(server)).connections, 130)
  for (let round = 0; round < 3; round++) {
    const answers = await Promise.all(connections.flatMap((conn, i) => [conn.number(i), conn.add({ x: i, y: 0, label: '' })]))
    assert.deepEqual(answers, connections.flatMap((_, i) => [i, i]))
    for (const [i, conn] of connections.entries()) assert.equal(conn.sync.number(i), i)
  }
  // All are busy at once: the ones outside the hot set have their turn, too.
  const counts = await Promise.all(connections.map(async (conn) => {
    for (let i = 0; i < 20; i++) assert.equal(await conn.number(i), i)
    return 20
  }))
  assert.equal(counts.reduce((sum, count) => sum + count), 2600)
  const polled = await server.ask('mostPolled') as number
  assert.ok(polled > 1 && polled <= HOT_MAX, `${polled} connections were polled at once`)
  for (const conn of connections.slice(0, 60)) await conn.close()
  await ground.until('the server to let go of 60 connections', async () => (await ground.info(server)).connections === 70)
  assert.equal(await connections[100]!.number(1), 1)
})

test('200 connections that come and go leave nothing', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  for (let i = 0; i < 200; i++) {
    const conn = await ground.connect({ heapBytes: 1 << 20 })
    if (i % 2 === 0) assert.equal(conn.sync.number(i), i)
    if (i % 3 === 0) void conn.sleep(1).catch(() => undefined)
    await conn.close()
  }
  await ground.until('the server to let go of all', async () => (await ground.info(server)).connections === 0)
})
