// heap.copyFrom from memory of every kind into memory of every kind: all that is reached comes along, with sharing and cycles, and is the copy's own.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  array, bytes, connect, f64, json, list, map, method, nothing, numbers, type ObjectHeap, optional, plain, ref, same, serve, service, set, sortedMap, struct, text, u32, union, type View,
} from '../../src/index.js'

interface Tree {
  [key: string]: unknown
  list: unknown[]
}
const Graph = struct('CopiedGraph', {
  id: u32, name: text, raw: bytes, values: numbers(f64), words: list(text), byName: map(text, u32), seen: set(u32), order: sortedMap(text, u32), grid: array(u32, 2),
  any: union({ text, words: list(text) }), maybe: optional(text), body: json.of<Tree>(), get next() { return ref(Graph) }, get twins() { return list(ref(Graph)) },
})
type Graph = View<typeof Graph>

const Copies = service('copies', {
  /** Copies its argument into memory of its connection. */
  snapshotted: method(1, Graph, Graph, { isolation: 'snapshot' }),
  open: method(2, Graph, Graph),
  given: method(3, nothing, Graph),
  published: method(4, nothing, ref(Graph)),
})

function content(id: number, next: Graph | null = null): never {
  return {
    id, name: `the name of graph ${id}`, raw: Uint8Array.of(1, 2, id), values: [1.5, id], words: ['short', 'a word with memory', 'κλειδί'], byName: Array.from({ length: 40 }, (_, i) => [`key number ${i}`, i]), seen: [1, id],
    order: [['b', 2], ['a key with memory', 1]], grid: [id, 7], any: { kind: 'words', value: ['x', 'a word with memory'] }, maybe: 'a text with memory',
    body: { name: 'a text with memory', list: [1, null, { deep: ['κλειδί', id] }], ['key of ' + id]: -0 }, next, twins: [],
  } as never
}

/** Where objects can be made: two that point at each other in a circle, and one that is reached twice. */
interface Maker {
  readonly new: (type: typeof Graph, value: never) => Graph
  copyFrom<V extends object>(view: V): V
  free(view: object, options?: { readonly deep?: boolean }): void
}

function circleIn(place: Maker): Graph {
  const first = place.new(Graph, content(1))
  first.next = place.new(Graph, content(2, first))
  const twin = place.new(Graph, content(3))
  first.twins.push(twin, twin, first)
  return first
}

/** Changes something of each kind. */
function spoil(graph: Graph): void {
  graph.id = 99
  graph.name = 'another name with memory'
  graph.words[0] = 'another word with memory'
  graph.byName.set('another', 1)
  graph.seen.clear()
  graph.order.delete('b')
  graph.grid.set(0, 5)
  graph.any = { kind: 'text', value: 'another text with memory' }
  graph.maybe = undefined
  graph.body.list.push('pushed, a text with memory')
  graph.body['fresh'] = { a: 1 }
}

