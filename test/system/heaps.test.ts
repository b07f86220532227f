// Memory of connections: what calls leave behind, full heaps, further heaps, heaps that a channel shares.
import assert from 'node:assert/strict'
import fs, { readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { test } from 'node:test'
import { connect, type HeapStats, method, nothing, plain, serve, type ServerConnection, service, struct, text, u32 } from '../../src/index.js'
import type { Address } from '../../src/base/numbers.js'
import { Everything, everyHandler, Gates, Point } from '../support/everything.js'
import { errorOf, Ground, type EverythingConnection } from '../support/ground.js'

const Stats = struct('Stats', { live: u32 })
const Probed = service('probed', {
  ...Everything.methods, live: method(200, nothing, Stats),
})

function work(conn: EverythingConnection, rounds: number): Promise<unknown> {
  const results: Promise<unknown>[] = []
  for (let i = 0; i < rounds; i++) {
    conn.sync.add({ x: i, y: i, label: 'a label that takes memory of its own' })
    conn.sync.text('t'.repeat(i % 3000))
    conn.sync.copy({ x: 1, y: 2, label: 'the same' })[Symbol.dispose]()
    conn.sync.points(i % 50)[Symbol.dispose]()
    try {
      conn.sync.fail({ code: 'ABORTED', message: 'an error whose text takes memory' })
    } catch {
      // As it should.
    }
    if (i % 10 === 0) results.push(conn.copy({ x: 3, y: 4, label: 'async' }).then((copy) => copy[Symbol.dispose]()))
  }
  return Promise.all(results)
}

test('calls leave nothing behind: the same work again takes no more memory, on either side', async (t) => {
  await using ground = await Ground.open(t)
  ground.owns(await serve(ground.channel, Probed, {
    ...everyHandler(new Gates()),
    live: (_, { heap }) => {
      heap.collect()
      return { live: heap.stats().liveBlocks }
    },
  }))
  const conn = await ground.connectTo(Probed, { heapBytes: 4 << 20, slots: 4 })
  const calls = async (): Promise<void> => {
    for (let i = 0; i < 300; i++) {
      const copies = await Promise.all([conn.copy({ x: 1, y: 2, label: 'the label of a copy' }), conn.points(i % 40), conn.copy({ x: 1, y: 2, label: '' })])
      for (const copy of copies) copy[Symbol.dispose]()
      await errorOf(conn.fail({ code: 'ABORTED', message: 'an error whose text takes memory' }))
      assert.equal(await conn.text('x'.repeat(i * 7)), 'x'.repeat(i * 7))
    }
  }
  const live = async (): Promise<readonly [number, number]> => {
    using stats = await conn.live()
    conn.heap.collect()
    return [conn.heap.stats().liveBlocks, stats.live]
  }
  await calls()
  const [client, server] = await live()
  for (let round = 0; round < 3; round++) await calls()
  const [clientAfter, serverAfter] = await live()
  assert.ok(clientAfter <= client + 4, `the client holds ${clientAfter} blocks, ${client} before`)
  assert.ok(serverAfter <= server + 4, `the server holds ${serverAfter} blocks, ${server} before`)
})

test('sync work in a small heap goes on for ever', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect({ heapBytes: 1 << 20 })
  for (let round = 0; round < 5; round++) await work(conn, 300)
})

test('a full heap is one clear error on either side; what is freed can be used again, and nothing is lost', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect({ heapBytes: 1 << 20, slots: 4 })
  /** The same after each round, once each slot has had the results whose memory the server keeps for its next ones. */
  const footprint = (): Pick<HeapStats, 'freeBytes' | 'liveBlocks'> => {
    conn.heap.collect()
    const { freeBytes, liveBlocks } = conn.heap.stats()
    return { freeBytes, liveBlocks }
  }
  let before: ReturnType<typeof footprint> | undefined
  for (let round = 0; round < 6; round++) {
    const objects: object[] = []
    const full = await errorOf(() => {
      for (;;) objects.push(conn.heap.new(Point, { x: objects.length, y: 0, label: 'an object that fills the heap, one after another' }))
    })
    assert.equal(full.code, 'RESOURCE_EXHAUSTED')
    assert.match(full.sentence, /^no room for \d+ bytes in a heap of 1048576: free what.*connection\.grow\(bytes\).*heapBytes/)
    assert.equal((await errorOf(conn.text('x'.repeat(100_000)))).code, 'RESOURCE_EXHAUSTED', 'no room for the argument')
    assert.equal((await errorOf(() => conn.sync.points(3000))).code, 'RESOURCE_EXHAUSTED', 'no room for the result')
    assert.equal(conn.sync.number(5), 5, 'what needs no memory works')
    for (const [i, one] of objects.entries()) {
      assert.equal((one as { x: number }).x, i)
      conn.heap.free(one)
    }
    conn.heap.collect()
    const points = conn.sync.points(1000)
    assert.equal(points.items.length, 1000)
    points[Symbol.dispose]()
    conn.sync.nothing()
    if (round >= 2) before ??= footprint()
    if (before !== undefined) assert.deepEqual(footprint(), before, `round ${round}`)
  }
})

