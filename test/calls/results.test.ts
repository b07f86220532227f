import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, list, method, serve, service, struct, text, u32 } from '../../src/index.js'

const Item = struct('ResultItem', { id: u32, name: text })
const Items = service('results', { make: method(1, u32, Item), many: method(2, u32, list(u32)) })

test('results kept, given back late or while their slot is busy stay what they were', async () => {
  const server = await serve('test/results', Items, {
    make: async (id) => {
      await Promise.resolve()
      return { id, name: `item number ${id}, long enough for a record of its own` }
    },
    many: (count) => Array.from({ length: count }, (_, i) => i),
  })
  const connection = await connect('test/results', Items, { slots: 4 })
  const kept: { id: number; view: Awaited<ReturnType<typeof connection.make>> }[] = []
  let seed = 7
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return (seed >>> 8) % below
  }
  for (let round = 0; round < 3000; round++) {
    const calls = [connection.make(round * 2), connection.make(round * 2 + 1)]
    // Give some back while the two calls are in flight.
    while (kept.length > 40 + random(20)) kept.splice(random(kept.length), 1)[0]!.view[Symbol.dispose]()
    const views = await Promise.all(calls)
    views.forEach((view, i) => kept.push({ id: round * 2 + i, view }))
    const { id, view } = kept[random(kept.length)]!
    assert.equal(view.id, id)
    assert.equal(view.name, `item number ${id}, long enough for a record of its own`)
  }
  for (const { view } of kept) view[Symbol.dispose]()
  using large = await connection.many(100_000)
  assert.equal(large.at(99_999), 99_999)
  await connection.close()
  await server.close()
})
