import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { connect, list, map, method, nothing, plain, RpcError, serve, service, struct, text, u32, u8 } from '../../src/index.js'

const Row = struct('IterableRow', { id: u32, name: text })
const Rows = service('iterables', {
  values: method(1, u32, list(Row)),
  generated: method(2, u32, list(text)),
  pairs: method(3, u32, map(u32, text)),
  tooBig: method(4, nothing, u8),
})

function rows(count: number): Map<number, { id: number; name: string }> {
  return new Map(Array.from({ length: count }, (_, id) => [id, { id, name: `the row with the number ${id}` }]))
}

test('a handler may answer with an iterator of any length, at once or later', async () => {
  const problems: string[] = []
  const server = await serve('test/iterables', Rows, {
    values: (count) => rows(count).values(),
    generated: function* generate(count) {
      for (let i = 0; i < count; i++) yield `a text that needs a record of its own, ${i}`
    },
    pairs: async (count) => {
      await Promise.resolve()
      return new Map([...rows(count)].map(([id, { name }]) => [id, name])).entries()
    },
    tooBig: () => 300,
  }, { onError: (error) => problems.push(String(error)) })
  const connection = await connect('test/iterables', Rows)
  for (const count of [0, 1, 10, 1000]) {
    using values = await connection.values(count)
    assert.deepEqual(plain(values), [...rows(count).values()])
    using pairs = await connection.pairs(count)
    assert.equal(pairs.size, count)
    if (count > 0) assert.equal(pairs.get(count - 1), `the row with the number ${count - 1}`)
  }
  using generated = await connection.generated(500)
  assert.equal(generated.at(499), 'a text that needs a record of its own, 499')
  await assert.rejects(connection.tooBig(), (error) => RpcError.is(error) && error.code === 'INTERNAL')
  assert.equal(problems.length, 1)
  await connection.close()
  await server.close()
})

test('printing and comparing views, connections and servers does not go through all of memory', async () => {
  const server = await serve('test/printing', Rows, {
    values: () => [], generated: () => [], pairs: () => new Map(), tooBig: () => 1,
  })
  const connection = await connect('test/printing', Rows)
  const one = connection.heap.new(Row, { id: 1, name: 'one' })
  const other = connection.heap.new(Row, { id: 1, name: 'one' })
  assert.throws(() => assert.deepStrictEqual(one, other))
  assert.deepEqual(plain(one), plain(other))
  for (const thing of [connection, server, connection.heap]) {
    assert(inspect(thing).length < 200)
    assert(JSON.stringify(thing).length < 200)
  }
  await connection.close()
  assert.throws(() => connection.heap.new(Row, { id: 2, name: 'two' }), (error) => RpcError.is(error) && error.code === 'CANCELLED')
  await assert.rejects(connection.grow(1 << 20), (error) => RpcError.is(error) && error.code === 'CANCELLED')
  await server.close()
})
