// Makes, forgets and misuses objects, in a process that runs with RPCOOL_DEBUG=heap; prints what it is told.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ObjectHeap } from '../../src/calls/heaps/object-heap.js'
import { Heap, HeapSet } from '../../src/memory/index.js'
import {
  array, assign, bytes, fast, json, jsonEqual, jsonPath, list, map, numbers, plain, f64, ref, same, set, shared, sortedMap, struct, text, textField, u32, unsafeBytes,
} from '../../src/objects/index.js'
import { locationOf } from '../../src/objects/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'
import { addressOf, connect, method, nothing, serve, service } from '../../src/index.js'

const Post = struct('Post', { id: u32, author: text, get reply() { return ref(Post) } })
const buffer = new ArrayBuffer(8 << 20)
const heap = new ObjectHeap(new HeapSet((space) => new Heap(buffer, HEAPS_BASE, 1, space)))
const say = (what: string, value: unknown): void => void process.stdout.write(`${what}: ${JSON.stringify(value)}\n`)

function attempt(what: string, work: () => unknown): void {
  try {
    say(what, work())
  } catch (error) {
    say(what, (error as Error).message)
  }
}

function forget(id: number): void {
  heap.new(Post, { id, author: 'an author whose name takes memory' })
}

const post = heap.new(Post, { id: 1, author: 'the first author of them all' })
const holder = heap.new(Post, { id: 2, author: 'b', reply: post })
const posts = heap.new(list(Post), [{ id: 3, author: 'c' }])
attempt('leaks before', () => heap.leaks().map(({ type, objects }) => [type, objects]))
heap.free(post)
attempt('read', () => post.author)
attempt('write', () => { post.id = 5 })
attempt('follow', () => holder.reply)
attempt('free again', () => heap.free(post))
heap.free(holder)
heap.free(posts)
for (let i = 0; i < 3; i++) forget(i)
for (let i = 0; i < 2000; i++) heap.free(heap.new(Post, { id: i, author: 'many authors come and go' }))
attempt('live', () => heap.stats().liveBlocks)
attempt('leaks', () => heap.leaks())

