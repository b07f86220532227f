import { join } from 'node:path'
import { type ClientResult, measureDocuments } from '../documents/client.js'
import { plainBytes } from '../documents/memory.js'
import type { Figures, MeasurePlan } from '../documents/measure.js'
import { mixInWords } from '../documents/mix.js'
import { DOCUMENT_PEERS } from '../documents/peers.js'
import { runChild } from '../support/child.js'
import { twoCpus } from '../support/cpus.js'
import { formatNs, formatRatio, type Output } from '../support/output.js'
import { Workspace } from '../support/workspace.js'
import type { Trial } from './trial.js'

interface Plan {
  readonly documents: number
  readonly searches: number
  readonly measure: MeasurePlan
}

const FULL: Plan = {
  documents: 100_000,
  searches: 1_000,
  measure: { chunk: 5_000, timedEvery: 5, warmup: 1_000, searches: { rounds: 4, warmupRounds: 1, batchMs: 0 }, samples: 1_000 },
}
const QUICK: Plan = {
  documents: 2_000,
  searches: 150,
  measure: { chunk: 500, timedEvery: 2, warmup: 100, searches: { rounds: 2, warmupRounds: 1, batchMs: 0 }, samples: 150 },
}

export const documents: Trial = {
  name: 'documents',
  about: 'the document store: build and search, beside the same store over JSON, msgpack, Thrift and gRPC',
  async run({ quick, output }) {
    using workspace = new Workspace()
    process.env['RPCOOL_RUNTIME_DIR'] = join(workspace.directory, 'run')
    const plan = quick ? QUICK : FULL
    const cpus = twoCpus()
    const plain = await plainBytes(plan.documents, cpus.caller)
    const measured = await runChild(measureDocuments, { count: plan.documents, searches: plan.searches, cpus, plan: plan.measure }, { label: 'the client of the stores', cpu: cpus.caller })
    const result = resultOf(plan.documents, plain, measured)
    const mix = mixInWords(plan.searches)
    print(output, plan.documents, mix, measured, result)
    return { trial: 'documents', quick, mix, ...result, ways: measured.figures }
  },
}

function resultOf(count: number, plain: number, { figures, heap }: ClientResult) {
  const of = (name: string): Figures => figures[name]!
  const fastest = (time: (figures: Figures) => number): number => Math.min(...DOCUMENT_PEERS.map(({ name }) => time(of(name))))
  const speedup = (way: string, time: (figures: Figures) => number): number => fastest(time) / time(of(way))
  const search = (one: Figures): number => one.search.mean_ns
  const searchMany = (one: Figures): number => one.search_many.mean_ns
  return {
    documents: count,
    build_speedup: speedup('rpcool_trusting', ({ build_ns }) => build_ns),
    search_speedup: speedup('rpcool_trusting', search),
    build_speedup_isolated: speedup('rpcool_isolated', ({ build_ns }) => build_ns),
    search_speedup_isolated: speedup('rpcool_isolated', search),
    build_speedup_pipelined: speedup('rpcool_trusting', ({ build_many_ns }) => build_many_ns),
    search_speedup_pipelined: speedup('rpcool_trusting', searchMany),
    search_speedup_projected: speedup('rpcool_trusting', ({ projected }) => projected.mean_ns),
    search_speedup_projected_pipelined: speedup('rpcool_trusting', ({ projected_many }) => projected_many.mean_ns),
    memory_over_plain: heap.live / plain,
    memory_footprint_over_plain: heap.footprint / plain,
    heap_bytes_per_document: heap.live / count,
    heap_footprint_per_document: heap.footprint / count,
    plain_bytes_per_document: plain / count,
    in_process_over_search: search(of('rpcool_trusting')) / search(of('in_process')),
  }
}

function print(output: Output, count: number, mix: string, { figures }: ClientResult, result: ReturnType<typeof resultOf>): void {
  const trusting = figures['rpcool_trusting']!
  const cells = (time: (one: Figures) => number, note: (one: Figures) => string = () => '') => (one: Figures): string[] =>
    [`${formatNs(time(one))}${note(one)}`, formatRatio(time(one) / time(trusting))]
  const table = (title: string, head: readonly string[], columns: readonly ((one: Figures) => string[])[]): void => {
    output.table(title, ['', ...head], Object.entries(figures).map(([name, one]) => [name, ...columns.flatMap((column) => column(one))]))
  }
  table(`${count.toLocaleString('en')} NoBench documents, one request at a time: ns each, and ÷ RPCool trusting`,
    ['build', '÷', 'search', '÷', 'p50', 'p99', 'projected', '÷'], [
      cells(({ build_ns }) => build_ns), cells(({ search }) => search.mean_ns),
      ({ tails }) => [formatNs(tails.p50_ns), formatNs(tails.p99_ns)], cells(({ projected }) => projected.mean_ns),
    ])
  table('The same, many requests in flight (so many at once × documents or searches in each: the fastest of those tried)',
    ['build', '÷', 'search', '÷', 'projected', '÷'], [
      cells(({ build_many_ns }) => build_many_ns, ({ build_setting }) => inWords(build_setting)),
      cells(({ search_many }) => search_many.mean_ns, ({ search_setting }) => inWords(search_setting)),
      cells(({ projected_many }) => projected_many.mean_ns, ({ projected_setting }) => inWords(projected_setting)),
    ])
  output.note(`${mix}. Indexes are there before the first document.`)
  output.note('search: whole documents, as in NoBench (SELECT *). projected: peers answer only the three fields that will be read')
  for (const { name, about } of DOCUMENT_PEERS) output.note(`  ${name}: ${about}`)
  output.note(`in_process: the same store and searches over plain objects in the client, no server`)
  output.note(`memory: ${result.heap_bytes_per_document.toFixed(0)} bytes of blocks a document with its key (${result.heap_footprint_per_document.toFixed(0)} of the heap's spans), ${result.plain_bytes_per_document.toFixed(0)} as plain objects: ${formatRatio(result.memory_over_plain)} (${formatRatio(result.memory_footprint_over_plain)})`)
}

function inWords({ window, batch }: Figures['build_setting']): string {
  return ` (${window} × ${batch})`
}
