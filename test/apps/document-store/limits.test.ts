// What one client may ask of the store: a search that would fill its memory is an error, and so is holding what others need.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openStore, type StoreClient } from '../../../apps/document-store/client.js'
import { Limbo } from '../../../apps/document-store/limbo.js'
import type { StoreConnection } from '../../../apps/document-store/link.js'
import { type Mode, serveDocuments } from '../../../apps/document-store/server.js'
import { Document, DocumentService, type DocumentView, HANDING_MAX, Reader } from '../../../apps/document-store/service.js'
import { plainDocuments } from '../../../apps/document-store/store/plain-documents.js'
import { DocumentStore } from '../../../apps/document-store/store/store.js'
import type { Json } from '../../../apps/document-store/store/values.js'
import { connect } from '../../../src/index.js'
import { locationOf } from '../../../src/objects/index.js'
import { type Commanded, errorOf, Ground } from '../../support/ground.js'

async function started(ground: Ground, mode: Mode, heapBytes: number, ...more: readonly string[]): Promise<{ server: Commanded, client: StoreClient }> {
  const server = await ground.child('../apps/document-store/server-main.js', ground.channel, mode, String(heapBytes), ...more)
  return { server, client: ground.owns(await openStore(ground.channel)) }
}

test('options of a store that mean nothing are refused: which mode was meant nobody knows, and what is no number is no limit', async () => {
  assert.match((await errorOf(serveDocuments('none', { mode: 'isolate' as never }))).message, /'trusting' or 'isolated', not isolate/)
  for (const options of [{ ownBytes: Number.NaN }, { heldMs: -1 }]) assert.equal((await errorOf(serveDocuments('none', options))).code, 'INVALID_ARGUMENT')
})

test('a join finds a million pairs at most, as many as asked for otherwise', () => {
  const store = new DocumentStore(plainDocuments)
  for (let i = 0; i < 1001; i++) store.put(`k${i}`, { key: `k${i}`, body: { a: 1, b: i } })
  assert.throws(() => store.join({ where: [] }, 'a', 'a'), (error) => error instanceof RangeError && /more than 1000000 pairs: .*limit/.test(error.message))
  assert.equal(store.join({ where: [], limit: 2000 }, 'a', 'a').length, 2000)
  store.delete('k0')
  assert.equal(store.join({ where: [] }, 'a', 'a').length, 1_000_000)
  assert.equal(store.join({ where: [] }, 'b', 'b').length, 1000)
})

test('a projection has its bounds in paths and in bytes, and the store goes on', async (t) => {
  await using ground = await Ground.open(t)
  const { client } = await started(ground, 'isolated', 64 << 20)
  let body: Json = 'x'.repeat(1 << 16)
  for (let i = 0; i < 120; i++) body = { a: body }
  for (let i = 0; i < 10; i++) client.sync.put(`k${i}`, body)
  const paths = Array.from({ length: 120 }, (_, i) => Array.from({ length: i + 1 }, () => 'a').join('.'))
  const beyond = await errorOf(client.project({}, paths))
  assert.deepEqual([beyond.code, /64 MiB at most: give a limit/.test(beyond.message)], ['RESOURCE_EXHAUSTED', true])
  const [row] = await client.project({}, paths, { limit: 1 })
  assert.equal(row?.[paths.at(-1)!], 'x'.repeat(1 << 16))
  assert.match((await errorOf(client.project({}, Array.from({ length: 257 }, (_, i) => `p${i}`)))).message, /256 paths at most, not 257/)
})

test('limbo keeps what somebody may still read, until room is needed and it has been held for long', () => {
  const freed: number[] = []
  const holder = { sent: 1, released: 0, gone: false }
  const limbo = new Limbo<number>((document) => freed.push(document), () => [holder], 100)
  limbo.addAll([1, 2])
  limbo.reclaim(60_000)
  assert.deepEqual([freed, limbo.size], [[], 2])
  limbo.reclaim(0)
  assert.deepEqual([freed, limbo.size], [[1, 2], 0])
  limbo.close()
})

for (const mode of ['trusting', 'isolated'] as const) {
  test(`${mode}: who keeps results for ever keeps a full store from new documents for a while only`, async (t) => {
    await using ground = await Ground.open(t)
    const heldMs = 300
    const { client } = await started(ground, mode, 16 << 20, String(heldMs))
    const hoarder = ground.owns(await openStore(ground.channel))
    const body = { text: 'x'.repeat(1 << 20) }
    const fill = (): number => {
      for (let i = 0; ; i++) {
        try {
          client.sync.put(`k${i}`, body)
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'RESOURCE_EXHAUSTED')
          return i
        }
      }
    }
    const count = fill()
    assert.ok(count >= 8, `${count} documents`)
    const held = hoarder.sync.find({})
    await client.clear()
    const emptied = performance.now()
    const few = fill()
    // A machine that stood still this long says nothing.
    if (performance.now() - emptied < heldMs) assert.ok(few < count / 2, `${few} of ${count} documents fit while all others are held`)
    await ground.until('room again', async () => {
      await client.clear()
      await delay(heldMs + 100)
      return fill() >= count / 2
    })
    assert.ok(held.length === count)
  })
}