// Everything that has views, and everything that may be done with one: made before the end, tried after it.
const Whole = struct('Whole', {
  posts: list(Post), names: list(text), grid: array(u32, 3), byName: map(text, Post), seen: set(u32), order: sortedMap(text, u32),
  tree: json, quick: json.fast, both: shared(map(text, u32)), raw: bytes, values: numbers(f64), title: text,
})
const title = textField(Whole, 'title')
const field = jsonPath('name')
const whole = heap.new(Whole, {
  posts: [{ id: 1, author: 'the author of a list' }], names: ['a name', 'a name with memory'], grid: [1, 2, 3], byName: [['first', { id: 2, author: 'b' }], ['second', { id: 3, author: 'c' }]],
  seen: [1, 2], order: [['a', 1], ['b', 2]], tree: { name: 'a text with memory', list: [1, { n: 1 }] }, quick: { name: 'a text with memory', list: [1, 2] },
  both: [['a', 1]], raw: Uint8Array.of(1, 2), values: [1, 2], title: 'a title with memory',
})
const { posts: ownPosts, names, grid, byName, seen, order, both } = whole
const tree = whole.tree as unknown as { name: string, list: unknown[] }
const quick = whole.quick as unknown as { name: string, list: { at(i: number): unknown, set(i: number, v: unknown): void, length: number } & Iterable<unknown> }
const treeList = tree.list
const quickList = quick.list
attempt('fast delete', () => Reflect.deleteProperty(quick, 'name'))
attempt('fast in', () => 'name' in quick)
attempt('fast after', () => [quick.name, (quick as { more?: number }).more = 5, (quick as { more?: number }).more, JSON.stringify(quick)])
const inList = ownPosts.at(0)!
const inMap = byName.get('first')!
const walks: Readonly<Record<string, Iterator<unknown>>> = {
  'list steps': ownPosts[Symbol.iterator](), 'names steps': names.entries(), 'map steps': byName.entries(), 'set steps': seen.values(), 'order steps': order.keys(),
  'tree steps': treeList[Symbol.iterator](), 'quick steps': quickList[Symbol.iterator](),
}
for (const walk of Object.values(walks)) walk.next()
heap.free(whole)
const uses: Readonly<Record<string, () => unknown>> = {
  'list length': () => ownPosts.length, 'list at': () => ownPosts.at(0), 'list index': () => ownPosts[0], 'list set': () => names.set(0, 'x'), 'list push': () => names.push('x'),
  'list pop': () => names.pop(), 'list splice': () => names.splice(0, 1), 'list sort': () => names.sort(), 'list clear': () => names.clear(), 'list map': () => names.map((name) => name),
  'list plain': () => plain(names), 'list JSON': () => JSON.stringify(names), 'list copy': () => heap.copyFrom(ownPosts), 'list same': () => same(ownPosts, ownPosts.at(0)),
  'array at': () => grid.at(1), 'array set': () => grid.set(0, 1), 'array spread': () => [...grid],
  'map get': () => byName.get('first'), 'map has': () => byName.has('first'), 'map size': () => byName.size, 'map set': () => byName.set('x', { id: 1, author: 'x' }), 'map delete': () => byName.delete('first'),
  'map clear': () => byName.clear(), 'map spread': () => [...byName], 'map plain': () => plain(byName),
  'set has': () => seen.has(1), 'set add': () => seen.add(4), 'set spread': () => [...seen], 'set size': () => seen.size,
  'order get': () => order.get('a'), 'order set': () => order.set('c', 1), 'order first': () => order.first(), 'order range': () => [...order.keys({ from: 'a' })], 'order count': () => order.count(),
  'shared read': () => both.read((one) => one.get('a')), 'shared write': () => both.write((one) => one.set('a', 2)),
  'tree get': () => tree.name, 'tree set': () => { tree.name = 'x' }, 'tree keys': () => Object.keys(tree), 'tree delete': () => delete (tree as Partial<typeof tree>).name, 'tree spread': () => ({ ...tree }),
  'tree in': () => 'name' in tree, 'tree JSON': () => JSON.stringify(tree), 'tree plain': () => plain(tree), 'tree equal': () => jsonEqual(tree, {}), 'tree path': () => field(tree), 'tree fast': () => fast(tree),
  'tree list': () => treeList.length, 'tree list at': () => treeList[0], 'tree push': () => treeList.push(1), 'tree sort': () => treeList.sort((a, b) => Number(a) - Number(b)), 'tree list spread': () => [...treeList],
  'quick get': () => quick.name, 'quick unknown key': () => (quick as unknown as Record<string, unknown>)['none'], 'quick set': () => { quick.name = 'x' }, 'quick list at': () => quickList.at(0), 'quick list length': () => quickList.length, 'quick list set': () => quickList.set(0, 1),
  'quick path': () => field(quick), 'quick equals': () => field.equals('x')(quick),
  'in list': () => inList.author, 'in map': () => { inMap.id = 4 },
  'struct assign': () => assign(whole, { title: 'x' }), 'struct text': () => title.is('x')(whole), 'struct bytes': () => unsafeBytes(whole, 'raw'), 'struct plain': () => plain(whole), 'struct copy': () => heap.copyFrom(whole),
  ...Object.fromEntries(Object.entries(walks).map(([what, walk]) => [what, (): unknown => walk.next()])),
}
// Without the debug mode each is a value or an error, of whatever lies there.
if (process.env['RPCOOL_DEBUG'] === 'heap') for (const [what, use] of Object.entries(uses)) attempt(`use of ${what}`, use)

