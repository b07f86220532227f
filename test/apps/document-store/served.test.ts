// The store behind its server, in both modes: the same histories and queries as over plain objects, and what is its own.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import { addressOf, assign, connect, json, plain, same, struct, text, u32 } from '../../../src/index.js'
import { locationOf } from '../../../src/objects/index.js'
import { Document, DocumentService, type DocumentView, HANDING_MAX, Reader, RUN_PLACES, runOf, RUNS } from '../../../apps/document-store/service.js'
import type { Json } from '../../../apps/document-store/store/values.js'
import { openStore, type StoreClient } from '../../../apps/document-store/client.js'
import { type Commanded, errorOf, Ground } from '../../support/ground.js'
import { follow, history } from './histories.js'
import { runQueries } from './nobench.js'
import { servedTested } from './served.js'

const SERVER = '../apps/document-store/server-main.js'

interface Stats {
  readonly documents: number
  readonly liveBlocks: number
  readonly awaitingRelease: number
}

async function statsOf(server: Commanded): Promise<Stats> {
  return await server.ask('stats') as Stats
}

for (const mode of ['trusting', 'isolated'] as const) {
  const started = async (ground: Ground, heapBytes = 64 << 20): Promise<{ server: Commanded, client: StoreClient }> => {
    const server = await ground.child(SERVER, ground.channel, mode, String(heapBytes))
    const client = ground.owns(await openStore(ground.channel))
    assert.equal(client.mode, mode)
    return { server, client }
  }

  test(`${mode}: the store does what a Map does, and leaves no memory behind`, async (t) => {
    await using ground = await Ground.open(t)
    const { server, client } = await started(ground)
    const tested = servedTested(client)
    await fc.assert(fc.asyncProperty(history, (operations) => follow(tested, operations)), { numRuns: 25 })
    await ground.until('everything deleted to be freed', async () => (await statsOf(server)).awaitingRelease === 0)
    const before = await statsOf(server)
    await fc.assert(fc.asyncProperty(history, (operations) => follow(tested, operations)), { numRuns: 40 })
    await ground.until('everything deleted to be freed', async () => (await statsOf(server)).awaitingRelease === 0)
    const after = await statsOf(server)
    assert.ok(after.liveBlocks <= before.liveBlocks + 20, `${after.liveBlocks} live blocks, ${before.liveBlocks} before`)
  })

  test(`${mode}: every reader gets a pointer to the one document, and an update leaves it where it lies`, async (t) => {
    await using ground = await Ground.open(t)
    const { client } = await started(ground)
    const other = ground.owns(await openStore(ground.channel))
    client.sync.put('a', { text: 'a text that takes a record', n: 1, inner: { deep: [1, 2] } })
    const placeOf = (reader: StoreClient): readonly number[] => {
      using got = reader.sync.get('a')
      using results = reader.sync.find({})
      const [found] = [...results]
      return [addressOf(got!.body as object), addressOf(found!.body as object)]
    }
    const [first] = placeOf(client)
    assert.deepEqual([...placeOf(client), ...placeOf(other)], [first, first, first, first])
    client.sync.update('a', 'n', 2)
    assert.deepEqual(placeOf(other), [first, first])
    await client.createIndex('n', 'ordered')
    const found: number[] = []
    client.sync.findAll([{ n: 2 }, { n: { gte: 1 } }], (results) => {
      for (const { body } of results) found.push(addressOf(body as object))
    })
    using pairs = await other.join({ n: 2 }, 'n', 'n')
    for (const { left, right } of pairs) found.push(addressOf(left.body as object), addressOf(right.body as object))
    assert.deepEqual(found, [first, first, first, first])
  })

  test(`${mode}: NoBench`, async (t) => {
    await using ground = await Ground.open(t)
    const { client } = await started(ground)
    await runQueries(servedTested(client), async (name, run) => {
      await t.test(name, run)
    })
  })

  test(`${mode}: a result holds its documents until it is given back, and then they go`, async (t) => {
    await using ground = await Ground.open(t)
    const { server, client } = await started(ground)
    const other = ground.owns(await openStore(ground.channel))
    client.sync.put('a', { text: 'the first, a text that takes a record', n: 1 })
    client.sync.put('b', { text: 'the second', n: 2 })
    const results = client.sync.find({})
    const got = client.sync.get('a')
    other.sync.delete('a')
    other.sync.put('b', { text: 'another' })
    await ground.until('the server to look whether they may go', async () => (await statsOf(server)).awaitingRelease === 2)
    assert.deepEqual(Array.from(results, ({ key }) => key).sort(), ['a', 'b'])
    assert.ok(got !== undefined)
    assert.equal((got.body as { text: string }).text, 'the first, a text that takes a record')
    results[Symbol.dispose]()
    await new Promise((resolve) => setTimeout(resolve, 150))
    assert.equal((await statsOf(server)).awaitingRelease, 2, 'the older ticket is still held')
    got[Symbol.dispose]()
    await ground.until('both to be freed', async () => (await statsOf(server)).awaitingRelease === 0)
    assert.equal(client.sync.count({}), 1)
  })

  test(`${mode}: a client that is killed lets go of what it held`, async (t) => {
    await using ground = await Ground.open(t)
    const { server, client } = await started(ground)
    client.sync.put('a', { n: 1 })
    const holder = await ground.child('../apps/document-store/holder-main.js', ground.channel)
    client.sync.delete('a')
    await ground.until('the server to look', async () => (await statsOf(server)).awaitingRelease === 1)
    await new Promise((resolve) => setTimeout(resolve, 120))
    assert.equal((await statsOf(server)).awaitingRelease, 1, 'it waits as long as the other lives')
    await holder.kill()
    await ground.until('it to be freed', async () => (await statsOf(server)).awaitingRelease === 0)
  })

  test(`${mode}: bulk loads and bulk searches, awaited calls and their errors`, async (t) => {
    await using ground = await Ground.open(t)
    const { client } = await started(ground)
    client.sync.putAll(Array.from({ length: 500 }, (_, i) => [`k${i}`, { i, odd: i % 2 === 1 }] as const))
    assert.equal(await client.count({ odd: true }), 250)
    const found: number[] = []
    client.sync.findAll(Array.from({ length: 300 }, (_, i) => ({ i })), (results, index) => {
      assert.equal(results.length, 1)
      assert.equal(results.at(0)?.key, `k${index}`)
      found.push(index)
    })
    assert.deepEqual(found, Array.from({ length: 300 }, (_, i) => i))
    assert.equal(await client.put('k1', { i: 'replaced' }), true)
    using got = await client.get('k1')
    assert.ok(got !== undefined)
    assert.equal((got.body as { i: string }).i, 'replaced')
    assert.equal(await client.get('none'), undefined)
    for (const options of [{ lmit: 1 }, { limit: -1 }, { limit: 1.5 }, { skip: Infinity }] as object[]) {
      await assert.rejects(client.find({}, options), RangeError)
      assert.throws(() => client.sync.find({}, options), RangeError)
    }
    using limited = await client.find({ odd: true }, { limit: 3, skip: 1 })
    assert.equal(limited.length, 3)
    assert.equal(await client.update('k2', 'i', { nested: [1, 'two'] }), true)
    assert.deepEqual(await client.project({ i: { exists: true }, odd: false }, ['i.nested'], { limit: 1000 }).then((rows) => rows.filter((row) => 'i.nested' in row)), [{ 'i.nested': [1, 'two'] }])
    await client.createIndex('i', 'ordered')
    assert.deepEqual(await client.indexes(), [{ path: 'i', kind: 'ordered' }])
    assert.match((await errorOf(client.createIndex('', 'hash'))).message, /a path is 1 to/)
    assert.equal((await errorOf(client.createIndex('x', 'tree' as 'hash'))).code, 'INVALID_ARGUMENT')
    assert.equal((await errorOf(client.update('k3', 'i.j', 1))).code, 'INVALID_ARGUMENT')
    const stats = await client.stats()
    assert.equal(stats.documents, 500)
    assert.ok(stats.freeBytes > 0 && stats.freeBytes < stats.heapBytes)
    assert.equal(await client.clear(), 500)
  })

  test(`${mode}: a bulk load in which something is no document keeps what came before, and loses no memory`, async (t) => {
    await using ground = await Ground.open(t)
    const { server, client } = await started(ground)
    function* entries(bad: number): Iterable<readonly [string, Json]> {
      for (let i = 0; i < 1000; i++) yield [`k${i}`, i === bad ? { i, bad: 1n as unknown as Json } : { i, text: `number ${i}, a text that takes a record` }]
    }
    const load = async (): Promise<Stats> => {
      assert.throws(() => client.sync.putAll(entries(777)), /bigint/)
      assert.equal(client.sync.count({}), 777)
      assert.equal(await client.clear(), 777)
      await ground.until('everything deleted to be freed', async () => (await statsOf(server)).awaitingRelease === 0)
      return await statsOf(server)
    }
    const before = await load()
    for (let i = 0; i < 5; i++) assert.ok((await load()).liveBlocks <= before.liveBlocks)
    client.sync.putAll(entries(-1))
    assert.equal(client.sync.count({}), 1000)
  })

  test(`${mode}: a bulk load that does not fit is an error, and what was not taken is freed`, async (t) => {
    await using ground = await Ground.open(t)
    const { client } = await started(ground, 2 << 20)
    const load = async (): Promise<number> => {
      assert.throws(() => client.sync.putAll(Array.from({ length: 5000 }, (_, i) => [`k${i}`, { text: 'x'.repeat(1000), i }] as const)),
        (error: { code: string }) => error.code === 'RESOURCE_EXHAUSTED')
      return await client.clear()
    }
    const first = await load()
    assert.ok(first > 100)
    for (let i = 0; i < 5; i++) {
      const again = await load()
      assert.ok(again > first / 2, `${again} documents, ${first} at first`)
    }
  })

  test(`${mode}: a full heap is an error, and what is deleted makes room again`, async (t) => {
    await using ground = await Ground.open(t)
    const { client } = await started(ground, 2 << 20)
    const fill = (): number => {
      for (let i = 0; ; i++) {
        try {
          client.sync.put(`k${i}`, { text: 'x'.repeat(1000), i })
        } catch (error) {
          assert.ok((error as { code: string }).code === 'RESOURCE_EXHAUSTED', String(error))
          return i
        }
      }
    }
    const first = fill()
    assert.ok(first > 100)
    assert.equal(client.sync.count({}), first)
    await client.clear()
    const again = fill()
    assert.ok(again > first / 2, `${again} documents, ${first} at first`)
  })
}

