// A heap with scopes, as a connection has them, for compiled handlers.
import { closeSync } from 'node:fs'
import type { TestContext } from 'node:test'
import type { Address } from '../../../src/base/numbers.js'
import { ObjectHeap } from '../../../src/calls/heaps/object-heap.js'
import { Heap, HeapScopes, HeapSet, type Scope } from '../../../src/memory/index.js'
import { build, locationOf, ref, struct, u32, type View } from '../../../src/objects/index.js'
import { createMemoryFile, HEAPS_BASE, Mapping } from '../../../src/sys/index.js'
import { MIB } from '../../memory/model.js'

export const Node = struct('WasmNode', { id: u32, get next() { return ref(Node) } })
export type Node = View<typeof Node>

export interface Ground {
  readonly heap: ObjectHeap
  readonly scopes: HeapScopes
  readonly nodeIn: (scope: Scope, ...ids: readonly number[]) => Node
}

let grounds = 0

/** A heap in shared memory, as a connection has it. */
export function ground(t: TestContext): Ground {
  const fd = createMemoryFile('wasm test', 8 * MIB)
  const address = HEAPS_BASE + grounds++ * 16 * MIB as Address
  const mapping = Mapping.map(fd, address, 8 * MIB)
  const set = new HeapSet((space) => new Heap(mapping.buffer, mapping.address, 1, space))
  const heap = new ObjectHeap(set)
  t.after(() => {
    heap.close()
    mapping.unmap()
    closeSync(fd)
  })
  const nodeIn = (scope: Scope, id = 0, ...more: readonly number[]): Node => {
    const next = more.length === 0 ? null : nodeIn(scope, ...more)
    return build(Node, scope, { id, next })
  }
  return { heap, scopes: new HeapScopes(set), nodeIn }
}

export function setNext(node: object, address: number): void {
  const { region, word } = locationOf(node)
  region.i32[word + 2] = Number(BigInt.asIntN(32, BigInt(address)))
  region.i32[word + 3] = Math.floor(address / 2 ** 32)
}
