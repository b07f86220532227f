// A million documents, from building to deleting, in both modes: npm run million [-- --count N] [--mode trusting|isolated]. Too long for the
// test suite, which runs it with few; it fails when anything read is not what was stored, or when memory does not come back.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openStore, type StoreClient } from '../../apps/document-store/client.js'
import type { Mode } from '../../apps/document-store/server.js'
import type { Json } from '../../apps/document-store/store/values.js'
import { NoBench } from '../nobench/generate.js'
import { startChild } from '../support/child.js'
import { pssBytes } from '../support/process-usage.js'
import { Workspace } from '../support/workspace.js'
import { keyOf } from './mix.js'
import { serveStore } from './rpcool.js'

const CHUNK = 10_000
/** Of the heap, beyond what an empty store has: shapes of documents, and what allocators keep at hand. */
const KEPT_BYTES = 16 << 20

const { values } = parseArgs({ options: { count: { type: 'string', default: '1000000' }, mode: { type: 'string' } } })
const count = Number(values.count)
const looks = Math.min(10_000, count)
if (!(count > 100)) throw new RangeError('--count is more than 100')
const documents = new NoBench(count)

using workspace = new Workspace()
process.env['RPCOOL_RUNTIME_DIR'] = join(workspace.directory, 'run')
for (const mode of ['trusting', 'isolated'] as const) if (values.mode === undefined || values.mode === mode) await tryMode(mode)

function* entries(from: number, to: number): Iterable<readonly [string, Json]> {
  for (let i = from; i < to; i++) yield [keyOf(i), documents.document(i) as unknown as Json]
}

async function tryMode(mode: Mode): Promise<void> {
  const channel = `million/${mode}`
  await using server = startChild(serveStore, { channel, mode }, { label: 'the store' })
  await server.ready()
  await using client = await openStore(channel)
  console.log(`${mode}, ${count} documents of NoBench, made as they are stored`)
  const before = await usedBytes(client)
  await fill(client, async (what, work) => {
    const start = performance.now()
    await work()
    const seconds = (performance.now() - start) / 1000
    const { documents: stored } = await client.stats()
    console.log(`  ${what}: ${seconds.toFixed(1)} s; ${stored} documents, ${mib(await usedBytes(client))} MiB of heap in use, the server's process ${mib(pssBytes(server.pid))} MiB`)
  })
  const left = await usedBytes(client) - before
  console.log(`  left of the heap's use: ${mib(left)} MiB`)
  assert.ok(left <= KEPT_BYTES, `${left} bytes did not come back`)
}

/** Once everything that was deleted has been freed. */
async function usedBytes(client: StoreClient): Promise<number> {
  for (;;) {
    client.heap.collect()
    const { awaitingRelease, heapBytes, freeBytes } = await client.stats()
    if (awaitingRelease === 0) return heapBytes - freeBytes
    await sleep(20)
  }
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0)
}

type Timed = (what: string, work: () => void | Promise<void>) => Promise<void>

async function fill(client: StoreClient, timed: Timed): Promise<void> {
  const { sync } = client
  await timed('store all', async () => {
    for (let from = 0; from < count; from += CHUNK) {
      sync.putAll(entries(from, Math.min(count, from + CHUNK)))
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  await timed(`${looks} ranges of 100 by the ordered index`, () => {
    for (let i = 0; i < looks; i++) {
      const low = (i * 7919) % (count - 100)
      using found = sync.find({ num: { gte: low, lt: low + 100 } })
      assert.equal(found.length, 100)
    }
  })
  await timed(`${looks} documents read back whole`, () => {
    for (let i = 0; i < looks; i++) {
      const at = (i * 104_729) % count
      using got = sync.get(keyOf(at))
      assert.equal(JSON.stringify(got?.body), JSON.stringify(documents.document(at)))
    }
  })
  await timed('a count without an index', () => {
    assert.ok(Math.abs(sync.count({ bool: true }) / count - 0.5) < 0.01 + 2 / Math.sqrt(count))
  })
  await timed('an index made afterwards', () => client.createIndex('thousandth', 'hash'))
  await timed('every second one deleted', () => {
    for (let i = 0; i < count; i += 2) assert.ok(sync.delete(keyOf(i)))
  })
  await timed('those stored again', () => {
    for (let i = 0; i < count; i += 2) assert.ok(!sync.put(keyOf(i), documents.document(i) as unknown as Json))
  })
  assert.equal(sync.count({ thousandth: 7 }), Math.ceil((count - 7) / 1000))
  await timed('every document deleted by its key', () => {
    for (let i = 0; i < count; i++) assert.ok(sync.delete(keyOf(i)))
  })
  assert.deepEqual([sync.count({}), sync.count({ thousandth: 7 }), sync.count({ num: { gte: 0 } })], [0, 0, 0])
  await timed('some stored again, and all cleared', async () => {
    sync.putAll(entries(0, looks))
    assert.equal(await client.clear(), looks)
  })
}