/** The same document as its bytes are, with a body that answers with proxies. */
const Loose = struct('Document', { place: u32, key: text, body: json.of<Tree>() })
interface Tree {
  [name: string]: unknown
  list: unknown[]
  inner: Tree
}

test('isolated: a client writes nothing through any view of a stored document, however it tries', async (t) => {
  await using ground = await Ground.open(t)
  await ground.child(SERVER, ground.channel, 'isolated', String(16 << 20))
  const client = ground.owns(await openStore(ground.channel))
  const body = { n: 1, name: 'a text that takes a record', list: [3, 'one', 2], inner: { list: [1], inner: null } }
  client.sync.put('a', body)
  using got = client.sync.get('a')
  const { document } = got!
  const quick = document.body as Tree
  const loose = client.heap.at(Loose, addressOf(document))
  const tree = loose.body
  const writes: Readonly<Record<string, () => unknown>> = {
    'a key': () => { document.key = 'b' },
    'a number of the struct': () => { document.place = 7 },
    'the body': () => { document.body = null },
    'the body, by value': () => assign(document, { body: { other: 1 } }),
    'fast: a value': () => { quick['n'] = 2 },
    'fast: a new key': () => { quick['fresh'] = 'another text, and long enough' },
    'fast: a key taken out': () => { quick['n'] = undefined },
    'fast: deeper': () => { quick.inner['n'] = { n: 1 } },
    'fast: an element': () => (quick.list as unknown as { set(index: number, value: unknown): void }).set(0, 4),
    'fast: an element behind the end': () => (quick.list as unknown as { set(index: number, value: unknown): void }).set(9, 4),
    'a value': () => { tree['n'] = 2 },
    'a text': () => { tree['name'] = 'another text, and long enough' },
    'a new key': () => { tree['fresh'] = [] },
    'a key taken out': () => delete tree['n'],
    'a key defined': () => Object.defineProperty(tree, 'n', { value: 5, writable: true, enumerable: true, configurable: true }),
    'assigned keys': () => Object.assign(tree, { n: 9 }),
    'deeper': () => { tree.inner.list[0] = 2 },
    'an element': () => { tree.list[1] = null },
    'an element behind the end': () => { tree.list[7] = 1 },
    'an element taken out': () => Reflect.deleteProperty(tree.list, 1),
    'length, shorter': () => { tree.list.length = 1 },
    'length, longer': () => { tree.list.length = 5 },
    'push': () => tree.list.push(1),
    'pop': () => tree.list.pop(),
    'shift': () => tree.list.shift(),
    'unshift': () => tree.list.unshift(1),
    'splice': () => tree.list.splice(1, 1),
    'sort': () => tree.list.sort((a, b) => Number(a) - Number(b)),
    'reverse': () => { tree.list.reverse() },
    'fill': () => tree.list.fill(0),
    'free': () => client.heap.free(document),
  }
  const place = addressOf(tree)
  for (const [what, write] of Object.entries(writes)) {
    const { code, message } = await errorOf(write)
    assert.match(`${code}: ${message}`, /^FAILED_PRECONDITION.*(cannot be written: this memory is read-only here; heap\.copyFrom.*|only the server frees what is there)$/, what)
    assert.deepStrictEqual([plain(loose), addressOf(loose.body)], [{ place: 0, key: 'a', body }, place], what)
  }
  const other = ground.owns(await openStore(ground.channel))
  using seen = other.sync.get('a')
  assert.deepStrictEqual(plain(seen!.body as object), body)
  assert.equal(client.sync.update('a', 'n', 2), true)
  assert.equal((seen!.body as Tree)['n'], 2)
})