async function ground(): Promise<{ readonly makers: Readonly<Record<string, Maker>>, readonly sources: Readonly<Record<string, () => Graph>>, readonly heap: ObjectHeap, readonly close: () => Promise<void> }> {
  const channel = `copies/${process.pid}`
  const made: Graph[] = []
  const handlers = (): Parameters<typeof serve<(typeof Copies)['methods']>>[2] => ({
    snapshotted: (graph, { heap, isolation }) => {
      assert.equal(isolation, 'snapshot')
      assert.deepEqual([graph.byName.get('key number 37'), graph.body?.list[0], graph.order.get('b')], [37, 1, 2], 'what is found by address in a private copy')
      return heap.copyFrom(graph)
    },
    open: (graph, { heap }) => heap.copyFrom(graph),
    given: (_, { heap }) => circleIn(heap),
    published: () => made[0] ?? null,
  })
  const ofConnections = await serve(`${channel}/own`, Copies, handlers(), { publishedHeapBytes: 4 << 20 })
  const ofAll = await serve(`${channel}/shared`, Copies, handlers(), { sharedHeapBytes: 16 << 20 })
  made.push(circleIn(ofConnections.published))
  const open = { heapBytes: 4 << 20 }
  const own = await connect(`${channel}/own`, Copies, open)
  const other = await connect(`${channel}/own`, Copies, open)
  const isolated = await connect(`${channel}/own`, Copies, { ...open, isolateResults: true })
  const sealing = await connect(`${channel}/own`, Copies, { ...open, seals: { backend: 'cooperative', heapBytes: 4 << 20 } })
  const sharing = await connect(`${channel}/shared`, Copies)
  const grown = await connect(`${channel}/own`, Copies, open)
  // Its first heap is full.
  grown.heap.new(list(bytes), [new Uint8Array(3_500_000)])
  await grown.grow(8 << 20)
  const scope = own.createScope(1 << 18)
  const pool = other.createScopePool({ scopeBytes: 1 << 18, count: 2 })
  const sealed = sealing.createScope(1 << 18)
  const makers = {
    'a connection\'s heap': own.heap, 'another connection\'s': other.heap, 'a connection\'s further heap': grown.heap, 'a heap that all share, a client\'s end': sharing.heap,
    'a heap that all share, the server\'s end': ofAll.heap, 'a published heap': ofConnections.published, 'a scope': scope, 'a pool\'s scope': pool.take(), 'a scope to be sealed': sealed,
  } as unknown as Readonly<Record<string, Maker>>
  const argument = circleIn(own.heap)
  const results = {
    'a published object, as a client has it': await own.published(), 'a result': await own.given(), 'a copy of a snapshot': await own.snapshotted(argument),
    'a copy of an argument': await own.open(argument), 'an isolated result': await isolated.given(), 'a copy of a call\'s own argument': await isolated.open(plain(argument) as never),
  } as unknown as Readonly<Record<string, Graph>>
  const sources: Record<string, () => Graph> = Object.fromEntries(Object.entries(makers).map(([name, maker]) => [name, () => circleIn(maker)]))
  for (const [name, graph] of Object.entries(results)) sources[name] = () => graph
  return {
    makers, sources, heap: own.heap,
    async close() {
      for (const connection of [own, other, isolated, sealing, sharing, grown]) await connection.close()
      await ofConnections.close()
      await ofAll.close()
    },
  }
}

test('a graph is copied from every kind of memory into every other', async () => {
  const { makers, sources, heap, close } = await ground()
  try {
    const expected = plain(circleIn(makers['a connection\'s heap']!))
    let pairs = 0
    for (const [from, make] of Object.entries(sources)) {
      const source = make()
      assert.deepStrictEqual(plain(source), expected, from)
      for (const [to, maker] of Object.entries(makers)) {
        const what = `from ${from} to ${to}`
        const copy = maker.copyFrom(source)
        assert.ok(!same(copy, source), what)
        assert.deepStrictEqual(plain(copy), expected, what)
        assert.equal(copy.byName.get('key number 37'), 37, what)
        const next = copy.next!
        assert.ok(same(next.next, copy) && same(copy.twins.at(2), copy), `${what}: a circle stays one`)
        assert.ok(same(copy.twins.at(0), copy.twins.at(1)) && !same(copy.twins.at(0), source.twins.at(0)), `${what}: what is shared stays so`)
        for (const one of [copy, next, copy.twins.at(0)!]) spoil(one)
        assert.deepStrictEqual(plain(source), expected, `${what}: the copy is its own`)
        maker.free(copy, { deep: true })
        assert.deepStrictEqual(plain(source), expected, `${what}: freeing it frees nothing else`)
        pairs++
      }
    }
    assert.ok(pairs >= 15 * 9, `${pairs} pairs`)
    const argument = circleIn(heap)
    heap.sandbox.run(argument, undefined, (inside) => {
      for (const [to, maker] of Object.entries(makers)) assert.deepStrictEqual(plain(maker.copyFrom(inside.view(argument))), expected, `from a sandbox to ${to}`)
    })
  } finally {
    await close()
  }
})
