// A client all of whose shared memory is rewritten while its sealed and copied calls run, until it is told to stop. Arguments: channel, what is
// rewritten, seed.
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

/** What is used most lies at the start of these. */
export const HOT_BYTES = { 'seal descriptors': 4096, 'sealed pages': 8 * 4096, 'heap': 64 << 10 } as const

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
let stopped = false
const figures = { connections: 0, answers: 0, errors: 0, rings: 0, unexpected: [] as string[] }
const fault = (error: unknown): void => void figures.unexpected.push(error instanceof Error ? error.stack ?? error.message : String(error))

function preyOf(conn: Attacked, open: ObjectScope, targets: readonly string[]): Prey[] {
  const { heap: pages } = Reflect.get(conn.end, 'seals') as ArgumentSeals
  const heaps = conn.heaps.set.heaps.map(({ region }) => ({ address: region.high * 2 ** 32 + (region.lowOf(region.shift) >>> 0), byteLength: region.words * 4 }))
  const all: Record<string, Omit<Prey, 'name'>[]> = {
    'control region': [{ address: conn.control.address, byteLength: conn.control.buffer.byteLength, pauseUs: CONTROL_PAUSE_US }],
    'seal requests': mappingsOf('seal-requests').map((range) => ({ ...range, pauseUs: CONTROL_PAUSE_US })),
    // Writable only in private: what a sender can do to its own copy.
    'seal descriptors': mappingsOf('seal-descriptors').map((range) => ({ ...range, hotBytes: HOT_BYTES['seal descriptors'] })),
    // The scopes lie at its start. In the page that is never sealed nobody waits.
    'sealed pages': [{ address: pages.address, byteLength: pages.byteLength, hotBytes: HOT_BYTES['sealed pages'] }, { address: open.address, byteLength: open.byteLength }],
    // The allocator's words, and the objects that come first.
    'heap': heaps.map((heap) => ({ ...heap, hotBytes: HOT_BYTES['heap'] })),
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

async function attack(channel: string, targets: readonly string[], seed: number): Promise<void> {
  const random = new Random(seed)
  while (!stopped) {
    const turn = performance.now() + TURN_MS
    try {
      await attackOnce(channel, targets, random, () => stopped || performance.now() > turn)
    } catch (error) {
      if (!RpcError.is(error)) fault(error)
    }
  }
}

if (process.send !== undefined) {
  const [channel = '', target = '', seed = '1'] = process.argv.slice(2)
  const told = (): MutationFigures => ({ ...figures, writes, unexpected: figures.unexpected.slice(0, 5) })
  let attacking = Promise.resolve()
  process.on('disconnect', () => process.exit(0))
  process.on('message', ({ id, command }: { readonly id: number, readonly command: string }) => {
    if (command === 'attack') attacking = attack(channel, target === 'everything' ? TARGETS : [target], Number(seed))
    stopped ||= command === 'stop'
    if (stopped) void attacking.then(() => process.send?.({ id, result: told() }))
    else process.send?.({ id, result: told() })
  })
  process.send({ id: 0, result: null })
}
