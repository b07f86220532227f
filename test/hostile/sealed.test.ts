// A client that seals in truth and lies in its requests: no handler sees an argument change, its server takes no harm and keeps nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { DaemonClient } from '../../src/control/index.js'
import { HEAPS_PER_OWNER_MAX } from '../../src/control/protocol/limits.js'
import { RpcError, serve, type ServerCall, type View } from '../../src/index.js'
import { errorOf, Ground } from '../support/ground.js'
import { newSeed } from '../support/random.js'
import { makeShaky, reading, type Shaky } from './isolated-service.js'
import { SealAttacked } from './sealed-service.js'

const MS = 2500
/** Methods that demand seals. */
const SEALED: ReadonlySet<string> = new Set(['atOnce', 'later'])

test('a client that lies about its seals harms nobody', async (t) => {
  await using ground = await Ground.open(t)
  const changed: string[] = []
  const served = new Map<string, number>()
  const failures: string[] = []
  const note = (call: ServerCall, isSame: boolean): number => {
    served.set(call.isolation, (served.get(call.isolation) ?? 0) + 1)
    if (!isSame && call.isolation !== 'none') changed.push(call.isolation)
    // Whatever the client says of its argument: what is demanded is there, or the handler is not called.
    const demanded = SEALED.has(call.method) ? 'seal' : call.method === 'copied' ? 'snapshot' : call.isolation
    if (call.isolation !== demanded) changed.push(`${call.method} was served by ${call.isolation}`)
    return isSame ? 1 : 0
  }
  const twice = (node: View<typeof Shaky>, call: ServerCall): number => note(call, reading(node) === reading(node))
  const server = await serve(ground.channel, SealAttacked, {
    atOnce: twice, open: twice, copied: twice,
    later: async (node, call) => {
      const before = reading(node)
      for (let i = 0; i < 5; i++) await turn()
      return note(call, reading(node) === before)
    },
    word: (value) => value,
    words: (value) => value.length,
    back: (node) => node,
  }, { onError: (error) => void failures.push(String(error)) })
  try {
    const seed = newSeed()
    t.diagnostic(`RPCOOL_SEED=${seed}`)
    const good = await ground.connectTo(SealAttacked)
    assert.match(good.seals!.strength, /^enforced/)
    const attacker = await ground.child('../hostile/sealed-attacker-main.js', ground.channel, String(seed), String(MS))
    let over = false
    ground.waitsFor = 'the attack to end'
    const attack = (attacker.ask('attack') as Promise<{ requests: number, connections: number, mappings: number }>).finally(() => (over = true))
    let rounds = 0
    for (; !over; rounds++) {
      assert.equal(await good.later(makeShaky(7) as never), 1)
      await turn()
    }
    const { requests, connections, mappings } = await attack
    t.diagnostic(`${requests} requests on ${connections} connections, ${[...served].map(([how, count]) => `${how} ${count}`).join(', ')}, ${rounds} calls of the good client`)
    assert.equal(mappings, 0, 'the attacker itself leaks nothing')
    assert.deepEqual(changed, [])
    assert.deepEqual(failures.filter((one) => !one.startsWith('RpcError')).slice(0, 3), [])
    assert.ok((served.get('seal') ?? 0) > 10 && rounds > 10 && requests > 20)
    await attacker.kill()
    await ground.until('its connections to go', () => server.connectionCount === 1)
  } finally {
    await server.close()
  }
})

test('clients that bring memory for seals twice, huge, or for a sealer that never hears of it, leave nothing', async (t) => {
  await using ground = await Ground.open(t)
  const server = await serve(ground.channel, SealAttacked, {
    atOnce: () => 1, later: () => 1, open: () => 1, copied: () => 1, word: (value) => value, words: () => 1, back: (node) => node,
  })
  try {
    const daemon = DaemonClient.shared()
    for (const seals of [{ backend: 'none' }, {}] as const) {
      for (const byteLength of [PAGE_BYTES, 2 ** 32]) {
        const conn = await ground.connectTo(SealAttacked, { seals })
        for (let i = 0; i < HEAPS_PER_OWNER_MAX; i++) {
          try {
            const grant = await daemon.growConnection(conn.opened, byteLength, 'sealable')
            grant.close()
            daemon.releaseHeap(grant)
          } catch (error) {
            assert.ok(RpcError.is(error) && error.code === 'RESOURCE_EXHAUSTED', String(error))
            break
          }
        }
        assert.equal(await conn.word(byteLength >>> 1), byteLength >>> 1)
        // Those that are sealed still are; of the others the server says that they are not.
        if (conn.seals === undefined) assert.equal((await errorOf(conn.atOnce(makeShaky(1) as never))).code, 'FAILED_PRECONDITION')
        else assert.equal(await conn.atOnce(makeShaky(1) as never), 1)
        await conn.close()
      }
    }
    await ground.until('the connections to go', () => server.connectionCount === 0)
  } finally {
    await server.close()
  }
})
