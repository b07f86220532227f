// A client that brings memory which nobody asked for: it costs its server nothing that outlives the connection.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DaemonClient } from '../../src/control/index.js'
import { RpcError } from '../../src/index.js'
import { type EverythingConnection, Ground } from '../support/ground.js'

const ROUNDS = 5
const KINDS = ['private', 'sealable'] as const

/** Grows until it is refused, and gives every heap back at once. Returns how many came. */
async function growAll(conn: EverythingConnection, kind: (typeof KINDS)[number], byteLength: number): Promise<number> {
  const daemon = DaemonClient.shared()
  for (let count = 0; ; count++) {
    assert.ok(count < 100, 'growth has an end')
    try {
      const grant = await daemon.growConnection(conn.opened, byteLength, kind)
      grant.close()
      daemon.releaseHeap(grant)
    } catch (error) {
      assert.ok(RpcError.is(error) && ['RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION'].includes(error.code), String(error))
      return count
    }
  }
}

for (const kind of KINDS) {
  for (const [which, options] of [['its own heap', {}], ['a shared heap', { sharedHeapBytes: 4 << 20 }]] as const) {
    test(`clients with ${which} that attach ${kind} heaps and leave, again and again, leave nothing mapped`, async (t) => {
      await using ground = await Ground.open(t)
      const server = await ground.serve(options)
      const { mappings } = await ground.info(server)
      for (let round = 0; round < ROUNDS; round++) {
        const conn = await ground.connect({ heapBytes: 1 << 20 })
        // The last one as large as a heap may be.
        await growAll(conn, kind, round === ROUNDS - 1 ? 2 ** 32 : 4096)
        assert.equal(await conn.number(round), round)
        await conn.close()
      }
      ground.waitsFor = 'the server to unmap what the clients brought'
      while ((await ground.info(server)).mappings > mappings) await sleep(10)
      assert.deepEqual((await ground.info(server)).errors, [])
    })
  }
}
