// Methods whose arguments are sealed: the client cannot write to them while they are in their handlers' hands.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  addressOf, bytes, type ConnectOptions, type Connection, connect, list, method, nothing, plain, ref, SealedError, serve, type Server, type ServerCall, type ServerOptions,
  service, struct, text, u32, type View,
} from '../../src/index.js'
import { errorOf } from '../support/ground.js'
import { writable } from '../support/writable.js'
import { openCooperative } from '../safety/seals/ground.js'
import { Heap, HeapSet, PageHeap } from '../../src/memory/index.js'
import { ArgumentSeals } from '../../src/safety/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'

const Node = struct('SealedCallNode', { id: u32, name: text, tags: list(text), get next() { return ref(Node) } })
const Sealing = service('sealing', {
  sum: method(1, Node, u32, { isolation: 'seal' }),
  told: method(2, Node, text, { isolation: 'seal' }),
  wait: method(3, Node, text, { isolation: 'seal' }),
  echo: method(4, Node, Node, { isolation: 'seal' }),
  auto: method(5, Node, text, { isolation: 'auto' }),
  text: method(6, text, u32, { isolation: 'seal' }),
  bytes: method(7, bytes, u32, { isolation: 'seal' }),
  fail: method(8, Node, nothing, { isolation: 'seal' }),
  write: method(9, Node, nothing, { isolation: 'seal' }),
  open: method(10, Node, text),
  snapshot: method(11, Node, text, { isolation: 'snapshot' }),
})
type Node = View<typeof Node>

function value(id: number, next: object | null = null): never {
  return { id, name: `the name of node ${id}`, tags: ['a tag of some length'], next } as never
}

function sum(node: Node): number {
  let total = 0
  for (let at: Node | null = node; at !== null; at = at.next) total += at.id + at.tags.length
  return total
}

interface Pair extends AsyncDisposable {
  readonly conn: Connection<typeof Sealing.methods>
  readonly server: Server
  /** Lets the handlers of `wait` go on. */
  readonly go: () => void
  /** Resolves when so many handlers of `wait` are at work. */
  readonly waiting: (count: number) => Promise<void>
  readonly seen: () => number
}

let channels = 0

async function pair(options: { readonly server?: ServerOptions, readonly client?: ConnectOptions } = {}): Promise<Pair> {
  const waiting: (() => void)[] = []
  let seen = 0
  const told = (_node: Node, call: ServerCall): string => `${call.isolation} ${String(call.isSealed)}`
  const server = await serve(`sealing/${process.pid}/${++channels}`, Sealing, {
    sum: (node) => {
      seen = addressOf(node)
      return sum(node)
    },
    told,
    wait: async (node) => {
      const before = JSON.stringify(plain(node))
      await new Promise<void>((resolve) => waiting.push(resolve))
      return JSON.stringify(plain(node)) === before ? 'the same' : 'changed'
    },
    echo: (node) => node,
    auto: told,
    text: (argument, call) => argument.length + (call.isSealed ? 1000 : 0),
    bytes: (argument) => argument.length,
    fail: () => { throw new Error('as it should') },
    write: (node) => { node.id = 1 },
    open: told,
    snapshot: told,
  }, { onError: () => {}, ...options.server })
  const conn = await connect(server.channel, Sealing, options.client)
  return {
    conn, server, seen: () => seen,
    go: () => waiting.splice(0).forEach((resolve) => resolve()),
    waiting: async (count) => {
      while (waiting.length < count) await sleep(1)
    },
    [Symbol.asyncDispose]: async () => {
      waiting.splice(0).forEach((resolve) => resolve())
      await conn.close()
      await server.close()
    },
  }
}

const cooperative = { server: { seals: { require: 'cooperative' } }, client: { seals: { backend: 'cooperative' } } } as const
const backends: Readonly<Record<string, { readonly server?: ServerOptions, readonly client?: ConnectOptions }>> = { userfaultfd: {}, cooperative }