// What was put into a document later, and what a list moved away from.
const document = heap.json<{ part: unknown }>({ part: null })
document.part = { deep: [1, 'a text with memory'] }
const part = document.part as { deep: unknown[] }
document.part = 1
attempt('overwritten part in the same turn', () => plain(part))
attempt('overwritten part freed', () => heap.free(part))
await nextTurn()
attempt('use of replaced part', () => part.deep)
// Twice: a list of keys that recurs becomes a shape, which stays.
for (let i = 0; i < 2; i++) document.part = { deep: [] }
document.part = 1
const { liveBlocks } = heap.stats()
for (let i = 0; i < 5; i++) document.part = { deep: [i, 'a text with memory'] }
document.part = 1
attempt('blocks of overwritten parts', () => heap.stats().liveBlocks - liveBlocks)
const growing = heap.new(list(Post), [{ id: 1, author: 'x' }])
const moved = growing.at(0)!
for (let i = 0; i < 40; i++) growing.push({ id: i, author: 'more' })
attempt('use of moved element', () => moved.id)
heap.free(growing)
heap.free(document)
// What a plain value became behind a ref goes with nobody.
const shelf = heap.new(map(text, list(ref(Post))), [])
shelf.set('held', [{ id: 7, author: 'an author of a plain value' }])
const unowned = shelf.get('held')!.at(0)!
shelf.delete('held')
attempt('leaks of refs', () => heap.leaks().map(({ type, objects }) => [type, objects]))
heap.free(unowned)
// Pointers that are kept to what lies in a list or a map, told once for each line, and to what lies by itself.
const Pointing = struct('Pointing', { list: list(Post), map: map(text, Post), one: ref(Post), more: list(ref(Post)) })
const pointing = heap.new(Pointing, { list: [{ id: 1, author: 'x' }, { id: 2, author: 'x' }], map: [['a', { id: 3, author: 'x' }]] })
const [alone, behind] = [heap.new(Post, { id: 5, author: 'x', reply: { id: 6, author: 'x' } }), heap.new(Pointing, { more: [{ id: 7, author: 'x' }] })]
const copy = heap.copyFrom(alone)
pointing.one = alone
pointing.one = alone.reply
pointing.more.push(alone, behind.more.at(0)!, copy)
for (let i = 0; i < 2; i++) pointing.one = pointing.list.at(0)!
pointing.more.push(pointing.map.get('a')!)
heap.free(pointing)
for (const one of [alone, behind, copy]) heap.free(one, { deep: true })
heap.free(shelf)
attempt('leaks after', () => heap.leaks().map(({ type, objects }) => [type, objects]))
heap.close()

// What the other end of a connection frees.
const Peer = service('heap-debug', { drop: method(1, Post, nothing) })
const server = await serve('test/heap-debug', Peer, { drop: (one, call) => call.heap.free(one) })
const conn = await connect('test/heap-debug', Peer)
const make = (id: number) => conn.heap.new(Post, { id, author: 'somebody whose name takes memory' })
const [mine, theirs] = [make(1), make(2)]
await conn.drop(theirs)
attempt('peer read', () => theirs.author)
attempt('peer free', () => conn.heap.free(theirs))
attempt('peer leaks', () => conn.heap.leaks().map(({ type, objects }) => [type, objects]))
conn.heap.free(mine)
await conn.close()
await server.close()

// Another process, which frees what waits for its end here: it is somebody else's when its turn comes.
const common = new ArrayBuffer(8 << 20)
const here = new ObjectHeap(new HeapSet((space) => new Heap(common, HEAPS_BASE, 1, space)))
const there = new Heap(common, HEAPS_BASE, 2)
const Plain = struct('Plain', { id: u32 })
if (process.env['RPCOOL_DEBUG'] === 'heap') for (const one of Array.from({ length: 100 }, (_, id) => here.new(Plain, { id }))) {
  const { word } = locationOf(one)
  here.free(one)
  there.free(there.region, word)
}
const later = Array.from({ length: 9000 }, (_, id) => here.new(Plain, { id }))
for (let i = 0; i < 600; i++) here.free(here.new(Plain, { id: i }))
const more = Array.from({ length: 9000 }, (_, i) => here.new(Plain, { id: 9000 + i }))
attempt('peer later', () => [[...later, ...more].every((one, id) => one.id === id), new Set([...later, ...more].map((one) => addressOf(one))).size])
