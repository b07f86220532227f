// Documents of a trusting store that another client spoils while they are searched: values or errors, and the store goes on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RpcError } from '../../../src/index.js'
import { openStore } from '../../../apps/document-store/client.js'
import { type PlainDocument, plainDocuments } from '../../../apps/document-store/store/plain-documents.js'
import { DocumentStore } from '../../../apps/document-store/store/store.js'
import { Ground } from '../../support/ground.js'
import { newSeed } from '../../support/random.js'
import { bodyOf } from './churn.js'
import { servedTested } from './served.js'

const DOCUMENTS = 300
const SPOILING_MS = 700

test('a client that spoils what is stored costs others errors at worst, and what it does not own is whole', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.child('../apps/document-store/server-main.js', ground.channel, 'trusting', String(24 << 20))
  const client = ground.owns(await openStore(ground.channel, { timeoutMs: 10_000 }))
  const tested = servedTested(client)
  const keys = Array.from({ length: DOCUMENTS }, (_, i) => `k${i}`)
  client.sync.putAll(keys.map((key, i) => [key, bodyOf(key, i)] as const))
  await client.createIndex('tag', 'hash')
  await client.createIndex('version', 'ordered')
  const seed = newSeed()
  const spoiler = await ground.child('../apps/document-store/spoiler-main.js', ground.channel, String(seed))
  const counts = { values: 0, errors: 0 }
  let n = 0
  const works: ReadonlyArray<() => unknown> = [
    () => tested.find({ tag: `t${n % 10}` }), () => tested.find({ version: { gte: n % 200, lt: n % 200 + 20 } }), () => tested.find({ 'nested.deep.flag': true }),
    () => tested.count({ text: { prefix: 'k1' } }), () => tested.get(`k${n % DOCUMENTS}`), () => client.sync.update(`k${n % DOCUMENTS}`, 'version', n), () => client.sync.update(`k${n % DOCUMENTS}`, 'tag', 'a tag that takes a record'),
    () => client.sync.put(`k${n % DOCUMENTS}`, bodyOf(`k${n % DOCUMENTS}`, n)), () => client.sync.delete(`k${n * 7 % DOCUMENTS}`), () => tested.group({}, 'tag'), () => tested.project({ tag: 't1' }, ['text', 'nested']), () => tested.join({ tag: 't1' }, 'tag', 'tag'),
  ]
  // A busy machine has time for few; the ground's watchdog ends what goes on for ever.
  for (const end = Date.now() + SPOILING_MS; Date.now() < end || counts.values <= 10 || counts.errors <= 10; n++) {
    try {
      await works[n % works.length]!()
      counts.values++
    } catch (error) {
      assert.ok(RpcError.is(error), `RPCOOL_SEED=${seed}: ${error instanceof Error ? error.stack : String(error)}`)
      assert.notEqual(error.code, 'DEADLINE_EXCEEDED')
      assert.notEqual(error.code, 'UNAVAILABLE')
      counts.errors++
    }
  }
  await spoiler.kill()
  t.diagnostic(`${counts.values} values, ${counts.errors} errors`)
  await client.clear()
  await ground.until('the spoiler to be noticed', async () => (await server.ask('stats') as { clients: number }).clients === 1)
  // With other keys: what a heap has learnt of how objects look (its shapes) a spoiler may have spoiled for good.
  const fresh = (i: number): { readonly fresh: number, readonly tag: string, readonly label: string } => ({ fresh: i, tag: `t${i % 10}`, label: `the label of ${i}` })
  client.sync.putAll(keys.map((key, i) => [key, fresh(i)] as const))
  assert.deepStrictEqual(tested.find({ tag: 't3' }), keys.map((key, i) => [key, fresh(i)] as const).filter(([, { tag }]) => tag === 't3').toSorted(([a], [b]) => a < b ? -1 : 1))
  assert.equal(tested.count({ fresh: { lt: 100 } }), 100)
})

test('a document that is spoiled in the moment of its update is in no index with what it was, and comes back with what it will be', () => {
  let spoiled = false
  const store = new DocumentStore<PlainDocument>({
    ...plainDocuments,
    body: (document) => {
      if (spoiled) throw new RpcError('INVALID_ARGUMENT', 'the document is damaged')
      return plainDocuments.body(document)
    },
  })
  store.createIndex('n', 'ordered')
  store.createIndex('tag', 'hash')
  for (let n = 0; n < 3; n++) store.put(`k${n}`, { key: `k${n}`, body: { n, tag: 'same' } })
  const ofN = (value: number): number => store.count([{ path: 'n', kind: 'equals', value }])
  spoiled = true
  assert.throws(() => store.update('k1', 'n', 7), RpcError)
  assert.deepEqual([ofN(1), ofN(7), store.count([{ path: 'tag', kind: 'equals', value: 'same' }])], [0, 0, 3])
  spoiled = false
  assert.equal(store.update('k1', 'n', 8), true)
  assert.deepEqual([ofN(1), ofN(7), ofN(8)], [0, 0, 1])
  assert.notEqual(store.delete('k1'), undefined)
  assert.deepEqual([ofN(8), store.size], [0, 2])
})