for (const [backend, options] of Object.entries(backends)) {
  test(`${backend}: the handler reads a sealed argument where its client wrote it, and knows that it is sealed`, async () => {
    await using ends = await pair(options)
    const { conn, seen } = ends
    using scope = conn.createScope(8192)
    const node = scope.new(Node, value(1, value(2)))
    assert.equal(await conn.sum(node), 5)
    assert.equal(seen(), addressOf(node))
    assert.equal(await conn.told(node), 'seal true')
    assert.equal(await conn.told(value(3)), 'seal true')
  })
}

for (const [backend, options] of Object.entries(backends)) {
  test(`${backend}: who seals the argument of a method that demands a copy is served by a copy, and gets its pages back`, async () => {
    await using ends = await pair(options)
    const Eager = service('sealing', { snapshot: method(11, Node, text, { isolation: 'seal' }) })
    await using conn = await connect(ends.server.channel, Eager, options.client)
    using scope = conn.createScope(4096)
    const node = scope.new(Node, value(1, value(2)))
    for (const argument of [node, value(3), node]) assert.equal(await conn.snapshot(argument), 'snapshot false')
    node.id = 2
  })

  test(`${backend}: while its call is in flight a scope cannot be written, and views of it say so; after the answer they can`, async () => {
    await using ends = await pair(options)
    const { conn, go, waiting } = ends
    using scope = conn.createScope(4096)
    const node = scope.new(Node, value(1))
    const answer = conn.wait(node)
    await waiting(1)
    assert.equal(scope.isSealed, true)
    assert.equal(writable(scope.address + 4000), false)
    for (const write of [() => { node.id = 2 }, () => { node.name = 'another' }, () => node.tags.push('more'), () => { node.next = null }]) {
      const error = await errorOf(write)
      assert.ok(error instanceof SealedError)
      assert.match(error.message, /FAILED_PRECONDITION.*sealed: its call is in flight/)
    }
    for (const use of [() => scope.new(Node, value(2)), () => scope.reset(), () => scope.destroy(), () => scope.free(node)]) {
      assert.ok(await errorOf(use) instanceof SealedError)
    }
    go()
    assert.equal(await answer, 'the same')
    node.name = 'written after the answer, which releases the seal'
    assert.equal(writable(scope.address + 4000), true)
    assert.equal(scope.isSealed, false)
    scope.reset()
  })

  test(`${backend}: seals are released by themselves soon after their calls`, async () => {
    await using ends = await pair(options)
    const { conn } = ends
    using scope = conn.createScope(4096)
    await conn.sum(scope.new(Node, value(1)))
    for (let waited = 0; scope.isSealed; waited += 5) {
      assert.ok(waited < 10_000, 'the seal stays')
      await sleep(5)
    }
    assert.equal(writable(scope.address + 4000), true)
  })

  test(`${backend}: many calls at once, of plain values of all sizes, and pipelined ones`, async () => {
    await using ends = await pair(options)
    const { conn } = ends
    const long = (id: number): never => ({ id, name: 'n'.repeat(id * 40), tags: Array.from({ length: id }, () => 'tag'), next: null }) as never
    const answers = await Promise.all(Array.from({ length: 400 }, (_, i) => conn.sum(long(i))))
    assert.deepEqual(answers, Array.from({ length: 400 }, (_, i) => 2 * i))
    const pipeline = conn.pipeline('sum')
    const got: number[] = []
    for (let i = 0; i < 3000;) {
      if (pipeline.submit(value(i))) i++
      else if (pipeline.poll((one) => got.push(one)) === 0) await sleep(0)
    }
    while (pipeline.inFlight > 0) if (pipeline.poll((one) => got.push(one)) === 0) await sleep(0)
    assert.deepEqual(got, Array.from({ length: 3000 }, (_, i) => i + 1))
  })

  test(`${backend}: a pipeline that is disposed of gives back its seals, asked for, in force, or in flight`, async () => {
    await using ends = await pair({ ...options, client: { slots: 16, seals: { backend: backend as never, heapBytes: 32 * 4096 } } })
    for (let round = 0; round < 30; round++) {
      const pipeline = ends.conn.pipeline('sum')
      const submitted = (): void => {
        for (let i = 0; i < 5; i++) assert.ok(pipeline.submit(value(i)))
      }
      submitted()
      if (round % 3 > 0) pipeline.poll(() => undefined)
      submitted()
      if (round % 3 > 1) await sleep(1)
      pipeline[Symbol.dispose]()
      assert.equal(pipeline.inFlight, 0)
      // Memory and slots come back when the server has answered.
      assert.equal(await ends.conn.sum(value(round)), round + 1)
    }
    for (let i = 0; i < 40; i++) assert.equal(await ends.conn.sum(value(i)), i + 1)
  })

  test(`${backend}: a pipeline with more slots than pages waits for answers instead of failing`, async () => {
    await using ends = await pair({ ...options, client: { slots: 256, seals: { backend: backend as never, heapBytes: 16 * 4096 } } })
    const pipeline = ends.conn.pipeline('sum')
    const got: number[] = []
    let most = 0
    for (let i = 0; i < 500;) {
      if (pipeline.submit(value(i))) i++
      else if (pipeline.poll((one) => got.push(one)) === 0) await sleep(0)
      most = Math.max(most, pipeline.inFlight)
    }
    while (pipeline.inFlight > 0) if (pipeline.poll((one) => got.push(one)) === 0) await sleep(0)
    assert.deepEqual(got, Array.from({ length: 500 }, (_, i) => i + 1))
    assert.ok(most > 1 && most <= 16, `${most} in flight`)
    const tooLong = { id: 1, name: 'n'.repeat(17 * 4096), tags: [] as never, next: null } as never
    assert.throws(() => pipeline.submit(tooLong), { code: 'RESOURCE_EXHAUSTED' })
  })

  test(`${backend}: results may be the argument; errors, texts and bytes pass; a handler writes nothing`, async () => {
    await using ends = await pair(options)
    const { conn } = ends
    using echoed = await conn.echo(value(1, value(2)))
    assert.deepEqual(plain(echoed), { id: 1, name: 'the name of node 1', tags: ['a tag of some length'], next: { id: 2, name: 'the name of node 2', tags: ['a tag of some length'], next: null } })
    assert.match((await errorOf(conn.fail(value(1)))).message, /UNKNOWN: as it should/)
    assert.match((await errorOf(conn.write(value(1)))).message, /cannot be written: this memory is read-only/)
    assert.equal(await conn.text('read as a copy, so that there is nothing to seal'), 48)
    assert.equal(await conn.bytes(new Uint8Array(5000)), 5000)
    assert.equal(await conn.sum(value(4)), 5)
  })
}

