// Clients die after each of the stores by which they hand something over: what they hand over is there or not, whole, and nothing of it is lost.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { openStore, type StoreClient } from '../../../apps/document-store/client.js'
import { Ground } from '../../support/ground.js'
import { AFTER, after, before, keysOf, nameOf, type Report } from './hand-over.js'
import { servedTested } from './served.js'

/** Larger ones are dearer to map, a connection each. */
const HEAP_BYTES = 24 << 20
/** Of what is done, every how manieth store somebody dies after. A document of a trusting store is built where it stays. */
const STRIDES = {
  trusting: { building: { put: 2, putAll: 20 }, built: { put: 1, putAll: 1, replace: 3, update: 15 } },
  isolated: { building: {}, built: { put: 15, replace: 40, update: 40 } },
} as const
/** What a death costs a heap that all share while a document is built, and no longer: its block and body, and a key that is a record. */
const BLOCKS: Readonly<Record<string, number>> = { put: 2, replace: 3, putAll: 3 }
/** The place of a document is noted by so many stores. */
const NOTED_BY = 2

interface Stats {
  readonly liveBlocks: number
  readonly ownedBytes: number
  readonly freeBytes: number
  readonly awaitingRelease: number
  readonly clients: number
}

for (const mode of ['trusting', 'isolated'] as const) {
  test(`${mode}: a client dies after each store of a hand-over`, async (t) => {
    await using ground = await Ground.open(t)
    const directory = mkdtempSync(join(tmpdir(), 'rpcool-deaths'))
    try {
      const server = await ground.child('../apps/document-store/server-main.js', ground.channel, mode, String(HEAP_BYTES))
      const client = ground.owns(await openStore(ground.channel))
      /** Of the store's heap: blocks that are live there, and bytes that are the living's or nobody's. */
      const look = async (): Promise<Stats & { readonly live: number, readonly bytes: number }> => {
        const stats = await server.ask('stats') as Stats
        // Not for this end to take over: what the dead had built for calls would stay.
        client.heap.collect()
        const mine = mode === 'trusting' ? client.heap.stats() : { liveBlocks: 0, ownedBytes: 0 }
        return { ...stats, live: stats.liveBlocks + mine.liveBlocks, bytes: stats.ownedBytes + mine.ownedBytes + stats.freeBytes }
      }
      const { bytes: heapBytes } = await look()
      const settled = async (): Promise<number> => {
        let blocks = 0
        await ground.until('the dead to be noticed, what they held to go, and their memory to be taken over', async () => {
          const { awaitingRelease, clients, bytes, live } = await look()
          blocks = live
          return awaitingRelease === 0 && clients === 1 && bytes === heapBytes
        })
        return blocks
      }
      // The lists of keys of all documents become shapes, which stay.
      for (const what of ['replace', 'update', 'putAll']) for (let i = 0; i < 3; i++) client.sync.put(`${what} ${i}`, after(what, `${what} ${i}`))
      await client.createIndex('version', 'ordered')
      await client.createIndex('text', 'hash')
      await client.clear()
      let blocks = await settled()
      for (const phase of ['building', 'built'] as const) {
        if (Object.keys(STRIDES[mode][phase]).length === 0) continue
        const path = join(directory, phase)
        const victims = await ground.child('../apps/document-store/dying-main.js', ground.channel, path, JSON.stringify(STRIDES[mode][phase]), phase)
        ground.waitsFor = 'all victims to die'
        await victims.ended()
        const reports = JSON.parse(readFileSync(path, 'utf8')) as readonly Report[]
        await settled()
        const seen = checkHandedOver(reports, client)
        if (phase === 'built') assert.ok(seen.before > 4 && seen.after > 4, `${seen.before} had not happened, ${seen.after} had`)
        await client.clear()
        const live = await settled()
        const lost = live - blocks
        blocks = live
        // What is not noted yet, nobody else knows of.
        const unnoted = reports.filter(({ what, kill }) => mode === 'trusting' && what !== 'update' && (phase === 'building' || kill! < NOTED_BY))
        const most = unnoted.reduce((sum, { what }) => sum + BLOCKS[what]!, 0)
        t.diagnostic(reports.map(({ what, kill, done }) => `${what} ${kill}${done ? '!' : ''}`).join(', '))
        t.diagnostic(`${phase}: ${reports.length} deaths, ${unnoted.length} of them before the document was noted; ${lost} blocks lost`)
        assert.ok(lost <= most, `${lost} blocks are lost, ${most} at most could be`)
      }
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
}

function checkHandedOver(reports: readonly Report[], client: StoreClient): { readonly before: number, readonly after: number } {
  const tested = servedTested(client)
  const seen = { before: 0, after: 0 }
  for (const { what, kill, done } of reports) {
    const name = nameOf(what, kill ?? Infinity)
    for (const key of keysOf(what, name)) {
      const found = tested.get(key)
      const isAfter = isDeepStrictEqual(found, after(what, key))
      if (!isAfter) assert.deepStrictEqual(found, before(what, key), `${name}: ${key} is neither what it was nor what it was to be`)
      if (done) assert.ok(isAfter, `${name} was answered, and has not happened`)
      seen[isAfter ? 'after' : 'before']++
      if (found === undefined) continue
      const { text } = found as { readonly text: string }
      assert.ok(tested.find({ text }).some(([one]) => one === key), `${name}: the index does not find it`)
    }
  }
  assert.equal(tested.count({ version: { lte: AFTER } }), tested.find({}).length)
  return seen
}