for (const mode of ['trusting', 'isolated'] as const) {
  test(`${mode}: a number that is none, which a hostile client writes, spoils no order that others search by`, async (t) => {
    await using ground = await Ground.open(t)
    const { client } = await started(ground, mode, 16 << 20)
    await client.createIndex('n', 'ordered')
    const putAll = (): void => {
      for (let i = 0; i < 100; i++) client.sync.put(`k${i}`, { n: i / 4 })
    }
    putAll()
    const liar = await liarAt(ground)
    for (let i = 0; i < 40; i++) {
      const document = liar.heap.new(Document, { place: 0, key: `none ${i}`, body: { n: 0.123, list: [1] } })
      const { region, word } = locationOf(document.body as object)
      for (let at = word & ~1; at < word + 16; at += 2) if (region.f64[at / 2] === 0.123) region.f64[at / 2] = Number.NaN
      await liar.put(document)
    }
    putAll()
    for (let i = 0; i < 100; i += 7) assert.equal(client.sync.count({ n: { gte: i / 4, lt: i / 4 + 1 } }), Math.min(4, 100 - i))
    for (let i = 0; i < 40; i++) assert.equal(client.sync.delete(`none ${i}`), true)
    assert.equal(client.sync.count({ n: { gte: -Infinity } }), 100)
  })

  test(`${mode}: a search of thousands of conditions is refused as a whole`, async (t) => {
    await using ground = await Ground.open(t)
    await started(ground, mode, 16 << 20)
    const liar = await liarAt(ground)
    const where = Array.from({ length: 10_000 }, (_, i) => ({ path: `path${i}`, test: { kind: 'exists' as const, value: true } }))
    assert.match((await errorOf(liar.count({ where, limit: 1, skip: 0, ticket: 0 }))).message, /at most 64 conditions/)
  })
}

/** A client that speaks for itself. */
async function liarAt(ground: Ground): Promise<StoreConnection> {
  const liar = ground.owns(await connect(ground.channel, DocumentService))
  await liar.open(liar.heap.new(Reader, { released: 0, handing: Array.from({ length: HANDING_MAX }, () => null) }))
  return liar
}

test('trusting: a store that large documents have filled is read and emptied as before, also by who comes then', async (t) => {
  await using ground = await Ground.open(t)
  const { client } = await started(ground, 'trusting', 32 << 20)
  const body = { text: 'x'.repeat(300_000) }
  const refused = await errorOf((async () => {
    for (let i = 0; ; i++) await client.put(`k${i}`, body)
  })())
  assert.match(refused.message, /the store is full/)
  const other = ground.owns(await openStore(ground.channel))
  for (const one of [client, other]) {
    assert.ok(one.sync.count({ text: { prefix: 'x' } }) > 90)
    assert.equal(one.sync.find({}, { limit: 3 }).length, 3)
    assert.equal(one.sync.delete(one === client ? 'k0' : 'k1'), true)
  }
})

test('trusting: what a full store refused of many documents at once is freed, and how many that were', async (t) => {
  await using ground = await Ground.open(t)
  const { client } = await started(ground, 'trusting', 16 << 20)
  const put = (i: number): Promise<boolean> => client.put(`k${i}`, { text: `${i} `.repeat(1 << 12) })
  for (let i = 0; ; i++) {
    try {
      await put(i)
    } catch {
      break
    }
  }
  const before = client.heap.stats().liveBlocks
  const results = await Promise.allSettled(Array.from({ length: 100 }, (_, i) => put(100_000 + i)))
  assert.ok(results.filter(({ status }) => status === 'rejected').length > 80)
  assert.ok(client.heap.stats().liveBlocks <= before + 40, `${client.heap.stats().liveBlocks} live blocks, ${before} before`)
})

test('trusting: a projection of what points to itself many times over is refused before it is copied', async (t) => {
  await using ground = await Ground.open(t)
  const { client } = await started(ground, 'trusting', 64 << 20)
  const liar = await liarAt(ground)
  const document = liar.heap.new(Document, { place: 0, key: 'amplified', body: { list: ['x'.repeat(1 << 20), ...Array.from({ length: 199 }, (_, i) => i + 0.25)] } })
  amplify(document)
  await liar.put(document)
  const refused = await errorOf(client.project({}, ['list']))
  assert.deepEqual([refused.code, /64 MiB at most/.test(refused.message)], ['RESOURCE_EXHAUSTED', true])
})

/** All elements of its list become the first one. */
function amplify(document: DocumentView): void {
  const { list } = document.body as unknown as { list: object }
  const { region } = locationOf(document)
  const { word } = locationOf(list)
  const second = region.f64.subarray(word >> 1).indexOf(0.25) + (word >> 1)
  for (let i = 0; i < 199; i++) region.i32.copyWithin((second + i) * 2, (second - 1) * 2, second * 2)
}

test('trusting: an array of a million pointers to one text is neither indexed nor searched', async (t) => {
  await using ground = await Ground.open(t)
  const { client } = await started(ground, 'trusting', 64 << 20)
  await client.createIndex('list', 'hash')
  const liar = await liarAt(ground)
  const document = liar.heap.new(Document, { place: 0, key: 'amplified', body: { list: ['x'.repeat(1 << 20), ...Array.from({ length: 199 }, (_, i) => i + 0.25)] } })
  amplify(document)
  const refused = await errorOf(liar.put(document))
  assert.deepEqual([refused.code, /134217728 code units of text at most/.test(refused.message)], ['INVALID_ARGUMENT', true])
  assert.equal(client.sync.count({}), 0)
  client.sync.put('honest', { list: ['a', 'b'] })
  assert.equal(client.sync.count({ list: { contains: 'b' } }), 1)
})
