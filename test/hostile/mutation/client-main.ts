// A client all of whose shared memory is rewritten while its sealed and copied calls run. Arguments: channel, what is rewritten, seed, milliseconds.
import { connect, type Connection, type ObjectScope, RpcError } from '../../../src/index.js'
import { ControlWord, Line } from '../../../src/layout/control-layout.js'
import type { ArgumentSeals } from '../../../src/safety/index.js'
import { addon } from '../../../src/sys/index.js'
import { Random } from '../../support/random.js'
import { makeShaky, Shaky } from '../isolated-service.js'
import { SealAttacked } from '../sealed-service.js'
import { mappingsOf, type Prey, Scribblers, type Writes } from './scribblers.js'

export type Target = 'control region' | 'seal requests' | 'seal descriptors' | 'sealed pages' | 'heap' | 'doorbell'
export const TARGETS: readonly Target[] = ['control region', 'seal requests', 'seal descriptors', 'sealed pages', 'heap', 'doorbell']

export interface MutationFigures {
  readonly connections: number
  readonly answers: number
  readonly errors: number
  readonly rings: number
  readonly writes: Writes
  /** What came of calls that was neither. */
  readonly unexpected: readonly string[]
}

const TURN_MS = 500
/** A line of the control region is used by every call: rewritten all the time it would let none through. */
const CONTROL_PAUSE_US = 300

type Attacked = Connection<typeof SealAttacked.methods>

const writes: Writes = {}
const figures = { connections: 0, answers: 0, errors: 0, rings: 0, unexpected: [] as string[] }
const fault = (error: unknown): void => void figures.unexpected.push(error instanceof Error ? error.stack ?? error.message : String(error))

function preyOf(conn: Attacked, open: ObjectScope, targets: readonly string[]): Prey[] {
  const { heap: pages } = Reflect.get(conn.end, 'seals') as ArgumentSeals
  const first = conn.heaps.set.heaps[0]!.region
  const address = first.high * 2 ** 32 + (first.lowOf(first.shift) >>> 0)
  const all: Record<string, Omit<Prey, 'name'>[]> = {
    'control region': [{ address: conn.control.address, byteLength: conn.control.buffer.byteLength, pauseUs: CONTROL_PAUSE_US }],
    'seal requests': mappingsOf('seal-requests').map((range) => ({ ...range, pauseUs: CONTROL_PAUSE_US })),
    // Writable only in private: what a sender can do to its own copy.
    'seal descriptors': mappingsOf('seal-descriptors').map((range) => ({ ...range, byteLength: 4096 })),
    // The scopes lie at its start. In the page that is never sealed nobody waits.
    'sealed pages': [{ address: pages.address, byteLength: 8 * 4096 }, { address: open.address, byteLength: open.byteLength }],
    // The allocator's words, and the objects that come first.
    'heap': [{ address, byteLength: 64 << 10 }],
  }
  return targets.flatMap((name) => (all[name] ?? []).map((one) => ({ name, ...one })))
}

async function call(work: () => Promise<number>): Promise<void> {
  try {
    // Which answer it is the server judges: here it may be rewritten.
    await work()
    figures.answers++
  } catch (error) {
    if (RpcError.is(error)) figures.errors++
    else fault(error)
  }
}

async function attackOnce(channel: string, targets: readonly string[], random: Random, over: () => boolean): Promise<void> {
  const conn = await connect(channel, SealAttacked, { slots: 16, heapBytes: 1 << 20, timeoutMs: 200, connectTimeoutMs: 2000 })
  figures.connections++
  let gone = false
  void conn.closed.then(() => (gone = true))
  const { fd } = Reflect.get(conn.end, 'doorbell') as { readonly fd: number }
  const scopes = Array.from({ length: 5 }, () => conn.createScope(4096))
  const scribblers = await Scribblers.start(process.pid, conn.seals === undefined ? [] : preyOf(conn, scopes[4]!, targets), TURN_MS, random.word() >>> 1)
  try {
    while (!gone && !over()) {
      const calls: Promise<void>[] = []
      for (const [i, scope] of scopes.entries()) {
        try {
          scope.reset()
          const node = scope.new(Shaky, makeShaky(i) as never)
          calls.push(call(() => conn[i === 4 ? 'open' : random.one(['atOnce', 'later', 'copied'] as const)](node)))
        } catch (error) {
          // Sealed still, or rewritten already.
          if (!RpcError.is(error)) fault(error)
        }
      }
      calls.push(call(() => conn.copied(makeShaky(9) as never)), call(() => conn.atOnce(makeShaky(9) as never)))
      if (targets.includes('doorbell')) {
        for (let i = random.below(20); i >= 0 && !gone; i--, figures.rings++) {
          if (random.chance(2)) Atomics.store(new Int32Array(conn.control.buffer), ControlWord.CLIENT_LINE + Line.WAITING, random.below(3))
          addon.ringDoorbell(fd)
        }
      }
      await Promise.all(calls)
      await new Promise((resolve) => setImmediate(resolve))
    }
  } finally {
    await scribblers.stop(writes)
    await conn.close()
  }
}

async function attack(channel: string, targets: readonly string[], seed: number, ms: number): Promise<MutationFigures> {
  const end = performance.now() + ms
  const random = new Random(seed)
  while (performance.now() < end) {
    const turn = Math.min(end, performance.now() + TURN_MS)
    try {
      await attackOnce(channel, targets, random, () => performance.now() > turn)
    } catch (error) {
      if (!RpcError.is(error)) fault(error)
    }
  }
  return { ...figures, writes, unexpected: figures.unexpected.slice(0, 5) }
}

if (process.send !== undefined) {
  const [channel = '', target = '', seed = '1', ms = '1000'] = process.argv.slice(2)
  process.on('disconnect', () => process.exit(0))
  process.on('message', ({ id }: { readonly id: number }) => {
    void attack(channel, target === 'everything' ? TARGETS : [target], Number(seed), Number(ms)).then((result) => process.send?.({ id, result }))
  })
  process.send({ id: 0, result: null })
}
