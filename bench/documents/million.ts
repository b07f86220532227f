// A million documents in one store, by itself: node build/bench/documents/million.js [--count N] [--isolated]. Too long for the
// test suite; it fails when anything read is not what was stored.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openStore } from '../../apps/document-store/client.js'
import type { Json } from '../../apps/document-store/store/values.js'
import { NoBench } from '../nobench/generate.js'
import { startChild } from '../support/child.js'
import { pssBytes } from '../support/process-usage.js'
import { Workspace } from '../support/workspace.js'
import { keyOf } from './mix.js'
import { serveStore } from './rpcool.js'

const CHUNK = 10_000
const CHANNEL = 'million'

const { values } = parseArgs({ options: { count: { type: 'string', default: '1000000' }, isolated: { type: 'boolean', default: false } } })
const count = Number(values.count)
const mode = values.isolated ? 'isolated' : 'trusting'

using workspace = new Workspace()
process.env['RPCOOL_RUNTIME_DIR'] = join(workspace.directory, 'run')
await using server = startChild(serveStore, { channel: CHANNEL, mode }, { label: 'the store' })
await server.ready()
await using client = await openStore(CHANNEL)
const { sync } = client
const documents = new NoBench(count)

async function timed(what: string, work: () => void | Promise<void>): Promise<void> {
  const start = performance.now()
  await work()
  const seconds = (performance.now() - start) / 1000
  const { documents: stored, heapBytes, freeBytes } = await client.stats()
  console.log(`${what}: ${seconds.toFixed(1)} s; ${stored} documents, ${((heapBytes - freeBytes) / 2 ** 20).toFixed(0)} MiB of heap in use, ` +
    `the server's process ${(pssBytes(server.pid) / 2 ** 20).toFixed(0)} MiB`)
}

function* entries(from: number, to: number): Iterable<readonly [string, Json]> {
  for (let i = from; i < to; i++) yield [keyOf(i), documents.document(i) as unknown as Json]
}

console.log(`${mode}, ${count} documents of NoBench, made as they are stored`)
await timed('store all', async () => {
  for (let from = 0; from < count; from += CHUNK) {
    sync.putAll(entries(from, Math.min(count, from + CHUNK)))
    await new Promise((resolve) => setImmediate(resolve))
  }
})
await timed('10,000 ranges of 100 by the ordered index', () => {
  for (let i = 0; i < 10_000; i++) {
    const low = (i * 7919) % (count - 100)
    using found = sync.find({ num: { gte: low, lt: low + 100 } })
    assert.equal(found.length, 100)
  }
})
await timed('10,000 documents read back whole', () => {
  for (let i = 0; i < 10_000; i++) {
    const at = (i * 104_729) % count
    using got = sync.get(keyOf(at))
    assert.equal(JSON.stringify(got?.body), JSON.stringify(documents.document(at)))
  }
})
await timed('a count without an index', () => {
  assert.ok(Math.abs(sync.count({ bool: true }) / count - 0.5) < 0.01)
})
await timed('an index made afterwards', () => client.createIndex('thousandth', 'hash'))
await timed('every second one deleted', () => {
  for (let i = 0; i < count; i += 2) assert.ok(sync.delete(keyOf(i)))
})
await timed('those stored again', () => {
  for (let i = 0; i < count; i += 2) assert.ok(!sync.put(keyOf(i), documents.document(i) as unknown as Json))
})
assert.equal(sync.count({ thousandth: 7 }), Math.ceil((count - 7) / 1000))
await timed('all deleted', async () => {
  assert.equal(await client.clear(), count)
})
