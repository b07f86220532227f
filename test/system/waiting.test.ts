// One suite of calls that every way of waiting passes, at the server and at the client.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plain, type Waiting } from '../../src/index.js'
import { errorOf, Ground } from '../support/ground.js'

const WAYS: readonly Waiting[] = ['adaptive', 'event', 'spin', 'paper']

for (const way of WAYS) {
  for (const other of way === 'adaptive' ? WAYS : [way]) {
    test(`calls with a server that waits by "${way}" and a client that waits by "${other}"`, async (t) => {
      await using ground = await Ground.open(t)
      const server = await ground.serve({ waiting: way })
      const conn = await ground.connect({ waiting: other, slots: 8 })
      const pause = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms))
      for (let i = 0; i < 200; i++) assert.equal(conn.sync.number(i), i)
      for (let i = 0; i < 200; i++) assert.equal(await conn.number(i), i)
      // Both sides fall asleep between these.
      for (let i = 0; i < 20; i++) {
        await pause(i % 4)
        assert.equal(await conn.number(i), i)
        await pause(i % 4)
        assert.equal(conn.sync.number(i), i)
      }
      assert.deepEqual(await Promise.all(Array.from({ length: 300 }, (_, i) => conn.number(i))), Array.from({ length: 300 }, (_, i) => i))
      assert.deepEqual(await Promise.all([conn.sleep(20), conn.sleep(0), conn.sleep(5)]), [20, 0, 5])
      assert.equal(conn.sync.sleep(10), 10)
      assert.deepEqual(plain(await conn.copy({ x: 1, y: 2, label: 'copied' })), { x: 1, y: 2, label: 'copied' })
      const held = conn.hold('held')
      await pause(10)
      conn.sync.free('held')
      assert.equal(await held, 'held')
      assert.equal((await errorOf(conn.fail({ code: 'ABORTED', message: 'x' }))).code, 'ABORTED')
      assert.equal((await errorOf(conn.hold('late', { timeoutMs: 20 }))).code, 'DEADLINE_EXCEEDED')
      assert.equal((await errorOf(() => conn.sync.hold('later', { timeoutMs: 20 }))).code, 'DEADLINE_EXCEEDED')
      await server.ask('free', 'late')
      await server.ask('free', 'later')
      const dying = [errorOf(conn.hold('x')), errorOf(conn.hold('y'))]
      await pause(5)
      await server.kill()
      for (const error of await Promise.all(dying)) assert.equal(error.code, 'UNAVAILABLE')
      assert.equal((await errorOf(() => conn.sync.nothing())).code, 'UNAVAILABLE')
    })
  }
}

test('a sync call notices at once that its server was killed', async (t) => {
  await using ground = await Ground.open(t)
  for (const waiting of WAYS) {
    const server = await ground.serve()
    const conn = await ground.connect({ waiting })
    // The killer cannot be this thread, which waits.
    await ground.child('../support/killer-main.js', String(server.pid), '30')
    assert.equal((await errorOf(() => conn.sync.hold('for ever'))).code, 'UNAVAILABLE')
    await server.ended()
    await conn.close()
  }
})
