// Histories of operations, made at random, carried out on a store and on its model.
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { Filter } from '../../../apps/document-store/store/filter.js'
import type { Json, Scalar } from '../../../apps/document-store/store/values.js'
import { RpcError } from 'rpcool'
import { model } from './model.js'
import type { Tested } from './tested.js'

// Few keys, paths and values, so that operations meet.
const key = fc.constantFrom('a', 'b', 'c', 'a longer key, beyond a cell', 'ключ')
const scalar: fc.Arbitrary<Scalar> = fc.constantFrom<Scalar>(
  null, true, false, 0, 1, 2, 1.5, -3, 1e300, '', 'a', 'ab', 'abc', 'b', 'a text that takes a record', 'ü', '日本',
)
const number = fc.constantFrom(0, 1, 2, 1.5, -3)
const word = fc.constantFrom('', 'a', 'ab', 'b', 'c')
const value: fc.Arbitrary<Json> = fc.oneof(
  { weight: 5, arbitrary: scalar }, fc.array(scalar, { maxLength: 3 }), fc.record({ x: scalar, y: scalar }, { requiredKeys: [] }),
)
const body: fc.Arbitrary<Json> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ x: value, y: value, deep: fc.record({ x: value, y: value }, { requiredKeys: [] }) }, { requiredKeys: [] }) as fc.Arbitrary<Json> },
  fc.array(value, { maxLength: 2 }),
)
const PATHS = ['x', 'y', 'deep', 'deep.x', 'deep.y', 'x.x', 'none', 'constructor', 'toJSON', 'x.0', '0', 'x.length', 'x.map']
const path = fc.constantFrom(...PATHS)
const test = fc.oneof(
  scalar,
  number.chain((low) => number.map((high) => ({ gte: low, lt: high }))),
  number.map((low) => ({ gt: low })),
  word.chain((low) => word.map((high) => ({ gt: low, lte: high }))),
  word.map((prefix) => ({ prefix })),
  scalar.map((contains) => ({ contains })),
  fc.boolean().map((exists) => ({ exists })),
)
const filter: fc.Arbitrary<Filter> = fc.dictionary(path, test, { maxKeys: 2 })

export type Operation =
  | { readonly op: 'put', readonly key: string, readonly body: Json }
  | { readonly op: 'get' | 'delete', readonly key: string }
  | { readonly op: 'update', readonly key: string, readonly path: string, readonly value: Json }
  | { readonly op: 'search', readonly filter: Filter, readonly path: string, readonly right: string }
  | { readonly op: 'index', readonly path: string, readonly kind: 'hash' | 'ordered' | 'none' }
  | { readonly op: 'clear' }

export const history: fc.Arbitrary<Operation[]> = fc.array(fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant('put' as const), key, body }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('get' as const, 'delete' as const), key }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('update' as const), key, path: fc.constantFrom('x', 'y', 'deep.x', 'x.x', 'x.0', '1'), value }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('search' as const), filter, path, right: path }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('index' as const), path, kind: fc.constantFrom('hash' as const, 'ordered' as const, 'none' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('clear' as const) }) },
), { minLength: 1, maxLength: 60 })

/** Carries a history out on both and compares every answer. The store is emptied first: the history before may have failed. */
export async function follow(store: Tested, operations: readonly Operation[]): Promise<void> {
  const expected = model()
  await store.clear()
  for (const one of PATHS) await store.dropIndex(one)
  const indexed = new Set<string>()
  for (const operation of operations) {
    switch (operation.op) {
      case 'put':
        assert.equal(store.put(operation.key, operation.body), expected.put(operation.key, operation.body))
        break
      case 'get':
        assert.deepStrictEqual(store.get(operation.key), expected.get(operation.key))
        break
      case 'delete':
        assert.equal(store.delete(operation.key), expected.delete(operation.key))
        break
      case 'update': {
        const { key: name, path: where, value: changed } = operation
        assert.deepStrictEqual(outcome(() => store.update(name, where, changed)), outcome(() => expected.update(name, where, changed)))
        break
      }
      case 'search':
        await compareSearch(store, expected, operation.filter, operation.path, operation.right)
        break
      case 'index':
        if (operation.kind === 'none') {
          assert.equal(await store.dropIndex(operation.path), indexed.delete(operation.path))
        } else {
          await store.createIndex(operation.path, operation.kind)
          indexed.add(operation.path)
        }
        break
      case 'clear':
        assert.equal(await store.clear(), await expected.clear())
        break
      default:
        assert.fail(`no such operation: ${String(operation satisfies never)}`)
    }
  }
  await compareSearch(store, expected, {}, 'x', 'y')
}

async function compareSearch(store: Tested, expected: Tested, where: Filter, one: string, right: string): Promise<void> {
  const all = expected.find(where)
  assert.deepStrictEqual(store.find(where), all)
  assert.equal(store.count(where), all.length)
  const some = store.find(where, { skip: 1, limit: 2 })
  assert.equal(some.length, Math.min(2, Math.max(0, all.length - 1)))
  for (const [name] of some) assert.ok(all.some(([other]) => other === name))
  assert.deepStrictEqual(store.find(where, { limit: 0 }), [])
  assert.deepStrictEqual(sorted([...await store.group(where, one)]), sorted([...await expected.group(where, one)]))
  const pairs = await store.join(where, one, right)
  assert.deepStrictEqual(sorted(pairs), sorted(await expected.join(where, one, right)))
  assert.deepStrictEqual(await store.join(where, one, right, { skip: 1, limit: 2 }), pairs.slice(1, 3))
  assert.deepStrictEqual(await store.join(where, one, right, { limit: 0 }), [])
  assert.deepStrictEqual(sorted(await store.project(where, [one, right])), sorted(await expected.project(where, [one, right])))
}

function sorted<T>(values: T[]): T[] {
  return values.map((one) => [JSON.stringify(one), one] as const).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, one]) => one)
}

/** What was answered, or that it was refused. */
function outcome(work: () => boolean): boolean | 'refused' {
  try {
    return work()
  } catch (error) {
    if (error instanceof RangeError || (RpcError.is(error) && error.code === 'INVALID_ARGUMENT')) return 'refused'
    throw error
  }
}