test('isolated: what a client stores past its views changes pages of its own, which nobody else sees', async (t) => {
  await using ground = await Ground.open(t)
  await ground.child(SERVER, ground.channel, 'isolated', String(16 << 20))
  const client = ground.owns(await openStore(ground.channel))
  const body = { n: 1, name: 'a text that takes a record', list: [3, 'one', 2] }
  for (const key of ['a', 'b']) client.sync.put(key, body)
  using got = client.sync.get('a')
  const { region, word } = locationOf(got!.document)
  // All of the heap that the documents lie in.
  region.i32.fill(-1)
  assert.equal(region.i32[word], -1)
  const main = fileURLToPath(new URL('../../../apps/document-store/main.js', import.meta.url))
  const printed = (key: string): unknown => JSON.parse(execFileSync(process.execPath, [main, 'get', key, '--channel', ground.channel], { encoding: 'utf8' }))
  assert.deepStrictEqual([printed('a'), printed('b')], [body, body])
  const rows = async (n: number): Promise<unknown> => client.project({ n }, ['n', 'name', 'list'])
  assert.deepStrictEqual(await rows(1), [body, body])
  assert.equal(client.sync.update('a', 'n', 2), true)
  client.sync.put('c', body)
  assert.deepStrictEqual([await rows(2), await rows(1)], [[{ ...body, n: 2 }], [body, body]])
  assert.deepStrictEqual([printed('a'), printed('c')], [{ ...body, n: 2 }, body])
})

