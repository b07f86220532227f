import { interleave, summaryOf, type BatchSummary } from '../support/batches.js'
import { runChild } from '../support/child.js'
import { twoCpus, type CpuPair } from '../support/cpus.js'
import { expectedChecksum, glibcContender, runGlibc, type ReplacementPlan } from '../support/glibc.js'
import { formatNs, formatRatio, type Output } from '../support/output.js'
import { randomOrder } from '../support/plain-list.js'
import { program } from '../support/program.js'
import { bareContender } from './memory-bare.js'
import { BenchHeap, heapContender } from './memory-blocks.js'
import { measureContention, type ContentionResult } from './memory-contention.js'
import { plainWalk, sharedWalk } from './memory-walk.js'
import { planFor, type Plan } from './plans.js'
import type { Trial } from './trial.js'

const SEED = 0x5eed
const LIST_SEED = 42

interface Argument {
  readonly cpus: CpuPair
  readonly plan: Plan
  readonly nodes: number
  readonly replacement: ReplacementPlan
}

export interface WalkResult {
  /** Per node of a list in random order: plain objects, and views over shared memory. */
  readonly plain_walk: BatchSummary
  readonly shared_walk: BatchSummary
}

export interface BlocksResult {
  /** Per free and malloc, without and with one store into the new block. */
  readonly glibc: BatchSummary
  readonly glibc_write: BatchSummary
  readonly heap: BatchSummary
  readonly heap_write: BatchSummary
  /** The least that malloc and free with checks cost in JavaScript. */
  readonly bare: BatchSummary
}

// Each in a process of its own: a million plain objects would make every garbage collection of the others dear.

export const measureWalk = program<Argument, void, WalkResult>(import.meta.url, 'measureWalk', async ({ plan, nodes }) => {
  using heap = BenchHeap.create()
  const order = randomOrder(nodes, LIST_SEED)
  const summaries = await interleave([plainWalk('plain_walk', order), sharedWalk('shared_walk', heap, order)], plan.batches)
  return { plain_walk: summaryOf(summaries, 'plain_walk'), shared_walk: summaryOf(summaries, 'shared_walk') }
})

export const measureBlocks = program<Argument, void, BlocksResult>(
  import.meta.url,
  'measureBlocks',
  async ({ cpus: { caller }, plan, replacement }) => {
    const { checksum } = await runGlibc(caller, replacement, 'plain')
    if (checksum !== expectedChecksum(replacement)) throw new Error('malloc.c and replacement-sequence.ts drew different numbers')
    const once = expectedChecksum({ ...replacement, batches: 1 })
    const contenders = [
      glibcContender('glibc', caller, replacement, 'plain'),
      heapContender('heap', replacement, 'plain', once),
      glibcContender('glibc_write', caller, replacement, 'write'),
      heapContender('heap_write', replacement, 'write', once),
      bareContender('bare', replacement),
    ]
    const summaries = await interleave(contenders, plan.batches)
    return {
      glibc: summaryOf(summaries, 'glibc'),
      glibc_write: summaryOf(summaries, 'glibc_write'),
      heap: summaryOf(summaries, 'heap'),
      heap_write: summaryOf(summaries, 'heap_write'),
      bare: summaryOf(summaries, 'bare'),
    }
  },
)

export const measureTwoProcesses = program<Argument, void, ContentionResult>(
  import.meta.url,
  'measureTwoProcesses',
  ({ cpus, plan, replacement }) => measureContention(cpus.answerer, plan.batches, replacement),
)

interface Ratios {
  readonly walk_over_objects: number
  readonly malloc_over_glibc: number
  readonly malloc_free_ns: number
  readonly malloc_over_bare: number
  readonly malloc_contended_over_single: number
}

function ratiosOf(walk: WalkResult, blocks: BlocksResult, two: ContentionResult): Ratios {
  return {
    walk_over_objects: walk.shared_walk.mean_ns / walk.plain_walk.mean_ns,
    malloc_over_glibc: blocks.heap.mean_ns / blocks.glibc.mean_ns,
    malloc_free_ns: blocks.heap.mean_ns,
    malloc_over_bare: blocks.heap.mean_ns / blocks.bare.mean_ns,
    malloc_contended_over_single: two.contended.mean_ns / two.single.mean_ns,
  }
}

function printMemory(output: Output, ratios: Ratios, walk: WalkResult, blocks: BlocksResult, two: ContentionResult): void {
  const ratio = (of: BatchSummary, base: BatchSummary): string => formatRatio(of.mean_ns / base.mean_ns)
  output.table('Walk of a linked list in random order, per node', ['', 'mean', 'least', 'greatest', '÷ plain'], [
    ['plain objects', ...spread(walk.plain_walk), '1'],
    ['views over shared memory', ...spread(walk.shared_walk), formatRatio(ratios.walk_over_objects)],
  ])
  output.table('Free one of 100,000 blocks of 16 to 512 bytes, allocate another', ['', 'mean', 'least', 'greatest', '÷ glibc'], [
    ['glibc', ...spread(blocks.glibc), '1'],
    ['shared heap, frees checked', ...spread(blocks.heap), formatRatio(ratios.malloc_over_glibc)],
    ['JavaScript, one heap, private and never given back', ...spread(blocks.bare), ratio(blocks.bare, blocks.glibc)],
    ['glibc, and one store', ...spread(blocks.glibc_write), '1'],
    ['shared heap, and one store', ...spread(blocks.heap_write), ratio(blocks.heap_write, blocks.glibc_write)],
  ])
  output.table('The same in two processes at once, CPU time per operation of one', ['', 'mean', 'least', 'greatest', '÷ alone'], [
    ['alone', ...spread(two.single), '1'],
    ['both on one heap', ...spread(two.contended), formatRatio(ratios.malloc_contended_over_single)],
    ['each on a heap of its own', ...spread(two.apart), ratio(two.apart, two.single)],
  ])
}

function spread({ mean_ns, least_ns, greatest_ns }: BatchSummary): string[] {
  return [mean_ns, least_ns, greatest_ns].map(formatNs)
}

export const memory: Trial = {
  name: 'memory',
  about: 'walks over a linked list, and malloc/free, beside plain objects and glibc',
  async run({ quick, output }) {
    const cpus = twoCpus()
    const cpu = cpus.caller
    const size = quick ? { nodes: 100_000, operations: 200_000 } : { nodes: 1_000_000, operations: 1_000_000 }
    const replacement = { seed: SEED, operations: size.operations, batches: 2 }
    const argument = { cpus, plan: planFor(quick), nodes: size.nodes, replacement }
    const walk = await runChild(measureWalk, argument, { label: 'the walks', cpu })
    const blocks = await runChild(measureBlocks, argument, { label: 'malloc and free', cpu })
    const two = await runChild(measureTwoProcesses, argument, { label: 'two processes on one heap', cpu })
    const ratios = ratiosOf(walk, blocks, two)
    printMemory(output, ratios, walk, blocks, two)
    return { trial: 'memory', quick, ...ratios, ...walk, ...blocks, two_processes: two }
  },
}
