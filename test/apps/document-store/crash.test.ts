// Clients are killed at any instruction, again and again: the store stays as consistent as it was.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { plain } from '../../../src/index.js'
import { openStore, type StoreClient } from '../../../apps/document-store/client.js'
import { type Commanded, Ground } from '../../support/ground.js'
import { bodyOf, KEYS, TAGS, textOf } from './churn.js'
import { servedTested } from './served.js'
import { at } from './tested.js'
import type { Json } from '../../../apps/document-store/store/values.js'

const KILLS = 6
const AT_ONCE = 3
const SERVER = '../apps/document-store/server-main.js'
const CHURN = '../apps/document-store/churn-main.js'
/** What one death may cost a shared heap: a document that was being built (its block, object and key). */
const BLOCKS_PER_DEATH = 3
/** Lists of keys of the documents: each leaves one shape in the heap. */
const SHAPES = 8

interface Stats {
  readonly documents: number
  readonly liveBlocks: number
  readonly awaitingRelease: number
  readonly clients: number
}

for (const mode of ['trusting', 'isolated'] as const) {
  test(`${mode}: ${KILLS} clients die by SIGKILL in the middle of their work, and documents and indexes are whole`, async (t) => {
    await using ground = await Ground.open(t)
    const server = await ground.child(SERVER, ground.channel, mode, String(64 << 20))
    const client = ground.owns(await openStore(ground.channel))
    const tested = servedTested(client)
    await client.createIndex('tag', 'hash')
    await client.createIndex('version', 'ordered')
    const stats = async (): Promise<Stats> => await server.ask('stats') as Stats
    const settled = async (): Promise<Stats> => {
      await ground.until('the dead to be noticed, and what they held to go', async () => {
        const { awaitingRelease, clients } = await stats()
        return awaitingRelease === 0 && clients === 1
      })
      return stats()
    }
    tested.put('k0', bodyOf('k0', 1))
    await client.clear()
    const empty = await settled()
    const alive: Commanded[] = []
    for (let kill = 0; kill < KILLS; kill++) {
      while (alive.length < AT_ONCE) alive.push(await ground.child(CHURN, ground.channel, String(7919 * (kill + alive.length + 1))))
      await sleep(20 + (kill * 37) % 90)
      const victim = alive.splice(kill % AT_ONCE, 1)[0]
      ground.waitsFor = 'a killed client to end'
      await victim?.kill()
      check(tested.find({}), 'among living clients')
    }
    for (const one of alive) await one.kill()
    await settled()
    const documents = tested.find({})
    check(documents, 'at the end')
    assert.ok(documents.length > KEYS / 10, `${documents.length} documents`)
    for (let tag = 0; tag < TAGS; tag++) {
      const expected = documents.filter(([, body]) => (body as { tag: string }).tag === `t${tag}`)
      assert.deepStrictEqual(tested.find({ tag: `t${tag}` }), expected, 'the hash index says what is there')
    }
    const expected = documents.filter(([, body]) => (body as { version: number }).version < 500)
    assert.deepStrictEqual(tested.find({ version: { lt: 500 } }), expected, 'the ordered index says what is there')
    await checkIndexes(client, documents)
    // Those that ask for something, and are dead before the answer.
    for (const asks of ['index', 'clear']) {
      await assert.rejects(ground.child(CHURN, ground.channel, '1', asks), /SIGKILL/)
      await settled()
      const left = tested.find({})
      t.diagnostic(`after one that asks for ${asks}: ${left.length} documents, ${(await client.indexes()).length} indexes`)
      assert.ok(left.length === documents.length || (asks === 'clear' && left.length === 0), `${left.length} of ${documents.length} documents`)
      await checkIndexes(client, left)
    }
    await client.clear()
    const after = await settled()
    const lost = after.liveBlocks - empty.liveBlocks
    t.diagnostic(`${lost} blocks more than before ${KILLS + AT_ONCE - 1} deaths`)
    assert.ok(lost <= SHAPES + (mode === 'trusting' ? (KILLS + AT_ONCE) * BLOCKS_PER_DEATH : 0), `${lost} blocks are lost`)
  })
}

