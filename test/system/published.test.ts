// A heap that its server publishes: clients follow pointers into it, and none of them can change a byte of it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text as readAll } from 'node:stream/consumers'
import { test } from 'node:test'
import { addressOf, assign, connect, json, list, method, nothing, plain, ref, same, type Server, serve, service, struct, text, unsafeBytes, type View } from '../../src/index.js'
import { DaemonClient } from '../../src/control/index.js'
import { compiledProgram } from '../../bench/support/compile.js'
import { errorOf, Ground } from '../support/ground.js'
import { Library, Shelf } from '../support/published.js'

const PUBLISHER = './publisher-main.js'

test('clients read what the server published by pointer, at one address, and see what it changes', async (t) => {
  await using ground = await Ground.open(t)
  await ground.child(PUBLISHER, ground.channel)
  const [one, two] = [await ground.connectTo(Library), await ground.connectTo(Library)]
  const [left, right] = [one.sync.shelf(), two.sync.shelf()]
  assert.ok(left !== null && right !== null)
  assert.equal(addressOf(left), addressOf(right))
  assert.deepEqual(plain(left).books, [1, 2, 3])
  assert.equal(left.next?.name, 'the next')
  assert.equal(left.prices.get('one'), 1)
  two.sync.rename('renamed in place by the server')
  assert.equal(left.name, 'renamed in place by the server')
  assert.ok(same(left, one.sync.shelf()))
})

test('a client passes pointers to published objects back, by themselves and inside objects of its own', async (t) => {
  await using ground = await Ground.open(t)
  await ground.child(PUBLISHER, ground.channel)
  const conn = await ground.connectTo(Library)
  const shelf = await conn.shelf()
  assert.equal(conn.sync.countBooks(shelf), 3)
  assert.equal(await conn.countNextBooks({ name: 'mine', cover: Uint8Array.of(), next: shelf }), 3)
  const copy = conn.heap.copyFrom(shelf!)
  copy.name = 'a copy is the client\'s own'
  assert.equal(conn.sync.countBooks(copy), 3)
})

