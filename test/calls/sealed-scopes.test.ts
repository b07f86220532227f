// Scopes of sealed arguments at their limits: all of the memory in one, none left, and scopes that are gone.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bytes, connect, type Connection, method, serve, service, struct, u32, type View } from '../../src/index.js'
import { errorOf } from '../support/ground.js'
import { writable } from '../support/writable.js'

const Load = struct('ScopeLoad', { id: u32, body: bytes })
const Scoped = service('sealed scopes', {
  read: method(1, Load, u32, { isolation: 'seal' }),
  hold: method(2, Load, u32, { isolation: 'seal' }),
})
const PAGES = 16
const HEAP_BYTES = PAGES * 4096
const CONNECTION_BYTES = 256 << 10

interface Ends {
  readonly conn: Connection<typeof Scoped.methods>
  readonly go: () => void
  readonly waiting: () => number
}

let channels = 0

async function open(t: TestContext): Promise<Ends> {
  const waiting: (() => void)[] = []
  const sum = (node: View<typeof Load>): number => node.id + node.body.reduce((total, one) => total + one, 0)
  const server = await serve(`scopes/${process.pid}/${++channels}`, Scoped, {
    read: sum,
    hold: async (node) => {
      await new Promise<void>((resolve) => waiting.push(resolve))
      return sum(node)
    },
  })
  t.after(() => server.close())
  const conn = await connect(server.channel, Scoped, { heapBytes: CONNECTION_BYTES, seals: { heapBytes: HEAP_BYTES } })
  t.after(() => conn.close())
  assert.match(conn.seals!.strength, /^enforced/)
  return { conn, go: () => waiting.splice(0).forEach((resolve) => resolve()), waiting: () => waiting.length }
}

const pagesAt = (address: number): boolean[] => Array.from({ length: PAGES }, (_, i) => writable(address + i * 4096 + 4095))

test('one scope of all the memory: every page is sealed while its call is in flight, and comes back', async (t) => {
  const { conn, go, waiting } = await open(t)
  using scope = conn.createScope(HEAP_BYTES)
  const node = scope.new(Load, { id: 1, body: new Uint8Array(HEAP_BYTES - 4096).fill(1) })
  assert.ok(scope.usedBytes > HEAP_BYTES - 4096, 'its objects lie in all pages')
  const call = conn.hold(node)
  while (waiting() === 0) await sleep(1)
  assert.deepEqual(new Set(pagesAt(scope.address)), new Set([false]))
  // What else is made lies elsewhere, and cannot be sealed; a plain value has no room.
  using other = conn.createScope(4096)
  assert.match((await errorOf(conn.read(other.new(Load, { id: 1, body: new Uint8Array(1) })))).message, /FAILED_PRECONDITION.*createScope/)
  assert.match((await errorOf(conn.read({ id: 1, body: new Uint8Array(1) }))).message, /RESOURCE_EXHAUSTED.*seals\.heapBytes/)
  go()
  assert.equal(await call, 1 + HEAP_BYTES - 4096)
  node.id = 2
  assert.deepEqual(new Set(pagesAt(scope.address)), new Set([true]))
  // What it asked with is spoilt by now.
  assert.ok(await conn.read(node) > 0)
})

test('scopes until none is left: a clear error, and one that is given back is there again', async (t) => {
  const { conn } = await open(t)
  const scopes: ReturnType<typeof conn.createScope>[] = []
  const error = await errorOf(() => {
    for (;;) scopes.push(conn.createScope(4096))
  })
  assert.equal(error.code, 'RESOURCE_EXHAUSTED')
  assert.ok(scopes.length > PAGES && scopes.length <= PAGES + CONNECTION_BYTES / 4096, 'those of the connection\'s own heap came, too')
  assert.equal((await errorOf(conn.read({ id: 1, body: new Uint8Array(1) }))).code, 'RESOURCE_EXHAUSTED', 'a plain value needs a scope')
  assert.equal((await errorOf(() => conn.createScope(HEAP_BYTES))).code, 'RESOURCE_EXHAUSTED')
  scopes.shift()!.destroy()
  using again = conn.createScope(4096)
  assert.equal(await conn.read(again.new(Load, { id: 3, body: new Uint8Array(2).fill(1) })), 5)
  for (const scope of scopes) scope.destroy()
})

test('a scope that was destroyed, or reset, is not sealed, nor is who has its pages now', async (t) => {
  const { conn } = await open(t)
  for (const end of ['destroy', 'reset'] as const) {
    const old = conn.createScope(4096)
    const stale = old.new(Load, { id: 1, body: new Uint8Array(4).fill(1) })
    const { address } = old
    old[end]()
    const heir = end === 'reset' ? old : conn.createScope(4096)
    assert.equal(heir.address, address, 'the pages have another owner')
    if (end === 'destroy') {
      for (const error of [await errorOf(conn.read(stale)), await errorOf(() => conn.sync.read(stale))]) {
        assert.ok(['INVALID_ARGUMENT', 'FAILED_PRECONDITION'].includes(error.code), error.message)
      }
    }
    assert.equal(writable(address + 4000), true, 'nothing was sealed')
    const fresh = heir.new(Load, { id: 7, body: new Uint8Array(3).fill(1) })
    assert.equal(await conn.read(fresh), 10)
    heir.destroy()
  }
})
