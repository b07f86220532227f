// Methods whose arguments do not change under their handlers, and clients whose results do not change under them.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  addressOf, bytes, type ConnectOptions, type Connection, connect, type Handlers, isView, list, map, method, nothing, plain, ref, serve, type ServerCall, type ServerOptions,
  service, struct, text, u32, union, type View, WildPointerError,
} from '../../src/index.js'
import { locationOf } from '../../src/objects/index.js'
import { errorOf } from '../support/ground.js'

const Node = struct('IsolatedCallNode', { id: u32, name: text, tags: list(text), counts: map(text, u32), raw: bytes, get next() { return ref(Node) } })
const Deep = struct('IsolatedCallDeep', { get next() { return ref(Deep) } })
const depthOf = (node: View<typeof Deep> | null): number => node === null ? 0 : 1 + depthOf(node.next)
const Iso = service('isolation', {
  sum: method(1, Node, u32, { isolation: 'snapshot' }),
  echo: method(2, Node, Node, { isolation: 'snapshot' }),
  wait: method(3, Node, text, { isolation: 'snapshot' }),
  told: method(4, Node, text, { isolation: 'auto' }),
  text: method(5, text, u32, { isolation: 'snapshot' }),
  number: method(6, u32, u32, { isolation: 'snapshot' }),
  nothing: method(7, nothing, nothing, { isolation: 'snapshot' }),
  sealed: method(8, Node, u32, { isolation: 'seal' }),
  open: method(9, Node, text),
  write: method(10, Node, nothing, { isolation: 'snapshot' }),
  list: method(11, list(Node), u32, { isolation: 'snapshot' }),
  shared: method(12, nothing, Node),
  either: method(13, nothing, union({ node: Node, text })),
  scope: method(14, Node, u32),
  depth: method(15, Deep, u32, { isolation: 'snapshot' }),
  openDepth: method(16, Deep, u32),
  placed: method(17, Node, text, { isolation: 'snapshot' }),
  placedOpen: method(18, Node, text),
  placedText: method(19, text, text, { isolation: 'snapshot' }),
  placedNumber: method(20, u32, text, { isolation: 'snapshot' }),
  late: method(21, Node, u32, { isolation: 'snapshot' }),
})
type Node = View<typeof Node>

function value(id: number, next: object | null = null): never {
  return { id, name: `the name of node ${id}`, tags: ['a tag of some length'], counts: new Map([['a key with memory', id]]), raw: new Uint8Array(30), next } as never
}

function sum(node: Node): number {
  let total = 0
  for (let at: Node | null = node; at !== null; at = at.next) total += at.id + at.tags.length + at.counts.get('a key with memory')!
  return total
}

interface Pair {
  readonly conn: Connection<typeof Iso.methods>
  /** Lets the handlers of `wait` go on. */
  readonly go: () => void
  readonly serverNode: () => Node
}

let channels = 0