test('trusting: a run of places that are empty, spoiled or not there is refused, and its other documents are put', async (t) => {
  await using ground = await Ground.open(t)
  await ground.child(SERVER, ground.channel, 'trusting', String(64 << 20))
  const client = ground.owns(await openStore(ground.channel))
  const liar = ground.owns(await connect(ground.channel, DocumentService))
  assert.equal((await errorOf(liar.putRun(runOf(0, 1)))).code, 'FAILED_PRECONDITION')
  const reader = liar.heap.new(Reader, { released: 0, handing: Array.from({ length: HANDING_MAX }, () => null) })
  await liar.open(reader)
  const hand = (place: number, key: string): DocumentView => {
    const document = liar.heap.new(Document, { place: 0, key, body: { key } })
    reader.handing.set(place, document)
    return document
  }
  const first = hand(3, 'a')
  const second = hand(5, 'b')
  assert.match((await errorOf(liar.putRun(runOf(3, 3)))).message, /no document in place 4/)
  assert.equal(client.sync.count({}), 2)
  for (const [key, document] of [['a', first], ['b', second]] as const) {
    using got = client.sync.get(key)
    assert.ok(same(got!.document, document), 'it stays where the client built it')
  }
  assert.ok([3, 4, 5].every((place) => reader.handing.at(place) === null))
  const single = liar.heap.new(Document, { place: 0, key: 'single', body: { text: 'a text that takes a record' } })
  assert.equal(await liar.put(single), false)
  using found = client.sync.find({ text: 'a text that takes a record' })
  assert.ok(same(found.at(0), single) && found.length === 1)
  assert.equal(client.sync.delete('single'), true)
  hand(0, 'c')
  const { region, word } = locationOf(hand(1, 'spoiled'))
  hand(2, 'd')
  region.i32[word] = 0x1234_5678
  assert.match((await errorOf(liar.putRun(runOf(0, 3)))).message, /expected an object of struct Document/)
  assert.equal(client.sync.count({}), 4)
  for (const run of [runOf(HANDING_MAX, 1), runOf(HANDING_MAX - 1, 2), 0xffff_ffff]) assert.equal((await errorOf(liar.putRun(run))).code, 'INVALID_ARGUMENT')
  await liar.putRun(runOf(9, 0))
  assert.equal(client.sync.count({}), 4)
})