test('a heap that fills with results which nobody gave back says so; one that a channel shares names its own option', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve({ sharedHeapBytes: 1 << 20 })
  const conn = await ground.connect()
  const held: Disposable[] = []
  const { code, sentence } = await errorOf(() => {
    for (;;) held.push(conn.sync.points(20))
  })
  assert.equal(code, 'RESOURCE_EXHAUSTED')
  const [, blocks, remedy] = /in a heap of 1048576: (\d+) blocks hold arguments and results of calls: give results back \(`using`\); (.*)$/.exec(sentence) ?? []
  assert.match(remedy ?? '', /sharedHeapBytes/)
  assert.ok(!remedy!.includes('heapBytes)'), remedy)
  assert.ok(Math.abs(Number(blocks) - held.length) <= 64, `${blocks} blocks, ${held.length} results`)
  for (const one of held) one[Symbol.dispose]()
})

test('a connection grows by further heaps, which both ends use', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect({ heapBytes: 1 << 20 })
  assert.equal((await errorOf(conn.text('x'.repeat(3 << 20)))).code, 'RESOURCE_EXHAUSTED')
  await conn.grow(16 << 20)
  assert.equal((await conn.text('x'.repeat(3 << 20))).length, 3 << 20)
  assert.equal((await conn.blob(2 << 20)).length, 2 << 20)
  const points = await conn.points(20_000)
  assert.equal(points.items.length, 20_000)
  assert.equal(plain(points.items.at(-1))?.x, 19_999)
  points[Symbol.dispose]()
})

test('a heap of a channel is shared by its connections: what one makes, another reads by the same pointer', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve({ sharedHeapBytes: 32 << 20 })
  const one = await ground.connect()
  const two = await ground.connect()
  const point = one.heap.new(Point, { x: 20, y: 22, label: '' })
  assert.equal(one.sync.add(one.sync.echo(point)), 42)
  assert.ok(one.heap.stats().liveBlocks > 0 && two.heap.stats().liveBlocks >= 0)
  one.heap.free(point)
  const before = await server.ask('sharedStats') as HeapStats
  for (let round = 0; round < 30; round++) {
    const conn = await connect(ground.channel, Everything)
    for (let i = 0; i < 20; i++) {
      assert.equal(conn.sync.add({ x: i, y: 1, label: 'an argument in the shared heap' }), i + 31)
      ;(await conn.copy({ x: 1, y: 2, label: 'a result in the shared heap' }))[Symbol.dispose]()
    }
    await conn.close()
  }
  await ground.until('the clients\' ends to be noticed', async () => (await ground.info(server)).connections === 2)
  const after = await server.ask('sharedStats') as HeapStats
  assert.ok(after.liveBlocks <= before.liveBlocks + 8, `${after.liveBlocks} live blocks in the shared heap, ${before.liveBlocks} before 30 clients came and went`)
})

const Named = service('named', { name: method(1, text, text) })

/** Of the heap at an address, in this process: what the kernel has noted and what it reports. Source: proc_pid_smaps(5). */
function smapsOf(address: Address): { readonly asked: boolean, readonly hugeBytes: number } {
  const [entry = ''] = new RegExp(`^${address.toString(16)}-.*\\n(?:[A-Z].*\\n?)*`, 'm').exec(readFileSync('/proc/self/smaps', 'latin1')) ?? []
  const [, kilobytes = 'none'] = /^ShmemPmdMapped: *(\d+) kB$/m.exec(entry) ?? []
  return { asked: /^VmFlags:.* hg\b/m.test(entry), hugeBytes: Number(kilobytes) * 1024 }
}

for (const hugePages of [false, true]) {
  test(`huge pages are ${hugePages ? '' : 'not '}asked for where the server ${hugePages ? 'wants' : 'says nothing of'} them, and it learns how many there are`, async (t) => {
    await using ground = await Ground.open(t)
    const connections: ServerConnection[] = []
    ground.owns(await serve(ground.channel, Everything, everyHandler(new Gates()), {
      ...(hugePages ? { hugePages } : {}), onConnection: (connection) => connections.push(connection),
    }))
    const conn = await ground.connect({ heapBytes: 16 << 20 })
    assert.equal((await conn.text('x'.repeat(6 << 20))).length, 6 << 20)
    const [connection] = connections
    const { address } = conn.opened.heap
    const { asked, hugeBytes } = smapsOf(address)
    t.diagnostic(`${hugeBytes >> 20} MiB of huge pages`)
    assert.equal(asked, hugePages)
    assert.ok(connections.length === 1 && connection !== undefined)
    assert.equal(connection.hugePageBytes, hugeBytes)
    assert.equal(conn.hugePageBytes, hugeBytes)
    if (!hugePages) return
    // This machine may give none: what the kernel would say then is shown to be read.
    t.mock.method(fs, 'readFileSync', () => `${address.toString(16)}-${(address + (16 << 20)).toString(16)} rw-s\nShmemPmdMapped:     4096 kB\nVmFlags: rd hg\n`)
    syncBuiltinESMExports()
    t.after(syncBuiltinESMExports)
    assert.deepEqual([connection.hugePageBytes, conn.hugePageBytes], [4 << 20, 4 << 20])
    t.mock.restoreAll()
  })
}

test('heaps of different services and channels live side by side in one process', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  ground.owns(await serve(`${ground.channel}/named`, Named, { name: (value) => `${value}!` }))
  const conn = await ground.connect()
  const named = await ground.connectTo(Named, {}, `${ground.channel}/named`)
  assert.equal(await named.name(conn.sync.text('hello')), 'hello!')
})