async function pair(t: TestContext, options: { readonly server?: ServerOptions, readonly client?: ConnectOptions } = {}): Promise<Pair> {
  const channel = `isolation/${process.pid}/${++channels}`
  const waiting: (() => void)[] = []
  let kept: Node | undefined
  const told = (_node: Node, call: ServerCall): string => `${call.isolation} ${call.isSealed}`
  const placed = (argument: unknown, { isolation, isSealed, scope }: ServerCall): string => {
    if (scope === undefined) return `${isolation} ${isSealed} no scope`
    const at = typeof argument === 'object' && argument !== null ? addressOf(argument) : 0
    return `${isolation} ${isSealed} ${at >= scope.address && at < scope.address + scope.byteLength}`
  }
  const handlers: Handlers<typeof Iso.methods> = {
    sum,
    echo: (node) => node,
    wait: async (node) => {
      const before = JSON.stringify(node)
      await new Promise<void>((resolve) => waiting.push(resolve))
      return JSON.stringify(node) === before ? 'the same' : 'changed'
    },
    told,
    text: (value) => value.length,
    number: (value) => value + 1,
    nothing: () => {},
    sealed: sum,
    open: told,
    write: (node) => { node.id = 1 },
    list: (nodes) => nodes.reduce((total, node) => total + sum(node), 0),
    shared: (_nothing, call) => (kept ??= call.heap.new(Node, value(5))),
    either: () => ({ kind: 'node', value: value(6) }),
    depth: depthOf,
    openDepth: depthOf,
    placed,
    placedOpen: placed,
    placedText: placed,
    placedNumber: placed,
    // As README shows it for any isolation.
    late: async (node, call) => {
      await new Promise<void>((resolve) => waiting.push(resolve))
      return call.sandbox.run(call.scope ?? node, undefined, (inside) => sum(inside.view(node)))
    },
    scope: (node, call) => call.scope === undefined ? 0 : call.sandbox.run(call.scope, undefined, (inside) => sum(inside.view(node))),
  }
  const server = await serve(channel, Iso, handlers, { onError: () => {}, ...options.server })
  t.after(() => server.close())
  const conn = await connect(channel, Iso, options.client)
  t.after(() => conn.close())
  return { conn, go: () => waiting.splice(0).forEach((resolve) => resolve()), serverNode: () => kept! }
}

