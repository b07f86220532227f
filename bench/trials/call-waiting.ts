import { connect } from 'rpcool'
import { DaemonClient } from '../../src/control/index.js'
import { ECHO_HANDLER } from '../peers/echo-handler.js'
import { netUds } from '../peers/net-uds.js'
import { openPeer } from '../peers/open.js'
import { interleave, loopContender, oneAfterTheOther, summaryOf, type BatchSummary } from '../support/batches.js'
import { startChild } from '../support/child.js'
import { sleep } from '../support/clock.js'
import type { CpuPair } from '../support/cpus.js'
import { startHog } from '../support/hog.js'
import { C_YIELD_LIMIT, yieldLimit } from '../support/limits.js'
import { CpuMeter } from '../support/process-usage.js'
import { program } from '../support/program.js'
import { sparsePass, type SparseFigures } from '../support/sparse.js'
import { median } from '../support/statistics.js'
import { callServer, TYPED_CHANNEL } from './call-server.js'
import { CallService } from './call-service.js'
import type { Plan } from './plans.js'

export interface SparseComparison {
  readonly ours: SparseFigures
  readonly net_uds: SparseFigures
}

interface Argument {
  readonly cpus: CpuPair
  readonly plan: Plan
  readonly directory: string
}

/** Runs on the calling side's CPU: one `await`ed call every 10 ms, by the library and over net.Socket, alternating. */
export const measureSparse = program<Argument, void, SparseComparison>(
  import.meta.url,
  'measureSparse',
  async ({ cpus, plan, directory }) => {
    const passes: SparseComparison[] = []
    for (let i = 0; i < SPARSE_PASSES; i++) {
      const seconds = plan.sparseSeconds / SPARSE_PASSES
      // One at a time: the other's server would share the CPU and its timers.
      passes.push({ ours: await sparseCalls(cpus, directory, seconds), net_uds: await sparseSocket(cpus, seconds) })
    }
    const middle = [...passes].sort((a, b) => a.ours.rtt_mean_ns / a.net_uds.rtt_mean_ns - b.ours.rtt_mean_ns / b.net_uds.rtt_mean_ns)
    return middle[passes.length >> 1]!
  },
)
const SPARSE_PASSES = 3

async function sparseCalls(cpus: CpuPair, directory: string, seconds: number): Promise<SparseFigures> {
  await using server = startChild(callServer, { directory, beside: 'nothing' as const }, { label: 'the sparse server', cpu: cpus.answerer })
  const { pid } = await server.ready()
  await using connection = await connect(TYPED_CHANNEL, CallService)
  return await sparsePass(() => connection.noop(), pid, seconds)
}

async function sparseSocket(cpus: CpuPair, seconds: number): Promise<SparseFigures> {
  await using peer = await openPeer(netUds, { handlerModule: ECHO_HANDLER, cpu: cpus.answerer })
  return await sparsePass(() => peer.client.noop(), peer.serverPid, seconds)
}

export interface OneCoreComparison {
  readonly sync: BatchSummary
  readonly async: BatchSummary
  readonly net_uds: BatchSummary
  /** Two processes that hand the CPU over with sched_yield; beside a hog that is no limit, so it is not run there. */
  readonly c_yield_limit?: BatchSummary
}

/** Runs on the one CPU, as both servers do. */
export const measureOneCore = program<Argument & { readonly hog: boolean }, void, OneCoreComparison>(
  import.meta.url,
  'measureOneCore',
  async ({ cpus, plan, directory, hog }) => {
    const cpu = cpus.caller
    await using server = startChild(callServer, { directory, beside: 'nothing' as const }, { label: 'the server on the same CPU', cpu })
    await server.ready()
    await using connection = await connect(TYPED_CHANNEL, CallService)
    await using peer = await openPeer(netUds, { handlerModule: ECHO_HANDLER, cpu })
    await using running = hog ? await startHog(cpu) : undefined
    const summaries = await interleave([
      ...(running === undefined ? [yieldLimit(cpu, plan.batches.batchMs)] : []),
      loopContender('sync', plan.batches, (count) => {
        for (let i = 0; i < count; i++) connection.sync.noop()
      }),
      loopContender('async', plan.batches, oneAfterTheOther(() => connection.noop())),
      loopContender(netUds.name, plan.batches, oneAfterTheOther(() => peer.client.noop())),
    ], plan.batches)
    return {
      sync: summaryOf(summaries, 'sync'),
      async: summaryOf(summaries, 'async'),
      net_uds: summaryOf(summaries, netUds.name),
      ...(running === undefined ? { c_yield_limit: summaryOf(summaries, C_YIELD_LIMIT) } : {}),
    }
  },
)

/** Opens connections, makes a call on each, and keeps them until it is told to finish. */
export const holdConnections = program<{ readonly count: number }>(import.meta.url, 'holdConnections', async ({ count }, control) => {
  const connections = []
  for (let i = 0; i < count; i++) {
    const connection = await connect(TYPED_CHANNEL, CallService, { heapBytes: HELD_HEAP_BYTES })
    await connection.noop()
    connections.push(connection)
  }
  control.ready()
  await control.finish
  for (const connection of connections) await connection.close()
})
const HELD_HEAP_BYTES = 1 << 20
const IDLE_CONNECTIONS = 100
const MANY_CONNECTIONS = 1000

export interface IdleFigures {
  /** Server plus daemon, over some seconds of nothing, with 100 connections that have each made a call. */
  readonly cpu_percent: number
  readonly server_cpu_percent: number
  readonly daemon_cpu_percent: number
  /** No-op with 1000 idle connections open. */
  readonly with_many: number
  /** No-op with none, before and after. */
  readonly with_none: number
  readonly many: number
}

export const measureIdle = program<Argument & { readonly quick: boolean }, void, IdleFigures>(
  import.meta.url,
  'measureIdle',
  async ({ cpus, plan, directory, quick }) => {
    await using server = startChild(callServer, { directory, beside: 'nothing' as const }, { label: 'the idle server', cpu: cpus.answerer })
    const { pid } = await server.ready()
    const daemon = await DaemonClient.shared().connect()
    const [server_cpu_percent, daemon_cpu_percent] = await idleCpu([pid, daemon.pid], quick)
    await using connection = await connect(TYPED_CHANNEL, CallService)
    const noop = loopContender('noop', plan.batches, (count) => {
      for (let i = 0; i < count; i++) connection.sync.noop()
    })
    const rounds = async (): Promise<number> => summaryOf(await interleave([noop], plan.batches), 'noop').mean_ns
    const many = quick ? MANY_CONNECTIONS / 10 : MANY_CONNECTIONS
    const before = await rounds()
    const holder = startChild(holdConnections, { count: many }, { label: 'the holder of many connections', cpu: cpus.caller })
    await holder.ready()
    await sleep(200)
    const with_many = await rounds()
    await holder[Symbol.asyncDispose]()
    await sleep(200)
    const with_none = median([before, await rounds()])
    return { cpu_percent: server_cpu_percent! + daemon_cpu_percent!, server_cpu_percent: server_cpu_percent!, daemon_cpu_percent: daemon_cpu_percent!, with_many, with_none, many }
  },
)

async function idleCpu(pids: readonly number[], quick: boolean): Promise<number[]> {
  await using holder = startChild(holdConnections, { count: IDLE_CONNECTIONS }, { label: 'the holder of idle connections' })
  await holder.ready()
  await sleep(500)
  const meter = new CpuMeter(pids)
  await sleep(quick ? 1000 : 5000)
  return meter.percents()
}