test('a client reads more text from there at once than its own heap could hold', async (t) => {
  await using ground = await Ground.open(t)
  const Archive = struct('Archive', { lines: list(text), notes: json.of<string[]>() })
  const lines = Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat(1000)}`)
  const server: Server = ground.owns(await serve(ground.channel, service('archive', { all: method(1, nothing, ref(Archive)) }), { all: () => archive }, { publishedHeapBytes: 4 << 20 }))
  const archive: View<typeof Archive> = server.published.new(Archive, { lines, notes: lines })
  const conn = ground.owns(await connect(ground.channel, service('archive', { all: method(1, nothing, ref(Archive)) }), { heapBytes: 256 << 10 }))
  const all = await conn.all()
  assert.deepEqual(plain(all), { lines, notes: lines })
  assert.equal(JSON.stringify(all), JSON.stringify({ lines, notes: lines }))
})

test('every way to write to it through views is refused, and says why', async (t) => {
  await using ground = await Ground.open(t)
  const publisher = await ground.child(PUBLISHER, ground.channel)
  const conn = await ground.connectTo(Library)
  const shelf = conn.sync.shelf()
  assert.ok(shelf !== null)
  const before = await publisher.ask('look')
  const writes: readonly (() => unknown)[] = [
    () => (shelf.name = 'mine'), () => (shelf.name = 'a text that takes a record of its own'), () => shelf.books.push(4), () => (shelf.books[0] = 9),
    () => shelf.books.pop(), () => shelf.books.clear(), () => assign(shelf, { books: [1] }), () => shelf.prices.set('one', 2), () => shelf.prices.set('two', 2),
    () => shelf.prices.delete('one'), () => shelf.prices.clear(), () => (shelf.next = null), () => assign(shelf, { cover: Uint8Array.of(4) }),
    () => unsafeBytes(shelf, 'cover'), () => conn.heap.free(shelf), () => conn.heap.free(shelf, { deep: true }),
  ]
  for (const write of writes) assert.equal((await errorOf(write)).code, 'FAILED_PRECONDITION', String(write))
  assert.deepEqual(await publisher.ask('look'), before)
})

test('what it published outlives the server for those who read it, and a channel without one says so', async (t) => {
  await using ground = await Ground.open(t)
  const publisher = await ground.child(PUBLISHER, ground.channel)
  const conn = await ground.connectTo(Library)
  const shelf = conn.sync.shelf()
  await publisher.kill()
  await conn.closed
  assert.deepEqual(plain(shelf)?.books, [1, 2, 3])
  const server = ground.owns(await serve(`${ground.channel}/plain`, Library, {
    shelf: () => null, rename: () => undefined, countBooks: () => 0, countNextBooks: () => 0,
  }))
  assert.match((await errorOf(() => server.published)).message, /publishedHeapBytes/)
})

test('after the daemon has died, newcomers still get the published heap, and cannot write to it either', async (t) => {
  await using ground = await Ground.open(t)
  await ground.child(PUBLISHER, ground.channel)
  const before = await ground.connectTo(Library)
  const { pid } = await DaemonClient.shared().connect()
  process.kill(pid, 'SIGKILL')
  await ground.until('another daemon to start', async () => (await DaemonClient.shared().connect().catch(() => undefined))?.pid !== pid)
  let after: typeof before | undefined
  await ground.until('the server to bring its channel to it', async () => {
    after = await ground.connectTo(Library).catch(() => undefined)
    return after !== undefined
  })
  const shelf = after?.sync.shelf()
  assert.ok(same(shelf, before.sync.shelf()))
  assert.equal((await errorOf(() => (shelf!.name = 'mine'))).code, 'FAILED_PRECONDITION')
})

test('server and client in one process share the mapping, and the client\'s views are read-only all the same', async (t) => {
  await using ground = await Ground.open(t)
  let shelf: View<typeof Shelf> | null = null
  const server: Server = ground.owns(await serve(ground.channel, Library, {
    shelf: () => shelf, rename: () => undefined, countBooks: () => 0, countNextBooks: () => 0,
  }, { publishedHeapBytes: 1 << 20, sharedHeapBytes: 1 << 20 }))
  shelf = server.published.new(Shelf, { name: 'here', cover: Uint8Array.of() })
  const conn = await ground.connectTo(Library)
  const read = await conn.shelf()
  assert.ok(read?.name === 'here')
  assert.equal((await errorOf(() => (read.name = 'x'))).code, 'FAILED_PRECONDITION')
  shelf.name = 'changed'
  assert.equal(read.name, 'changed')
})

test('a native client that holds the file cannot write to it by any means of the kernel', async (t) => {
  await using ground = await Ground.open(t)
  const publisher = await ground.child(PUBLISHER, ground.channel)
  const before = await publisher.ask('look')
  const daemon = DaemonClient.shared()
  const opened = await daemon.openConnection(ground.channel, { heapBytes: 65_536, controlBytes: 65_536, info: { slots: 16 } }, {})
  const published = opened.furtherHeaps[0]!
  assert.equal(published.kind, 'published')
  const attacker = spawn(await compiledProgram('test/hostile', 'published-attack'), [String(published.byteLength)], {
    stdio: ['ignore', 'pipe', 'inherit', published.fd],
  })
  ground.waitsFor = 'the attacker to end'
  const [said, [code]] = await Promise.all([readAll(attacker.stdout!), once(attacker, 'exit') as Promise<[number | null]>])
  for (const grant of [opened.control, opened.heap, published]) grant.close()
  for (const grant of [opened.heap, published]) daemon.releaseHeap(grant)
  daemon.closeConnection(opened)
  assert.equal(code, 0, said)
  assert.match(said, /^14 attacks, 0 succeeded\n$/)
  assert.deepEqual(await publisher.ask('look'), before)
  const reader = await ground.connectTo(Library)
  assert.deepEqual(plain(reader.sync.shelf())?.books, [1, 2, 3], 'newcomers can still map it')
})
