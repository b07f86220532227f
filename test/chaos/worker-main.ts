// A process of the storm: a server, or a client that allocates and calls all the time. It reports what it is told when the
// other side dies, and what it then still holds.
import assert from 'node:assert/strict'
import { connect, RpcError, serve, type View } from '../../src/index.js'
import { DaemonClient } from '../../src/control/index.js'
import { mappingCount } from '../../src/sys/index.js'
import { Everything, everyHandler, Gates, Tree } from '../support/everything.js'
import type { EverythingConnection } from '../support/ground.js'
import { openCount } from '../support/leaks.js'
import { Random } from '../support/random.js'

export interface Order {
  readonly role: 'server' | 'client'
  readonly channel: string
  readonly seed: number
  readonly sharedHeapBytes?: number
}

export type Report =
  | { readonly event: 'ready' }
  | { readonly event: 'at work' }
  | { readonly event: 'client gone', readonly pid: number, readonly crashed: boolean }
  | { readonly event: 'server gone', readonly code: string, readonly closed: string }
  | { readonly event: 'all given back' }
  | { readonly event: 'wrong', readonly why: string }

function tell(report: Report): void {
  process.send?.(report)
}

let openBefore = 0

async function untilAllIsGivenBack(mappings: number): Promise<void> {
  while (mappingCount() > mappings || openCount() > openBefore) await new Promise((resolve) => setTimeout(resolve, 1))
  tell({ event: 'all given back' })
}

async function beServer({ channel, sharedHeapBytes }: Order): Promise<void> {
  const server = await serve(channel, Everything, everyHandler(new Gates()), {
    ...(sharedHeapBytes === undefined ? {} : { sharedHeapBytes }),
    onError: (error) => tell({ event: 'wrong', why: String(error) }),
    onConnection: (connection) => {
      connection.onClose = (crashed): void => tell({ event: 'client gone', pid: connection.caller.pid, crashed })
    },
  })
  openBefore = openCount()
  process.on('message', (message: unknown) => {
    if (message === 'give back') void untilAllIsGivenBack(sharedHeapBytes === undefined ? 0 : 1)
    if (message === 'close') void server.close()
  })
  tell({ event: 'at work' })
}

function tree(random: Random): { value: number, name: string, children: { value: number, name: string }[] } {
  const children = Array.from({ length: random.below(30) }, (_, value) => ({ value, name: 'the name of a child '.repeat(random.below(4)) }))
  return { value: random.below(1000), name: 'x'.repeat(random.below(200)), children }
}

async function step(conn: EverythingConnection, random: Random, kept: View<typeof Tree>[]): Promise<void> {
  const n = random.below(1_000_000)
  switch (random.below(7)) {
    case 0:
      for (let i = 0; i < 30; i++) assert.equal(conn.sync.add({ x: n, y: i, label: 'abc' }), n + i + 3)
      break
    case 1:
      for (const [i, copy] of (await Promise.all(Array.from({ length: 20 }, (_, i) => conn.copy({ x: n, y: i, label: 'copied' })))).entries()) {
        assert.equal(copy.y, i)
        if (random.chance(2)) copy[Symbol.dispose]()
      }
      break
    case 2: {
      kept.push(conn.heap.new(Tree, tree(random)))
      if (kept.length > 20) conn.heap.free(kept.splice(random.below(kept.length), 1)[0]!, { deep: true })
      break
    }
    case 3: {
      using points = conn.sync.points(1 + random.below(200))
      assert.equal(points.items.at(-1)?.x, points.items.length - 1)
      break
    }
    case 4:
      if (kept.length > 0) {
        const one = random.one(kept)
        assert.equal(await conn.sumTree(one), one.value + one.children.reduce((sum, child) => sum + (child?.value ?? 0), 0))
      }
      break
    case 5:
      assert.equal((await conn.text('t'.repeat(n % 5000))).length, n % 5000)
      break
    default:
      await Promise.all([conn.sleep(1), conn.number(n).then((answer) => assert.equal(answer, n)), conn.sleep(0)])
  }
}

/** A daemon that was started anew learns of the channels that there are when their servers come back to it. */
async function connectPatiently(channel: string): Promise<EverythingConnection> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await connect(channel, Everything, { heapBytes: 8 << 20 })
    } catch (error) {
      if (!RpcError.is(error) || !['NOT_FOUND', 'UNAVAILABLE'].includes(error.code) || attempts > 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

async function beClient({ channel, seed }: Order): Promise<void> {
  const random = new Random(seed)
  const conn = await connectPatiently(channel)
  const kept: View<typeof Tree>[] = []
  tell({ event: 'at work' })
  let code = ''
  try {
    for (;;) {
      await step(conn, random, kept)
      // The next ones need CPU to start.
      if (random.chance(3)) await new Promise((resolve) => setTimeout(resolve, 1))
    }
  } catch (error) {
    if (!RpcError.is(error) || error.code !== 'UNAVAILABLE') throw error
    code = error.code
  }
  const closed = await conn.closed
  await conn.close()
  tell({ event: 'server gone', code, closed: closed?.code ?? 'none' })
  await untilAllIsGivenBack(0)
}

process.on('disconnect', () => process.exit(0))
process.on('message', (order: Order | string) => {
  if (typeof order === 'string') return
  const work = order.role === 'server' ? beServer(order) : beClient(order)
  work.catch((error: unknown) => tell({ event: 'wrong', why: error instanceof Error ? error.stack ?? error.message : String(error) }))
})
await DaemonClient.shared().connect()
openBefore = openCount()
tell({ event: 'ready' })
