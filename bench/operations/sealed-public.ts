import { connect, f64, method, numbers, readInto, service, serve, struct, u32 } from 'rpcool'
import { interleave, loopContender, summaryOf, type BatchSummary } from '../support/batches.js'
import { startChild } from '../support/child.js'
import type { CpuPair } from '../support/cpus.js'
import { nowNs } from '../support/clock.js'
import { program } from '../support/program.js'
import { tailsOf, type Tails } from '../support/statistics.js'
import type { Plan } from '../trials/plans.js'

const CHANNEL = 'bench/sealed-public'
/** With the struct (16 bytes) and the length of its numbers (8) these fill a page. */
const DOUBLES = 509
/** Contents that follow each other, each of one number, so that a page that is read too late would be seen. */
const CONTENTS = Array.from({ length: 8 }, (_, i) => new Float64Array(DOUBLES).fill(i))
/** Calls before anything counts: three processes compile what they do, and every page of the heap is used for the first time. */
const WARM_UP = 12_000
/** As many as there are seals and pages. */
const SLOTS = 2048
/** Calls whose seals go out together: while their server works on some, the next are built. */
const GROUP = 1024

const SealedPage = struct('BenchSealedPage', { data: numbers(f64) })
const Sealed = service('bench.sealed', { page: method(1, SealedPage, u32, { isolation: 'seal' }) })

/** Answers which of the contents a sealed page holds, having read and compared all of it. */
export const sealedPageServer = program(import.meta.url, 'sealedPageServer', async (_argument: object, control) => {
  const data = new Float64Array(DOUBLES)
  const server = await serve(CHANNEL, Sealed, {
    page: (page, call) => {
      const count = readInto(page, 'data', data)
      const which = data[0]!
      let same = 0
      for (let i = 0; i < count; i++) same += data[i] === which ? 1 : 0
      if (!call.isSealed || same !== DOUBLES) throw new Error('a page of mixed content, or not sealed')
      return which
    },
  })
  control.ready()
  await control.finish
  await server.close(0)
})

export interface PublicSealFigures {
  readonly call: BatchSummary
  readonly pipelined: BatchSummary
  /** From building to answer. */
  readonly pipelinedTails: Tails
  readonly strength: string
  readonly window: number
}

/** Typed calls with a plain value of one page, which the library builds, seals and releases by itself. */
export const measurePublicSeals = program<{ readonly cpus: CpuPair, readonly plan: Plan }, void, PublicSealFigures>(
  import.meta.url, 'measurePublicSeals', async ({ cpus, plan }) => {
    await using server = startChild(sealedPageServer, {}, { label: 'the server of sealed pages', cpu: cpus.answerer })
    await server.ready()
    await using connection = await connect(CHANNEL, Sealed, { slots: SLOTS })
    if (connection.seals === undefined) throw new Error('the connection has no seals')
    const send = connection.sync.page
    const pipeline = connection.pipeline('page')
    const started = new Float64Array(SLOTS)
    const pipelined = (count: number, latencies?: Float64Array): void => {
      let sent = 0
      let answered = 0
      const check = (which: number): void => {
        if (which !== (answered & 7)) throw new Error(`the answer ${String(which)} where ${String(answered & 7)} was right`)
        if (latencies !== undefined) latencies[answered] = nowNs() - started[answered % SLOTS]!
        answered++
      }
      while (answered < count) {
        const end = Math.min(count, sent + GROUP)
        const first = sent
        while (sent < end && pipeline.submit({ data: CONTENTS[sent & 7]! })) {
          if (latencies !== undefined) started[sent % SLOTS] = nowNs()
          sent++
        }
        if (pipeline.poll(check) === 0 && sent === first) pipeline.wait()
      }
    }
    const calls = (count: number): void => {
      for (let i = 0; i < count; i++) if (send({ data: CONTENTS[i & 7]! }) !== (i & 7)) throw new Error('a wrong answer')
    }
    calls(WARM_UP)
    pipelined(WARM_UP)
    const summaries = await interleave([
      loopContender('call', plan.batches, calls),
      loopContender('pipelined', plan.batches, pipelined),
    ], plan.batches)
    const latencies = new Float64Array(plan.tails.samples)
    pipelined(latencies.length, latencies)
    await server.finish()
    return {
      call: summaryOf(summaries, 'call'), pipelined: summaryOf(summaries, 'pipelined'), pipelinedTails: tailsOf(latencies),
      strength: connection.seals.strength, window: SLOTS - 1,
    }
  },
)
