import { bytes, connect, f64, method, service, serve, struct, u32, unsafeBytes } from 'rpcool'
import { interleave, loopContender, summaryOf, type BatchSummary } from '../support/batches.js'
import { startChild } from '../support/child.js'
import type { CpuPair } from '../support/cpus.js'
import { C_LIMIT, pingPongLimit } from '../support/limits.js'
import { program } from '../support/program.js'
import type { Plan } from '../trials/plans.js'

const CHANNEL = 'bench/secure'
/** With the page's struct (16 bytes) and the length of its bytes (8) these fill a scope of 4096 bytes. */
const DATA_BYTES = 4072
const SCOPE_BYTES = 4096
/** Contents that follow each other, so that a copy that came too late would be seen. */
const CONTENTS = Array.from({ length: 8 }, (_, i) => new Uint8Array(DATA_BYTES).map((_byte, at) => at === 0 ? i : at * (i + 3)))

const Page = struct('SecurePage', { data: bytes })
const Small = struct('SecureSmall', { id: u32, weight: f64, flags: u32 })
const Secure = service('bench.secure', {
  page: method(1, Page, u32, { isolation: 'snapshot' }),
  small: method(2, Small, u32, { isolation: 'snapshot' }),
  openPage: method(3, Page, u32),
  openSmall: method(4, Small, u32),
})

/** Answers which of the contents the page holds, having read and compared all of it. */
function recognize(data: Uint8Array): number {
  const which = data[0]!
  const content = CONTENTS[which]
  if (content === undefined || Buffer.compare(data, content) !== 0) throw new Error('a page of mixed content')
  return which
}

function add(small: { readonly id: number, readonly weight: number, readonly flags: number }): number {
  return (small.id + small.weight + small.flags) >>> 0
}

export const secureServer = program(import.meta.url, 'secureServer', async (_argument: object, control) => {
  const server = await serve(CHANNEL, Secure, {
    // Of a private copy, the bytes are looked at in place; of memory that the client can write, a copy is taken.
    page: (page) => recognize(unsafeBytes(page, 'data')),
    small: add,
    openPage: (page) => recognize(page.data),
    openSmall: add,
  })
  control.ready()
  await control.finish
  await server.close(0)
})

export interface SecureFigures {
  readonly limit: BatchSummary
  readonly page: BatchSummary
  readonly small: BatchSummary
  readonly openPage: BatchSummary
  readonly openSmall: BatchSummary
  readonly pipelined: BatchSummary
}

/** Runs on the calling side's CPU. */
export const measureSecureCalls = program<{ readonly cpus: CpuPair, readonly plan: Plan }, void, SecureFigures>(
  import.meta.url, 'measureSecureCalls', async ({ cpus, plan }) => {
    await using server = startChild(secureServer, {}, { label: 'the server of secure calls', cpu: cpus.answerer })
    await server.ready()
    await using connection = await connect(CHANNEL, Secure)
    using scope = connection.createScope(SCOPE_BYTES)
    const pages = (call: 'page' | 'openPage') => (count: number): void => {
      const send = connection.sync[call]
      for (let i = 0; i < count; i++) {
        scope.reset()
        if (send(scope.new(Page, { data: CONTENTS[i & 7]! })) !== (i & 7)) throw new Error('a wrong answer')
      }
    }
    const smalls = (call: 'small' | 'openSmall') => (count: number): void => {
      const send = connection.sync[call]
      for (let i = 0; i < count; i++) if (send({ id: i, weight: 0.5, flags: 7 }) !== i + 7) throw new Error('a wrong answer')
    }
    const pipeline = connection.pipeline('small')
    const pipelined = (count: number): void => {
      let sent = 0
      let expected = 7
      const check = (result: number): void => {
        if (result !== expected) throw new Error(`the answer ${String(result)} where ${String(expected)} was right`)
        expected++
      }
      while (expected < count + 7) {
        while (sent < count && pipeline.submit({ id: sent, weight: 0.5, flags: 7 })) sent++
        pipeline.poll(check)
      }
    }
    scope.new(Page, { data: CONTENTS[0]! })
    if (scope.usedBytes !== SCOPE_BYTES) throw new Error(`${String(scope.usedBytes)} bytes of the scope are rewritten, not all`)
    const summaries = await interleave([
      pingPongLimit(cpus, plan.batches.batchMs),
      loopContender('page', plan.batches, pages('page')),
      loopContender('small', plan.batches, smalls('small')),
      loopContender('openPage', plan.batches, pages('openPage')),
      loopContender('openSmall', plan.batches, smalls('openSmall')),
      loopContender('pipelined', plan.batches, pipelined),
    ], plan.batches)
    return {
      limit: summaryOf(summaries, C_LIMIT),
      page: summaryOf(summaries, 'page'),
      small: summaryOf(summaries, 'small'),
      openPage: summaryOf(summaries, 'openPage'),
      openSmall: summaryOf(summaries, 'openSmall'),
      pipelined: summaryOf(summaries, 'pipelined'),
    }
  },
)