for (const mode of ['trusting', 'isolated'] as const) {
  for (const step of [1, 50]) {
    test(`${mode}: what was acknowledged, ${step === 1 ? 'one by one' : 'in bulk'}, is there after the client was killed, whole and in the indexes`, async (t) => {
      await using ground = await Ground.open(t)
      await ground.child(SERVER, ground.channel, mode, String(256 << 20))
      const client = ground.owns(await openStore(ground.channel))
      await client.createIndex('version', 'ordered')
      const directory = mkdtempSync(join(tmpdir(), 'acknowledged-'))
      try {
        let acknowledged = 0
        for (let kill = 0; kill < 4; kill++) {
          const file = join(directory, String(kill))
          const victim = await ground.child('../apps/document-store/acknowledged-main.js', ground.channel, file, String(step))
          const returned = (): number => {
            const written = readFileSync(file)
            return written.length === 0 ? 0 : written.readInt32LE(0)
          }
          await ground.until('the client to be at work', () => returned() > 2 * step)
          await sleep(60 + kill * 53)
          await victim.kill()
          const count = returned()
          acknowledged += count
          for (let version = 0; version < count; version++) {
            using got = client.sync.get(`k${version}`)
            assert.ok(got !== undefined, `k${version} of ${count} acknowledged ones`)
            assert.deepStrictEqual(plain(got.body as object), bodyOf(`k${version}`, version))
          }
          assert.equal(client.sync.count({ version: { lt: count } }), count)
          const more = client.sync.count({}) - count
          assert.ok(more <= step, `${more} that nobody was told of`)
          await client.clear()
        }
        t.diagnostic(`${acknowledged} documents were acknowledged`)
      } finally {
        rmSync(directory, { recursive: true })
      }
    })
  }
}

test('trusting: twenty clients that die at rest, one after the other, leave nothing', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.child(SERVER, ground.channel, 'trusting', String(64 << 20))
  const client = ground.owns(await openStore(ground.channel))
  const dies = async (seed: number): Promise<void> => {
    const victim = await ground.child(CHURN, ground.channel, String(seed), '100')
    await victim.kill()
  }
  const footprint = async (): Promise<Stats> => {
    await client.clear()
    await ground.until('the dead to be noticed, and what they held to go', async () => {
      const { awaitingRelease, clients } = await server.ask('stats') as Stats
      return awaitingRelease === 0 && clients === 1
    })
    return await server.ask('stats') as Stats
  }
  // They leave the shapes of all documents.
  for (let i = 0; i < 3; i++) await dies(i + 1)
  const before = await footprint()
  for (let i = 0; i < 20; i++) await dies(i + 10)
  const after = await footprint()
  assert.ok(after.liveBlocks <= before.liveBlocks + 1, `${after.liveBlocks} live blocks, ${before.liveBlocks} before twenty deaths`)
})

/** What each index finds of each value is what a look at all documents finds. */
async function checkIndexes(client: StoreClient, documents: readonly (readonly [string, Json])[]): Promise<void> {
  const tested = servedTested(client)
  for (const { path } of await client.indexes()) {
    const valueOf = (body: Json): Json | undefined => at(body, path)
    for (const value of new Set(documents.map(([, body]) => valueOf(body)))) {
      const isArray = Array.isArray(value)
      if (typeof value === 'object' && !isArray) continue
      const sought = isArray ? value[1]! as string : value as string
      const expected = documents.filter(([, body]) => {
        const found = valueOf(body)
        return Array.isArray(found) ? found.includes(sought) : found === sought
      })
      assert.deepStrictEqual(tested.find({ [path]: isArray ? { contains: sought } : sought }), expected, `the index of ${path} says what is there`)
    }
  }
}

/** Every document is what somebody stored, whole. */
function check(documents: readonly (readonly [string, Json])[], when: string): void {
  for (const [key, body] of documents) {
    const { version, touched, ...rest } = body as { version: number, touched?: string } & Record<string, Json>
    assert.deepStrictEqual({ version, ...rest }, { ...bodyOf(key, version) }, `${key}, ${when}`)
    assert.equal(rest['text'], textOf(key, version))
    if (touched !== undefined) assert.match(touched, /^by \d+, a text that takes a record, \d+$/)
  }
}
