import { interleave, summaryOf, type BatchSummary, type Contender } from '../support/batches.js'
import { runChild } from '../support/child.js'
import { nowNs } from '../support/clock.js'
import { twoCpus } from '../support/cpus.js'
import { expectedChecksum, glibcContender, runGlibc, type ReplacementPlan } from '../support/glibc.js'
import { formatNs, type Output } from '../support/output.js'
import { plainList, randomOrder, walkPlain } from '../support/plain-list.js'
import { program } from '../support/program.js'
import { planFor, type Plan } from './plans.js'
import type { Trial } from './trial.js'

const SEED = 0x5eed
const LIST_SEED = 42

interface Argument {
  readonly cpu: number
  readonly plan: Plan
  readonly nodes: number
  readonly replacement: ReplacementPlan
}

export interface MemoryResult {
  /** Per node of a list of plain objects in random order. */
  readonly plain_walk: BatchSummary
  /** Per free and malloc, without and with one store into the new block. */
  readonly glibc: BatchSummary
  readonly glibc_write: BatchSummary
}

function plainWalk(nodes: number): Contender {
  const head = plainList(randomOrder(nodes, LIST_SEED))
  const expected = (nodes * (nodes - 1)) / 2
  return {
    name: 'plain_walk',
    batch() {
      const start = nowNs()
      const sum = walkPlain(head)
      const elapsed = nowNs() - start
      if (sum !== expected) throw new Error(`the walk summed ${String(sum)}, not ${String(expected)}`)
      return Promise.resolve(elapsed / nodes)
    },
  }
}

/** Runs on one CPU: what the library's memory is compared with. */
export const measureMemory = program<Argument, void, MemoryResult>(
  import.meta.url,
  'measureMemory',
  async ({ cpu, plan, nodes, replacement }) => {
    const { checksum } = await runGlibc(cpu, replacement, 'plain')
    if (checksum !== expectedChecksum(replacement)) throw new Error('malloc.c and replacement-sequence.ts drew different numbers')
    const contenders = [
      plainWalk(nodes),
      glibcContender('glibc', cpu, replacement, 'plain'),
      glibcContender('glibc_write', cpu, replacement, 'write'),
    ]
    const summaries = await interleave(contenders, plan.batches)
    return {
      plain_walk: summaryOf(summaries, 'plain_walk'),
      glibc: summaryOf(summaries, 'glibc'),
      glibc_write: summaryOf(summaries, 'glibc_write'),
    }
  },
)

function printMemory(output: Output, { plain_walk, glibc, glibc_write }: MemoryResult): void {
  output.table('Memory', ['', 'mean', 'least', 'greatest'], [
    ['plain objects: walk, per node', ...spread(plain_walk)],
    ['glibc: free + malloc', ...spread(glibc)],
    ['glibc: free + malloc + one store', ...spread(glibc_write)],
  ])
}

function spread({ mean_ns, least_ns, greatest_ns }: BatchSummary): string[] {
  return [mean_ns, least_ns, greatest_ns].map(formatNs)
}

export const memory: Trial = {
  name: 'memory',
  about: 'walks over a linked list, and malloc/free, beside plain objects and glibc',
  async run({ quick, output }) {
    const cpu = twoCpus().caller
    const size = quick ? { nodes: 100_000, operations: 200_000 } : { nodes: 1_000_000, operations: 1_000_000 }
    const replacement = { seed: SEED, operations: size.operations, batches: 2 }
    const argument = { cpu, plan: planFor(quick), nodes: size.nodes, replacement }
    const result = await runChild(measureMemory, argument, { label: 'the memory trial', cpu })
    printMemory(output, result)
    return { trial: 'memory', quick, ...result }
  },
}
