// The deep copy of a graph of a million nodes that point at each other.
import { ref, struct, text, u32, type View } from 'rpcool'
import { build, copyGraph, release } from '../../src/objects/index.js'
import { interleave, summaryOf, type BatchSummary } from '../support/batches.js'
import { runChild } from '../support/child.js'
import { nowNs } from '../support/clock.js'
import { formatNs } from '../support/output.js'
import { randomOrder } from '../support/plain-list.js'
import { program } from '../support/program.js'
import { BenchHeap } from '../trials/memory-blocks.js'
import { planFor, type Plan } from '../trials/plans.js'
import type { Section } from './section.js'

const SEED = 11
const HEAP_BYTES = 512 << 20

const Node = struct('Node', { value: u32, name: text, get next() { return ref(Node) }, get other() { return ref(Node) } })
type Node = View<typeof Node>

export interface CopyResult {
  /** Per node: a linked list in random order whose nodes also point at random others, each with a short text. */
  readonly copy: BatchSummary
  readonly nodes: number
}

export const measureCopy = program<{ readonly plan: Plan, readonly nodes: number }, void, CopyResult>(
  import.meta.url,
  'measureCopy',
  async ({ plan, nodes }) => {
    using heap = BenchHeap.create(HEAP_BYTES)
    const made = Array.from({ length: nodes }, (_, i) => build(Node, heap.set, { value: i, name: `n${i % 10_000}` }))
    const order = randomOrder(nodes, SEED)
    for (let i = 0; i < nodes; i++) {
      const node: Node = made[order[i]!]!
      node.next = made[order[(i + 1) % nodes]!]!
      node.other = made[order[nodes - 1 - i]!]!
    }
    const root = made[order[0]!]!
    const summaries = await interleave([{
      name: 'copy',
      batch() {
        const start = nowNs()
        const copy = copyGraph(root, heap.set)
        const elapsed = nowNs() - start
        if (copy.next!.next!.value !== root.next!.next!.value) throw new Error('the copy differs')
        release(heap.set, copy, { deep: true })
        return Promise.resolve(elapsed / nodes)
      },
    }], { ...plan.batches, rounds: Math.min(plan.batches.rounds, 5), warmupRounds: 1 })
    return { copy: summaryOf(summaries, 'copy'), nodes }
  },
)

/** Deep copies. */
export const copyFrom: Section = {
  name: 'copy_from',
  async run({ quick, output, cpus }) {
    const result = await runChild(measureCopy, { plan: planFor(quick), nodes: quick ? 100_000 : 1_000_000 }, { label: 'deep copies', cpu: cpus.caller })
    const { copy, nodes } = result
    output.table(`Deep copy of a graph of ${nodes.toLocaleString('en')} nodes, per node`, ['', 'mean', 'least', 'greatest'], [
      ['copyFrom', formatNs(copy.mean_ns), formatNs(copy.least_ns), formatNs(copy.greatest_ns)],
    ])
    return { copy_from_ns_per_node: copy.mean_ns, copy_from: result }
  },
}
