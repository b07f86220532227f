import binaryen from 'binaryen'
import { WildPointerError } from '../../src/base/errors.js'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { ObjectHeap } from '../../src/calls/heaps/object-heap.js'
import { addressOf, struct, u32 } from '../../src/objects/index.js'
import { prepareWasm, WasmHandlers } from '../../src/safety/index.js'
import { interleave, loopContender, summaryOf, type BatchSummary } from '../support/batches.js'
import { program } from '../support/program.js'
import { BenchHeap } from '../trials/memory-blocks.js'
import type { Plan } from '../trials/plans.js'

const SINGLE = 1
const EIGHT = 8
/** As in the paper: more than are kept. */
const UNCACHED = 32
const LARGE_PAGES = 1024
/** The smallest region that is mapped rather than copied when it is not kept. */
const MAPPED_PAGES = 17

const Node = struct('SandboxedNode', { id: u32 })
/** What a compiler makes of `return node->id`. */
const WASM = `(module (import "env" "memory" (memory 1))
  (func (export "id") (param i32 i32) (result i32) (i32.load offset=4 (local.get 0))))`

export interface SandboxFigures {
  readonly one: BatchSummary
  readonly large: BatchSummary
  readonly eight: BatchSummary
  readonly wasmCached: BatchSummary
  readonly wasmUncached: BatchSummary
  readonly wasmMapped: BatchSummary
  /** Attempts to get out that were made between the batches; each was refused. */
  readonly escapesRefused: number
}

/** Enter, one checked load, exit; per sandbox. Limits are on, and before each batch somebody tries to get out. */
export const measureSandboxes = program<{ readonly plan: Plan }, void, SandboxFigures>(import.meta.url, 'measureSandboxes', async ({ plan }) => {
  using memory = BenchHeap.create()
  const heap = new ObjectHeap(memory.set)
  const { sandbox } = heap
  const regions = (count: number, pages: number): { readonly scope: ReturnType<ObjectHeap['createScope']>, readonly address: number, readonly id: number }[] =>
    Array.from({ length: count }, (_, id) => {
      const scope = heap.createScope(pages * PAGE_BYTES)
      return { scope, address: addressOf(scope.new(Node, { id })), id }
    })
  const secret = addressOf(heap.new(Node, { id: 0x5ec2e7 }))
  let escapesRefused = 0
  const refused = (escape: () => unknown): void => {
    try {
      escape()
    } catch (error) {
      if (!(error instanceof WildPointerError)) throw error
      escapesRefused++
      return
    }
    throw new Error('an escape was not refused')
  }

  const typescript = (count: number, pages: number): ((runs: number) => void) => {
    const places = regions(count, pages)
    return (runs) => {
      refused(() => sandbox.run(places[0]!.scope, undefined, (inside) => inside.at(Node, secret).id))
      for (let i = 0; i < runs; i++) {
        const { scope, address, id } = places[i % count]!
        if (sandbox.run(scope, undefined, (inside) => inside.at(Node, address).id) !== id) throw new Error('a wrong value')
      }
    }
  }

  const module = binaryen.parseText(WASM)
  const bytes = await prepareWasm(module.emitBinary())
  module.dispose()
  const compiled = async (count: number, pages: number, cached: number): Promise<(runs: number) => void> => {
    const handlers = await WasmHandlers.load(bytes, { cached })
    const places = regions(count, pages)
    return (runs) => {
      refused(() => sandbox.runWasm(handlers, places[0]!.scope, 'id', secret))
      for (let i = 0; i < runs; i++) {
        const { scope, address, id } = places[i % count]!
        if (sandbox.runWasm(handlers, scope, 'id', address) !== id) throw new Error('a wrong value')
      }
    }
  }
  const summaries = await interleave([
    loopContender('one', plan.batches, typescript(SINGLE, 1)),
    loopContender('large', plan.batches, typescript(SINGLE, LARGE_PAGES)),
    loopContender('eight', plan.batches, typescript(EIGHT, 1)),
    loopContender('wasmCached', plan.batches, await compiled(EIGHT, 1, EIGHT)),
    loopContender('wasmUncached', plan.batches, await compiled(UNCACHED, 1, 0)),
    loopContender('wasmMapped', plan.batches, await compiled(UNCACHED, MAPPED_PAGES, 0)),
  ], plan.batches)
  heap.close()
  return {
    one: summaryOf(summaries, 'one'),
    large: summaryOf(summaries, 'large'),
    eight: summaryOf(summaries, 'eight'),
    wasmCached: summaryOf(summaries, 'wasmCached'),
    wasmUncached: summaryOf(summaries, 'wasmUncached'),
    wasmMapped: summaryOf(summaries, 'wasmMapped'),
    escapesRefused,
  }
})
