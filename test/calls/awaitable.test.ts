// Handlers may answer with whatever can be awaited.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, method, serve, service, u32 } from '../../src/index.js'
import { errorOf } from '../support/ground.js'

const Odd = service('awaitable', { odd: method(1, u32, u32) })

test('a thenable that throws, or settles twice, is one answer of its own call', async () => {
  const seen: unknown[] = []
  const answerOddly = (value: number): Promise<number> => {
    const thenable = {} as Promise<number>
    Reflect.set(thenable, 'then', (resolve: (value: number) => void, reject: (error: Error) => void) => {
      if (value === 0) throw new Error('thrown by then')
      resolve(value)
      reject(new Error('settled twice'))
    })
    return thenable
  }
  const server = await serve('test/awaitable', Odd, { odd: answerOddly }, { onError: (error) => seen.push(error) })
  const connection = await connect('test/awaitable', Odd)
  assert.equal((await errorOf(connection.odd(0))).code, 'UNKNOWN')
  for (let value = 1; value < 200; value++) assert.equal(await connection.odd(value), value)
  assert.equal(server.inHandlers, 0)
  assert.equal(seen.length, 1)
  await connection.close()
  await server.close()
})
