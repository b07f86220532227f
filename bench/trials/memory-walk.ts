import { ref, struct, u32, type View } from 'rpcool'
import { build } from '../../src/objects/index.js'
import type { Contender } from '../support/batches.js'
import { pass } from '../support/passes.js'
import { plainList, walkPlain } from '../support/plain-list.js'
import type { BenchHeap } from './memory-blocks.js'

const Node = struct('Node', { value: u32, get next() { return ref(Node) } })
type Node = View<typeof Node>

/** The same list as `plainList` in shared memory: nodes allocated one after the other, linked in `order`. */
function sharedList(heap: BenchHeap, order: Uint32Array): Node {
  const nodes = Array.from(order, (_, i) => build(Node, heap.set, { value: i, next: null }))
  let head: Node | null = null
  for (let i = order.length - 1; i >= 0; i--) {
    const node: Node = nodes[order[i]!]!
    node.next = head
    head = node
  }
  if (head === null) throw new RangeError('a list needs a node')
  return head
}

/** The loop that is compared, as a user writes it. */
function walkShared(head: Node): number {
  let sum = 0
  for (let n: Node | null = head; n; n = n.next) sum += n.value
  return sum
}

function walk(name: string, nodes: number, sumOf: () => number): Contender {
  return pass(name, nodes, (nodes * (nodes - 1)) / 2, sumOf)
}

/** Per node of a list of plain objects in random order. */
export function plainWalk(name: string, order: Uint32Array): Contender {
  const head = plainList(order)
  return walk(name, order.length, () => walkPlain(head))
}

/** The same by views over shared memory. The list lives as long as the heap. */
export function sharedWalk(name: string, heap: BenchHeap, order: Uint32Array): Contender {
  const head = sharedList(heap, order)
  return walk(name, order.length, () => walkShared(head))
}
