// Closing a server ends what waits for its clients.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Rpc } from '../../src/index.js'
import { errorOf } from '../support/ground.js'

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