/** Waits until the handlers have begun. */
async function turn(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

test('plain values, views of a scope and views of the heap arrive whole under isolation', async (t) => {
  const { conn } = await pair(t)
  const wanted = 1 + 1 + 1 + 2 + 1 + 2
  assert.equal(await conn.sum(value(1, value(2))), wanted)
  using scope = conn.createScope(8192)
  assert.equal(await conn.sum(scope.new(Node, value(1, value(2)))), wanted)
  const inHeap = conn.heap.new(Node, value(2))
  assert.equal(await conn.sum(conn.heap.new(Node, value(1, inHeap))), wanted)
  assert.equal(await conn.sum(value(1, inHeap)), wanted, 'a plain value that points to an object elsewhere')
  assert.equal(await conn.list([value(1), value(2)]), wanted)
  const many = Array.from({ length: 3000 }, (_, i) => value(i))
  assert.equal(await conn.list(many), many.reduce((total: number, _node, i) => total + 2 * i + 1, 0), 'longer than a chunk')
  assert.equal(await conn.text('ein Text'), 8)
  assert.equal(await conn.number(1), 2)
  assert.equal(await conn.nothing(), undefined)
  const copy = await conn.echo(value(7, value(8)))
  assert.equal(copy.next!.name, 'the name of node 8')
  copy[Symbol.dispose]()
})

test('what a client stores while its call is in flight is not seen', async (t) => {
  const { conn, go } = await pair(t)
  using scope = conn.createScope(8192)
  const views = [scope.new(Node, value(1, value(2))), conn.heap.new(Node, value(1))]
  const answers = views.map((view) => conn.wait(view))
  await turn()
  for (const view of views) {
    const { region, word } = locationOf(view)
    region.i32.fill(-1, word, word + 16)
  }
  await turn()
  go()
  assert.deepEqual(await Promise.all(answers), ['the same', 'the same'])
})

test('a handler learns how its argument is isolated, and cannot write to a copy', async (t) => {
  const { conn } = await pair(t)
  assert.equal(await conn.told(value(1)), 'snapshot false')
  assert.equal(await conn.open(value(1)), 'none false')
  assert.equal((await errorOf(conn.write(value(1)))).code, 'FAILED_PRECONDITION')
})

test('a handler is told where an argument lies that it reads in place, and nothing of where the original of a copy lies', async (t) => {
  const { conn } = await pair(t)
  using scope = conn.createScope(8192)
  const [inScope, inHeap] = [scope.new(Node, value(1)), conn.heap.new(Node, value(1))]
  for (const argument of [value(1), inScope, inHeap]) assert.equal(await conn.placed(argument), 'snapshot false no scope')
  assert.deepEqual([await conn.placedOpen(value(1)), await conn.placedOpen(inScope), await conn.placedOpen(inHeap)], ['none false true', 'none false true', 'none false no scope'])
  assert.equal(await conn.placedText('a text of some length'), 'snapshot false no scope')
  assert.equal(await conn.placedNumber(7), 'none false no scope')
})

test('a sandbox in a handler of a copy sees the copy, whatever its client writes to the original', async (t) => {
  const { conn, go } = await pair(t)
  using scope = conn.createScope(8192)
  const view = scope.new(Node, value(1, value(2)))
  const answer = conn.late(view)
  await turn()
  view.id = 1000
  view.next!.id = 1000
  go()
  assert.equal(await answer, 1 + 1 + 1 + 2 + 1 + 2)
})

test('a pointer out of the scope is a WildPointerError of that call, and others go on', async (t) => {
  const { conn } = await pair(t)
  using scope = conn.createScope(8192)
  const node = scope.new(Node, value(1, value(2)))
  const elsewhere = conn.heap.new(Node, value(3))
  const { region, word } = locationOf(node)
  const other = locationOf(elsewhere)
  const pointer = region.i32.indexOf(region.lowOf(locationOf(node.next!).word), word)
  region.i32[pointer] = other.region.lowOf(other.word)
  assert.equal(node.next!.id, 3)
  const error = await errorOf(conn.sum(node))
  assert.equal(error.code, 'INVALID_ARGUMENT')
  assert.match(error.message, /outside the region/)
  assert.equal(await conn.sum(value(1)), 3)
})

test('a handler that walks in circles over its argument meets the end of its budget, however it is isolated, and others go on', async (t) => {
  const { conn } = await pair(t, { client: { seals: { heapBytes: 65_536 } } })
  using scope = conn.createScope(8192)
  using page = conn.createScope(8192)
  for (const [name, memory] of [['sum', scope], ['sum', conn.heap], ['sealed', page]] as const) {
    const [first, second] = [memory.new(Node, value(1)), memory.new(Node, value(2))]
    first.next = second
    second.next = first
    const walk = conn[name](first)
    assert.equal(await conn.number(1), 2)
    const error = await errorOf(walk)
    assert.equal(error.code, 'INVALID_ARGUMENT')
    assert.match(error.message, /pointers|budget/)
    assert.equal(await conn.sum(value(3)), 3 + 1 + 3)
  }
})

test('a handler that recurses too deep over its argument blames the argument where it is isolated, and others go on', async (t) => {
  const { conn } = await pair(t)
  let chain = conn.heap.new(Deep, { next: null })
  for (let i = 0; i < 60_000; i++) chain = conn.heap.new(Deep, { next: chain })
  const error = await errorOf(conn.depth(chain))
  assert.equal(error.code, 'INVALID_ARGUMENT')
  assert.match(error.message, /nested too deep/)
  assert.equal((await errorOf(conn.openDepth(chain))).code, 'UNKNOWN')
  assert.equal(await conn.depth({ next: { next: null } }), 2)
})

test('auto seals what is long enough, by the kernel, and copies what is shorter: awaited and pipelined', async (t) => {
  const { conn } = await pair(t, { client: { seals: { heapBytes: 64 * 4096 } } })
  const { seals } = (conn as unknown as { readonly end: { readonly seals: { crossover: number } } }).end
  assert.ok(seals.crossover > 0, 'what the kernel does is not for nothing')
  seals.crossover = 2
  assert.match(conn.seals!.strength, /enforced/)
  const long = { id: 1, name: 'n'.repeat(9000), tags: [], counts: new Map(), raw: new Uint8Array(0), next: null } as never
  for (const [argument, expected] of [[value(1), 'snapshot false'], [long, 'seal true'], [value(2), 'snapshot false']] as const) {
    assert.equal(await conn.told(argument), expected)
    const pipeline = conn.pipeline('told')
    assert.ok(pipeline.submit(argument))
    const told: string[] = []
    while (pipeline.inFlight > 0) if (pipeline.poll((one) => told.push(one)) === 0) await sleep(0)
    assert.deepEqual(told, [expected])
  }
})

test('copies of calls in flight are bounded', async (t) => {
  const { conn, go } = await pair(t, { server: { snapshotBytes: 64 * 1024 } })
  const calls = Array.from({ length: 20 }, () => conn.wait(value(1)).then(String, (error: unknown) => errorOf(() => { throw error })))
  await turn()
  go()
  const results = await Promise.all(calls)
  assert.equal(results.filter((result) => result === 'the same').length, 16)
  for (const result of results) if (typeof result !== 'string') assert.equal(result.code, 'RESOURCE_EXHAUSTED')
  assert.equal(await conn.sum(value(1)), 3, 'the copies came back')
})

test('a seal that is demanded and not there is refused, at the call and at the handshake', async (t) => {
  const { conn } = await pair(t, { client: { seals: { backend: 'none' } } })
  const error = await errorOf(conn.sealed(value(1)))
  assert.equal(error.code, 'FAILED_PRECONDITION')
  const unsealed = service('isolation', { sealed: method(8, Node, u32) })
  const refused = await errorOf(connect(conn.channel, unsealed))
  assert.equal(refused.code, 'FAILED_PRECONDITION')
  assert.match(refused.message, /sealed demands that its argument is sealed/)
  const copied = await connect(conn.channel, service('isolation', { sum: method(1, Node, u32) }))
  assert.equal(await copied.sum(value(1)), 3, 'a copy needs no help of the client')
  await copied.close()
})

test('isolated results are private, need no disposal, and do not change', async (t) => {
  const { conn, serverNode } = await pair(t, { client: { isolateResults: true } })
  const before = conn.heap.stats().liveBytes
  const made = await conn.echo(value(7, value(8)))
  const shared = await conn.shared()
  const either = await conn.either()
  assert.equal(made.next!.id, 8)
  assert.equal(shared.name, 'the name of node 5')
  assert.ok(either.kind === 'node' && isView(either.value) && either.value.id === 6)
  const kept = plain(shared)
  serverNode().id = 77
  serverNode().name = 'changed by the server'
  assert.deepEqual(plain(shared), kept)
  for (const view of [made, shared]) {
    assert.throws(() => { view.id = 1 }, { code: 'FAILED_PRECONDITION' })
    assert.ok(locationOf(view).region.isPrivate)
  }
  made[Symbol.dispose]()
  assert.throws(() => made.next, WildPointerError, 'given back')
  for (let i = 0; i < 500; i++) assert.equal((await conn.echo(value(i))).id, i)
  assert.ok(conn.heap.stats().liveBytes <= before + 1024 * 1024)
})

test('a method without isolation may sandbox its argument by itself', async (t) => {
  const { conn } = await pair(t)
  using scope = conn.createScope(4096)
  assert.equal(await conn.scope(scope.new(Node, value(1, value(2)))), 8)
  assert.equal(await conn.scope(conn.heap.new(Node, value(1))), 0, 'no scope')
  const node = scope.new(Node, value(1, value(2)))
  const { region, word } = locationOf(node)
  const elsewhere = locationOf(conn.heap.new(Node, value(3)))
  region.i32[region.i32.indexOf(region.lowOf(locationOf(node.next!).word), word)] = elsewhere.region.lowOf(elsewhere.word)
  assert.equal((await errorOf(conn.scope(node))).code, 'INVALID_ARGUMENT')
})

test('an isolation that is none is refused where the method is declared', () => {
  assert.throws(() => method(1, Node, u32, { isolation: 'sealed' as never }), { code: 'INVALID_ARGUMENT' })
})
