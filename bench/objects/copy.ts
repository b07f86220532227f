// The deep copy of a graph of a million nodes that point at each other.
import { ref, struct, text, u32, type View } from 'rpcool'
import { build, copyGraph, release } from '../../src/objects/index.js'
import { interleave, summaryOf, type BatchSummary, type Contender } from '../support/batches.js'
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

const Node = struct('Node', {
  value: u32, name: text, get left() { return ref(Node) }, get right() { return ref(Node) }, get parent() { return ref(Node) },
})
type Node = View<typeof Node>

export interface CopyResult {
  /** Per node of a binary tree, made node by node, whose nodes know their parents. */
  readonly tree: BatchSummary
  /** Per node of a graph whose nodes point at two others anywhere: most of the time is waiting for memory. */
  readonly scattered: BatchSummary
  readonly nodes: number
}

function makeNodes(heap: BenchHeap, count: number): Node[] {
  return Array.from({ length: count }, (_, i) => build(Node, heap.set, { value: i, name: `n${i % 10_000}` }))
}

function makeTree(heap: BenchHeap, count: number): Node {
  const nodes = makeNodes(heap, count)
  for (let i = 1; i < count; i++) {
    const parent: Node = nodes[i - 1 >>> 1]!
    const node: Node = nodes[i]!
    node.parent = parent
    if (i % 2 === 1) parent.left = node
    else parent.right = node
  }
  return nodes[0]!
}

function makeScattered(heap: BenchHeap, count: number): Node {
  const nodes = makeNodes(heap, count)
  const order = randomOrder(count, SEED)
  for (let i = 0; i < count; i++) {
    const node: Node = nodes[order[i]!]!
    node.left = nodes[order[(i + 1) % count]!]!
    node.right = nodes[order[count - 1 - i]!]!
  }
  return nodes[order[0]!]!
}

function copies(name: string, heap: BenchHeap, root: Node, nodes: number): Contender {
  return {
    name,
    batch() {
      const before = heap.set.stats().liveBlocks
      const start = nowNs()
      const copy = copyGraph(root, heap.set)
      const elapsed = nowNs() - start
      if (heap.set.stats().liveBlocks - before !== nodes) throw new Error(`${name}: not every node was copied once`)
      release(heap.set, copy, { deep: true })
      return Promise.resolve(elapsed / nodes)
    },
  }
}

export const measureCopy = program<{ readonly plan: Plan, readonly nodes: number }, void, CopyResult>(
  import.meta.url,
  'measureCopy',
  async ({ plan, nodes }) => {
    using heap = BenchHeap.create(HEAP_BYTES)
    const summaries = await interleave(
      [copies('tree', heap, makeTree(heap, nodes), nodes), copies('scattered', heap, makeScattered(heap, nodes), nodes)],
      { ...plan.batches, rounds: Math.min(plan.batches.rounds, 5), warmupRounds: 1 })
    return { tree: summaryOf(summaries, 'tree'), scattered: summaryOf(summaries, 'scattered'), nodes }
  },
)

/** Deep copies. */
export const copyFrom: Section = {
  name: 'copy_from',
  async run({ quick, output, cpus }) {
    const result = await runChild(measureCopy, { plan: planFor(quick), nodes: quick ? 100_000 : 1_000_000 }, { label: 'deep copies', cpu: cpus.caller })
    const { tree, scattered, nodes } = result
    const row = (what: string, { mean_ns, least_ns, greatest_ns }: BatchSummary): string[] => [what, ...[mean_ns, least_ns, greatest_ns].map(formatNs)]
    output.table(`Deep copy of a graph of ${nodes.toLocaleString('en')} nodes, per node`, ['', 'mean', 'least', 'greatest'], [
      row('a tree whose nodes know their parents', tree), row('nodes that point at others anywhere', scattered),
    ])
    return { copy_from_ns_per_node: tree.mean_ns, copy_from_scattered_ns_per_node: scattered.mean_ns, copy_from: result }
  },
}
