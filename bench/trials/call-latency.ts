import { setImmediate } from 'node:timers/promises'
import { connect, Rpc, u32 } from 'rpcool'
import { ECHO_HANDLER } from '../peers/echo-handler.js'
import { netUds } from '../peers/net-uds.js'
import { openPeer } from '../peers/open.js'
import { interleave, loopContender, oneAfterTheOther, summaryOf, type BatchSummary, type Contender } from '../support/batches.js'
import { startChild } from '../support/child.js'
import type { CpuPair } from '../support/cpus.js'
import { EchoLoad } from '../support/echo-load.js'
import { LatenessMeter } from '../support/lateness.js'
import { C_LIMIT, pingPongLimit } from '../support/limits.js'
import { program } from '../support/program.js'
import { tailsOfAsync, tailsOfSync, type Tails } from '../support/statistics.js'
import { callServer, INCREMENT, RAW_CHANNEL, TYPED_CHANNEL } from './call-server.js'
import { CallService } from './call-service.js'
import type { Plan } from './plans.js'

const IN_FLIGHT = 32

export interface LatencyFigures {
  readonly c_limit: BatchSummary
  readonly net_uds: BatchSummary
  readonly sync: BatchSummary
  readonly async: BatchSummary
  readonly typed: BatchSummary
  readonly pipelined: BatchSummary
  readonly async_pipelined: BatchSummary
  readonly sync_tails: Tails
  readonly async_tails: Tails
  /** While `await`ed calls go back to back. */
  readonly caller_timer_lateness: Tails
  readonly answerer_timer_lateness: Tails
  /** Of the same timer at the caller, beside nothing but turns of the event loop: what this machine and Node.js give. */
  readonly bare_timer_lateness: Tails
  readonly echo_beside_calls: Tails
}

interface Argument {
  readonly cpus: CpuPair
  readonly plan: Plan
  readonly directory: string
}

/** Runs on the calling side's CPU: the library's calls, the C limit and net.Socket, interleaved in one run. */
export const measureLatency = program<Argument, void, LatencyFigures>(
  import.meta.url,
  'measureLatency',
  async ({ cpus, plan, directory }) => {
    await using server = startChild(callServer, { directory }, { label: 'the serving side', cpu: cpus.answerer })
    const { echo } = await server.ready()
    await using socket = await openPeer(netUds, { handlerModule: ECHO_HANDLER, cpu: cpus.answerer })
    await using connection = await connect(TYPED_CHANNEL, CallService)
    await using raw = await new Rpc().open(RAW_CHANNEL).connect()
    await oneAfterTheOther(() => socket.client.noop())(plan.peerWarmupCalls)

    const timer = new LatenessMeter()
    const bareTimer = new LatenessMeter()
    const load = await EchoLoad.open(echo)
    const besideOtherWork = (contender: Contender): Contender => ({
      name: contender.name,
      async batch() {
        load.start()
        timer.start()
        const mean = await contender.batch()
        timer.pause()
        load.pause()
        return mean
      },
    })
    const turns = loopContender('turns', plan.batches, oneAfterTheOther(() => setImmediate()))
    const contenders = [
      pingPongLimit(cpus, plan.batches.batchMs),
      loopContender('sync', plan.batches, (count) => {
        for (let i = 0; i < count; i++) connection.sync.noop()
      }),
      loopContender('typed', plan.batches, (count) => {
        for (let i = 0; i < count; i++) typedCall(connection, i)
      }),
      loopContender('pipelined', plan.batches, pipelined(raw)),
      besideOtherWork(loopContender('async', plan.batches, oneAfterTheOther(() => connection.noop()))),
      loopContender('async_pipelined', plan.batches, async (count) => {
        for (let done = 0; done < count; done += IN_FLIGHT) {
          const calls: Promise<void>[] = []
          for (let i = 0; i < IN_FLIGHT; i++) calls.push(connection.noop())
          await Promise.all(calls)
        }
      }),
      {
        name: 'turns',
        async batch() {
          bareTimer.start()
          const mean = await turns.batch()
          bareTimer.pause()
          return mean
        },
      },
      loopContender(netUds.name, plan.batches, oneAfterTheOther(() => socket.client.noop())),
    ]
    const summaries = await interleave(contenders, plan.batches, () => {
      timer.forget()
      bareTimer.forget()
      load.forget()
    })
    const sync_tails = tailsOfSync(() => connection.sync.noop(), plan.tails)
    load.start()
    timer.start()
    const async_tails = await tailsOfAsync(() => connection.noop(), plan.tails)
    const caller = timer.stop()
    const echo_beside_calls = load.close()
    const answerer = await server.finish()
    return {
      c_limit: summaryOf(summaries, C_LIMIT),
      net_uds: summaryOf(summaries, netUds.name),
      sync: summaryOf(summaries, 'sync'),
      async: summaryOf(summaries, 'async'),
      typed: summaryOf(summaries, 'typed'),
      pipelined: summaryOf(summaries, 'pipelined'),
      async_pipelined: summaryOf(summaries, 'async_pipelined'),
      sync_tails,
      async_tails,
      caller_timer_lateness: caller.timer,
      answerer_timer_lateness: answerer.timer,
      bare_timer_lateness: bareTimer.stop().timer,
      echo_beside_calls,
    }
  },
)

type TypedConnection = Awaited<ReturnType<typeof connect<typeof CallService.methods>>>
type RawConnection = Awaited<ReturnType<Rpc['connect']>>

/** Argument and result are allocated, written, read and given back. */
function typedCall(connection: TypedConnection, i: number): void {
  const result = connection.sync.typed({ id: i, weight: 0.5, flags: 7 })
  if (result.id !== i + 1 || result.weight !== 1 || result.flags !== 7) throw new Error('a wrong answer')
  // As `using` does; its helper functions in Node 20 would be measured too.
  result[Symbol.dispose]()
}

/** One client, as many calls in flight as there are slots, every answer checked. */
function pipelined(raw: RawConnection): (count: number) => void {
  const calls = raw.pipeline(INCREMENT, u32, u32)
  return (count) => {
    let sent = 0
    let expected = 1
    const check = (result: number): void => {
      if (result !== expected) throw new Error(`the answer ${String(result)} where ${String(expected)} was right`)
      expected++
    }
    while (expected <= count) {
      while (sent < count && calls.submit(sent)) sent++
      calls.poll(check)
    }
  }
}
