// Every kind of container as argument and as result: isolated, and given back when it is done with, not before.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, json, map, method, plain, serve, service, set, sortedMap, text, u32, optional, type ConnectOptions } from '../../src/index.js'

const Kinds = service('kinds', {
  takesSet: method(1, set(text), u32, { isolation: 'snapshot' }),
  takesSorted: method(2, sortedMap(text, u32), u32, { isolation: 'snapshot' }),
  takesJson: method(3, json, u32, { isolation: 'snapshot' }),
  givesSet: method(4, u32, set(text)),
  givesSorted: method(5, u32, sortedMap(text, u32)),
  givesMap: method(6, u32, map(text, u32)),
  givesJson: method(7, u32, json),
  takesMaybe: method(8, optional(u32), text),
})

const keys = (n: number): string[] => Array.from({ length: 5 }, (_, i) => `a long key with number ${n + i}`)
const pairs = (n: number): Map<string, number> => new Map(keys(n).map((key, i) => [key, i]))

for (const options of [{}, { isolateResults: true }] satisfies readonly ConnectOptions[]) {
  test(`containers of every kind go both ways (${JSON.stringify(options)})`, async (t) => {
    const server = await serve(`kinds/${process.pid}/${Object.keys(options).length}`, Kinds, {
      takesSet: (keySet) => [...keySet].join('').length,
      takesSorted: (sorted) => [...sorted].flat().join('').length,
      takesJson: (document) => JSON.stringify(document).length,
      givesSet: (n) => new Set(keys(n)),
      givesSorted: (n) => pairs(n),
      givesMap: (n) => pairs(n),
      givesJson: (n) => ({ keys: keys(n) }),
      takesMaybe: (n) => String(n),
    })
    t.after(() => server.close())
    const conn = await connect(server.channel, Kinds, options)
    t.after(() => conn.close())
    assert.equal(await conn.takesSet(new Set(keys(1))), keys(1).join('').length)
    assert.equal(await conn.takesSorted(pairs(1)), [...pairs(1)].flat().join('').length)
    assert.equal(await conn.takesJson({ keys: keys(1) }), JSON.stringify({ keys: keys(1) }).length)
    assert.deepEqual([await conn.takesMaybe(), await conn.takesMaybe(undefined, { timeoutMs: 1000 }), await conn.takesMaybe(3)], ['undefined', 'undefined', '3'])
    const isNeeded: 0 extends Parameters<typeof conn.givesMap>['length'] ? never : true = true
    assert.ok(isNeeded, 'an argument that cannot be undefined cannot be left out, says the compiler')
    // All of them at once, so that memory given back too soon would be somebody else's.
    const numbers = Array.from({ length: 20 }, (_, i) => i * 10)
    const results = await Promise.all(numbers.map((n) => Promise.all([conn.givesSet(n), conn.givesSorted(n), conn.givesMap(n), conn.givesJson(n)])))
    for (const n of numbers) await conn.givesMap(1000 + n)
    for (const [i, [keySet, sorted, mapped, document]] of results.entries()) {
      assert.deepEqual([...keySet].sort(), keys(numbers[i]!).sort())
      assert.deepEqual(new Map(sorted), pairs(numbers[i]!))
      assert.deepEqual(plain(mapped), pairs(numbers[i]!))
      assert.deepEqual(JSON.parse(JSON.stringify(document)), { keys: keys(numbers[i]!) })
      for (const result of [keySet, sorted, mapped]) result[Symbol.dispose]()
    }
  })
}
