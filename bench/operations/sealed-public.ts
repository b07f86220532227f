import { bytes, connect, method, service, serve, struct, u32 } from 'rpcool'
import { interleave, loopContender, summaryOf, type BatchSummary } from '../support/batches.js'
import { startChild } from '../support/child.js'
import type { CpuPair } from '../support/cpus.js'
import { program } from '../support/program.js'
import type { Plan } from '../trials/plans.js'

const CHANNEL = 'bench/sealed-public'
/** With the struct (16 bytes) and the length of its bytes (8) these fill a page. */
const DATA_BYTES = 4072
/** Contents that follow each other, so that a page that is read too late would be seen. */
const CONTENTS = Array.from({ length: 8 }, (_, i) => new Uint8Array(DATA_BYTES).map((_byte, at) => at === 0 ? i : at * (i + 3)))
/** Calls before anything counts: three processes compile what they do, and every page of the heap is used for the first time. */
const WARM_UP = 12_000
/** Seals, and calls, that one poll of the pipeline sends together. */
const SLOTS = 1024

const SealedPage = struct('BenchSealedPage', { data: bytes })
const Sealed = service('bench.sealed', { page: method(1, SealedPage, u32, { isolation: 'seal' }) })

/** Answers which of the contents a sealed page holds, having read and compared all of it. */
export const sealedPageServer = program(import.meta.url, 'sealedPageServer', async (_argument: object, control) => {
  const server = await serve(CHANNEL, Sealed, {
    page: ({ data }, call) => {
      const which = data[0]!
      if (!call.isSealed || Buffer.compare(data, CONTENTS[which]!) !== 0) throw new Error('a page of mixed content, or not sealed')
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
    const pipelined = (count: number): void => {
      let sent = 0
      let answered = 0
      const check = (which: number): void => {
        if (which !== (answered++ & 7)) throw new Error(`the answer ${String(which)} where ${String((answered - 1) & 7)} was right`)
      }
      while (answered < count) {
        while (sent < count && pipeline.submit({ data: CONTENTS[sent & 7]! })) sent++
        if (pipeline.poll(check) === 0) pipeline.wait()
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
    await server.finish()
    return { call: summaryOf(summaries, 'call'), pipelined: summaryOf(summaries, 'pipelined'), strength: connection.seals.strength, window: SLOTS - 1 }
  },
)