test('trusting: entries that put in bulk themselves are served, and refused before they would wait for each other', async (t) => {
  await using ground = await Ground.open(t)
  await ground.child(SERVER, ground.channel, 'trusting', String(64 << 20))
  const client = ground.owns(await openStore(ground.channel))
  let deepest = 0
  function* nested(depth: number): Iterable<readonly [string, Json]> {
    yield [`first ${depth}`, { depth }]
    deepest = Math.max(deepest, depth)
    if (depth < 40) client.sync.putAll(nested(depth + 1))
    yield [`last ${depth}`, { depth }]
  }
  assert.throws(() => client.sync.putAll(nested(0)), /entries of other ones/)
  assert.ok(deepest > 4 && deepest < 40, `${deepest} deep`)
  client.sync.putAll([['after', { depth: -1 }]])
  assert.equal(client.sync.count({ depth: -1 }), 1)
})

test('trusting: what is put without an answer may still be taken over: the client frees none of it, and uses its places again', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.child(SERVER, ground.channel, 'trusting', String(64 << 20))
  const client = ground.owns(await openStore(ground.channel, { timeoutMs: 100 }))
  const patient = ground.owns(await openStore(ground.channel))
  const entry = (key: string): readonly [string, Json] => [key, { key, text: `the text of ${key}, which takes a record` }]
  const many = Array.from({ length: RUNS * RUN_PLACES }, (_, i) => entry(`many ${1000 + i}`))
  for (let round = 0; round < 2; round++) {
    server.process.kill('SIGSTOP')
    try {
      assert.throws(() => client.sync.put(...entry('first')), { code: 'DEADLINE_EXCEEDED' })
      assert.throws(() => client.sync.putAll(many), { code: 'DEADLINE_EXCEEDED' })
      // In the place of whatever is freed.
      for (let i = 0; i < 50; i++) client.heap.new(Document, { place: 0, key: 'other', body: entry(`other ${i}`)[1] })
    } finally {
      server.process.kill('SIGCONT')
    }
    await ground.until('the store to carry out what was given up', () => patient.sync.count({}) === 1 + many.length)
    assert.deepStrictEqual(servedTested(patient).find({}), [entry('first'), ...many])
    await patient.clear()
  }
})
