// What is overwritten can still be put elsewhere in the same turn by whoever holds a view of it, and its memory comes back afterwards.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { ObjectHeap } from '../../src/calls/heaps/object-heap.js'
import { Heap, HeapSet } from '../../src/memory/index.js'
import { json, list, map, plain, sortedMap, struct, text } from '../../src/objects/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'
import { hasCode } from '../memory/model.js'

type Tree = Record<string, unknown>

function setOf(byteLength: number): HeapSet {
  return new HeapSet((space) => new Heap(new ArrayBuffer(byteLength), HEAPS_BASE, 1, space))
}

function heapOf(byteLength: number): ObjectHeap {
  return new ObjectHeap(setOf(byteLength))
}

const KEYS = ['a', 'b', 'c', 'd']
const leaf = fc.constantFrom<unknown>(1, 'a text with memory', { x: 1 }, { x: { y: [1, 2] } }, [1, { z: 'another text with memory' }], [])
const step = fc.oneof(
  fc.record({ do: fc.constant('hold' as const), key: fc.constantFrom(...KEYS) }),
  fc.record({ do: fc.constant('put' as const), key: fc.constantFrom(...KEYS), value: leaf }),
  fc.record({ do: fc.constant('put held' as const), key: fc.constantFrom(...KEYS), which: fc.nat() }),
  fc.record({ do: fc.constant('change held' as const), key: fc.constantFrom(...KEYS), which: fc.nat(), value: leaf }),
  fc.record({ do: fc.constant('delete' as const), key: fc.constantFrom(...KEYS) }))
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

function isObject(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The same steps on a document and on a plain one: assigning copies, in both. */
function run(steps: readonly Step[], document: Tree, copy: (value: unknown) => unknown): void {
  const held: unknown[] = []
  const pick = (which: number): unknown => held[which % held.length]
  for (const step of steps) {
    if (step.do === 'hold') {
      if (typeof document[step.key] === 'object') held.push(document[step.key])
    } else if (step.do === 'put') document[step.key] = copy(step.value)
    else if (step.do === 'delete') delete document[step.key]
    else if (held.length > 0 && step.do === 'put held') document[step.key] = copy(pick(step.which))
    else if (step.do === 'change held' && isObject(pick(step.which))) (pick(step.which) as Tree)[step.key] = copy(step.value)
  }
}

test('held values of a document that were overwritten or deleted are put back, changed, and swapped as plain ones are', () => {
  const heap = heapOf(4 << 20)
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const start = { a: { n: 1 }, b: [1, 2, 'a text with memory'], c: { n: { n: 2 } } }
    const model: Tree = structuredClone(start)
    const document = heap.json(start) as unknown as Tree
    run(steps, model, (value) => structuredClone(value))
    run(steps, document, (value) => value)
    assert.deepEqual(plain(document), model)
    heap.free(document)
  }), { numRuns: 300 })
})

test('two values of json are swapped, wherever they lie, with others put in between', () => {
  const heap = heapOf(1 << 20)
  const Pair = struct('Pair', { a: json, b: json, c: json })
  const holders: Tree[] = [
    heap.json({ a: 0, b: 0, c: 0 }),
    heap.new(Pair, { a: 0, b: 0, c: 0 }),
    ...[map(text, json), sortedMap(text, json)].map((type) => {
      const values = heap.new(type, []) as unknown as Map<string, unknown>
      return new Proxy<Tree>({}, { get: (_, key) => values.get(String(key)), set: (_, key, value) => Boolean(values.set(String(key), value)) })
    }),
    heap.new(list(json), [0, 0, 0]) as unknown as Tree,
  ]
  for (const [i, holder] of holders.entries()) {
    const [a, b, c] = i === holders.length - 1 ? ['0', '1', '2'] as const : ['a', 'b', 'c'] as const
    holder[a] = { one: 1 }
    holder[b] = { two: 2 }
    const held = holder[a]
    holder[a] = holder[b]
    holder[c] = { three: 3 }
    holder[b] = held
    assert.deepEqual([holder[a], holder[b], holder[c]].map((value) => plain(value as object)), [{ two: 2 }, { one: 1 }, { three: 3 }])
  }
})

test('what a container gives up as a whole is held, too', () => {
  const heap = heapOf(1 << 20)
  const values = heap.new(map(text, json), [['a', { one: 1 }]])
  const held = values.get('a')
  values.clear()
  values.set('x', { other: 1 })
  values.set('b', held)
  assert.deepEqual(plain(values.get('b') as object), { one: 1 })
  values.delete('b')
  values.set('y', { other: 2 })
  assert.deepEqual(plain(values), new Map([['x', { other: 1 }], ['y', { other: 2 }]]))
})

test('the memory comes back at the end of the turn, when it is counted, and when it is wanted', async () => {
  const heaps = setOf(1 << 20)
  const heap = new ObjectHeap(heaps)
  const live = (): number => heaps.heaps[0]!.stats().liveBlocks
  const document = heap.json({ a: 0 }) as unknown as Tree
  const large = 'x'.repeat(100_000)
  // The heap has room for some ten of these: the others find it only when those before them go.
  for (let i = 0; i < 50; i++) document['a'] = { large }
  // Twice: a list of keys that recurs becomes a shape, which stays.
  document['a'] = { n: 0 }
  document['a'] = { n: 0 }
  const { liveBlocks } = heap.stats()
  assert.equal(live(), liveBlocks)
  document['a'] = { n: 1 }
  document['a'] = { n: 2 }
  assert.equal(live(), liveBlocks + 2)
  await nextTurn()
  assert.equal(live(), liveBlocks)
})

test('a loop without an end keeps a bounded number of overwritten values', () => {
  const heaps = setOf(1 << 20)
  const document = new ObjectHeap(heaps).json({ a: 0 }) as unknown as Tree
  for (let i = 0; i < 10_000; i++) document['a'] = { n: i }
  const { liveBlocks } = heaps.heaps[0]!.stats()
  assert.ok(liveBlocks < 2000, `${liveBlocks} blocks wait`)
  assert.deepEqual(plain(document), { a: { n: 9999 } })
})

test('what was overwritten is freed by that and by nobody else', () => {
  const heap = heapOf(1 << 20)
  const document = heap.json({ a: 0 }) as unknown as Tree
  document['a'] = { n: 1 }
  const held = document['a'] as object
  document['a'] = { n: 2 }
  assert.throws(() => { heap.free(held) }, hasCode('INVALID_ARGUMENT'))
  assert.deepEqual(plain(held), { n: 1 })
  heap.free(document)
})