test('both ends tell how strong the seals are, as it was verified', async () => {
  await using ends = await pair()
  const [theirs] = ends.server.connections
  assert.match(ends.conn.seals!.strength, /^enforced/)
  assert.deepEqual(theirs!.seals, ends.conn.seals)
  await using weak = await pair(cooperative)
  assert.deepEqual(weak.conn.seals, { strength: 'cooperative', kind: 'cooperative', except: [] })
  assert.deepEqual(weak.server.connections[0]!.seals, weak.conn.seals)
})

test('a server that demands stronger seals refuses calls that need one, and says what to do; other calls go on', async () => {
  await using ends = await pair({ server: { seals: { require: 'enforced' } } })
  const { conn, server } = ends
  assert.equal(conn.seals, undefined)
  assert.equal(server.connections[0]!.seals, undefined)
  assert.match((await errorOf(conn.sum(value(1)))).message, /FAILED_PRECONDITION.*stronger seals.*enforced except \[.*kept-file.*start the client by "rpcool run --user NUMBER -- …", as root.*require: 'enforced', except: \['kept-file'/)
  assert.equal(await conn.open(value(1)), 'none false')
  assert.equal(await conn.auto(value(1)), 'snapshot false')
  await using tolerant = await pair({ server: { seals: { require: 'enforced', except: ['kept-file', 'kept-userfaultfd', 'own-userfaultfd', 'pinned-pages', 'same-user', 'open-file', 'fork', 'remap'] } } })
  assert.equal(await tolerant.conn.told(value(1)), 'seal true')
  await using kernel = await pair({ client: cooperative.client })
  assert.match((await errorOf(kernel.conn.sum(value(1)))).message, /FAILED_PRECONDITION.*stronger seals.*, which are cooperative: leave out.*seals: \{ require: 'cooperative' \}/)
})

test('nonsense in the options is refused at once', async () => {
  assert.match((await errorOf(pair({ server: { seals: { require: 'some' as never } } }))).message, /INVALID_ARGUMENT.*seals.require/)
  assert.match((await errorOf(pair({ server: { seals: { except: ['luck' as never] } } }))).message, /INVALID_ARGUMENT.*"luck".*kept-file/)
  await using ends = await pair()
  for (const seals of [{ backend: 'magic' as never }, { heapBytes: 0 }, { heapBytes: 1.5 }]) {
    assert.match((await errorOf(connect(ends.server.channel, Sealing, { seals }))).message, /INVALID_ARGUMENT.*seals\./)
  }
})

test('without seals a call that demands one is refused on this side, naming the reason', async () => {
  await using ends = await pair({ client: { seals: { backend: 'none' } } })
  assert.equal(ends.conn.seals, undefined)
  assert.match((await errorOf(ends.conn.sum(value(1)))).message, /FAILED_PRECONDITION.*demands that its argument is sealed/)
  assert.match((await errorOf(() => ends.conn.sync.sum(value(1)))).message, /FAILED_PRECONDITION/)
  assert.equal(await ends.conn.auto(value(1)), 'snapshot false')
})

test('auto seals from the crossover on and copies below it; cooperative seals cost so little that it always seals', async () => {
  await using ground = await openCooperative({ pages: 16, descriptors: 8 })
  const set = new HeapSet((space) => new Heap(new ArrayBuffer(1 << 20), HEAPS_BASE, 1, space))
  const seals = new ArgumentSeals(ground.authority, new PageHeap(ground.memory.buffer as ArrayBuffer, ground.base, set), 2)
  const wanted = (byteLength: number, always: boolean): boolean => {
    const scope = seals.take()
    scope.allocate(byteLength)
    const argument = seals.argument(scope, always)
    argument.end()
    return argument.isWanted
  }
  assert.deepEqual([wanted(4096, false), wanted(8192, false), wanted(20_000, false), wanted(8, true)], [false, true, true, true])
  seals.lost()
  await using ends = await pair(cooperative)
  assert.equal(await ends.conn.auto(value(1)), 'seal true')
})

test('what lies in no scope, or leads out of it, cannot be sealed: refused with what to do', async () => {
  await using ends = await pair()
  const { conn } = ends
  const outside = conn.heap.new(Node, value(1))
  assert.match((await errorOf(conn.sum(outside))).message, /FAILED_PRECONDITION.*createScope/)
  assert.match((await errorOf(conn.sum(value(2, outside)))).message, /FAILED_PRECONDITION.*scope\.copyFrom/)
  using scope = conn.createScope(4096)
  assert.equal(await conn.sum(scope.new(Node, value(2, scope.copyFrom(outside)))), 5)
  conn.heap.free(outside)
})

test('one scope in two calls at once: the second is refused, and goes when the first is answered', async () => {
  await using ends = await pair()
  const { conn, go, waiting } = ends
  using scope = conn.createScope(4096)
  const node = scope.new(Node, value(1))
  const first = conn.wait(node)
  await waiting(1)
  assert.ok(await errorOf(conn.sum(node)) instanceof SealedError)
  go()
  assert.equal(await first, 'the same')
  assert.equal(await conn.sum(node), 2)
  assert.deepEqual(await Promise.all([conn.sum(node), errorOf(conn.sum(node)).then((error) => error.code)]), [2, 'FAILED_PRECONDITION'])
})

test('a scope that was destroyed is not sealed', async () => {
  await using ends = await pair()
  const scope = ends.conn.createScope(4096)
  const node = scope.new(Node, value(1))
  scope.destroy()
  assert.match((await errorOf(ends.conn.sum(node))).message, /INVALID_ARGUMENT|FAILED_PRECONDITION/)
  assert.equal(await ends.conn.sum(value(1)), 2)
})

test('a pool gives its scopes back sealed; their seals go together when another is needed', async () => {
  await using ends = await pair()
  const { conn } = ends
  using pool = conn.createScopePool({ scopeBytes: 4096, count: 32 })
  for (let round = 0; round < 10; round++) {
    const calls = Array.from({ length: 32 }, async (_, i) => {
      using scope = pool.take()
      return await conn.sum(scope.new(Node, value(i)))
    })
    assert.deepEqual(await Promise.all(calls), Array.from({ length: 32 }, (_, i) => i + 1))
  }
})

test('more seals than there are descriptors: those that are answered give theirs up; when none is, the call is refused', async () => {
  await using ends = await pair({ client: { slots: 4096, seals: { heapBytes: 16 << 20 } } })
  const { conn, go, waiting } = ends
  const inFlight = Array.from({ length: 2048 }, (_, i) => conn.wait(value(i)))
  const error = await errorOf(conn.sum(value(1)))
  assert.match(error.message, /RESOURCE_EXHAUSTED.*all 2048 seal descriptors/)
  await waiting(2048)
  go()
  assert.ok((await Promise.all(inFlight)).every((answer) => answer === 'the same'))
  assert.deepEqual(await Promise.all(Array.from({ length: 2000 }, (_, i) => conn.sum(value(i)))), Array.from({ length: 2000 }, (_, i) => i + 1))
})

test('memory for sealed arguments that is used up is an error of one call', async () => {
  await using ends = await pair({ client: { seals: { heapBytes: 65_536 } } })
  const { conn, go, waiting } = ends
  const inFlight = Array.from({ length: 16 }, (_, i) => conn.wait(value(i)))
  assert.match((await errorOf(conn.sum(value(1)))).message, /RESOURCE_EXHAUSTED.*seals\.heapBytes/)
  await waiting(16)
  go()
  await Promise.all(inFlight)
  assert.equal(await conn.sum(value(1)), 2)
  assert.match((await errorOf(conn.sum({ id: 1, name: 'x'.repeat(100_000), tags: [], next: null }))).message, /RESOURCE_EXHAUSTED/)
})

test('calls that are cancelled or late leave their pages sealed until the server has answered, and not longer', async () => {
  await using ends = await pair()
  const { conn, go, waiting } = ends
  using scope = conn.createScope(4096)
  const node = scope.new(Node, value(1))
  const tired = new AbortController()
  const first = errorOf(conn.wait(node, { signal: tired.signal }))
  await waiting(1)
  tired.abort()
  assert.equal((await first).code, 'CANCELLED')
  assert.ok(await errorOf(() => { node.id = 2 }) instanceof SealedError)
  assert.equal(writable(scope.address + 4000), false)
  go()
  for (let waited = 0; scope.isSealed; waited += 10) {
    assert.ok(waited < 20_000, 'the pages do not come back')
    await sleep(10)
  }
  node.id = 2
  // Given up before its seal is in force: the handler never runs, and the pages come back.
  const abort = new AbortController()
  const call = errorOf(conn.sum(node, { signal: abort.signal }))
  abort.abort()
  assert.equal((await call).code, 'CANCELLED')
  for (let waited = 0; scope.isSealed; waited += 10) {
    assert.ok(waited < 20_000, 'the pages do not come back')
    await sleep(10)
  }
  assert.equal(await conn.sum(node), 3)
})

test('a method that asks for no seal takes one all the same, and gives it back', async () => {
  await using ends = await pair()
  const Loose = service('sealing', { open: method(10, Node, text, { isolation: 'seal' }) })
  await using conn = await connect(ends.server.channel, Loose)
  using scope = conn.createScope(4096)
  const node = scope.new(Node, value(1))
  for (let i = 0; i < 3; i++) {
    assert.equal(await conn.open(node), 'seal true')
    node.id = i
  }
})

test('where the clients of a channel share one heap nothing is sealed: a demanded seal says so, and copies isolate', async () => {
  await using ends = await pair({ server: { sharedHeapBytes: 4 << 20 } })
  const { conn } = ends
  assert.equal(conn.seals, undefined)
  assert.match((await errorOf(conn.sum(value(1)))).message, /FAILED_PRECONDITION.*whose writers must trust each other.*snapshot/)
  assert.deepEqual([await conn.auto(value(1)), await conn.snapshot(value(1))], ['snapshot false', 'snapshot false'])
})
