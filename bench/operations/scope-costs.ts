import { PAGE_BYTES } from '../../src/base/numbers.js'
import { ObjectHeap } from '../../src/calls/heaps/object-heap.js'
import { f64, struct, u32 } from '../../src/objects/index.js'
import { interleave, loopContender, summaryOf, type BatchSummary } from '../support/batches.js'
import { program } from '../support/program.js'
import { BenchHeap } from '../trials/memory-blocks.js'
import type { Plan } from '../trials/plans.js'

/** Objects of a cycle. */
export const SCOPE_OBJECTS = 16

const Item = struct('ScopedItem', { id: u32, weight: f64, flags: u32 })
const VALUE = { id: 1, weight: 0.5, flags: 7 }

export interface ScopeFigures {
  /** Per object: a scope is made, filled and destroyed. */
  readonly created: BatchSummary
  /** Per object: a scope is filled and reset. */
  readonly reset: BatchSummary
  /** Per object: the same objects are made in the heap and freed one by one. */
  readonly heap: BatchSummary
}

/** Small scopes beside the objects that are in them. */
export const measureScopes = program<{ readonly plan: Plan }, void, ScopeFigures>(import.meta.url, 'measureScopes', async ({ plan }) => {
  using memory = BenchHeap.create()
  const heap = new ObjectHeap(memory.set)
  const objects = Array.from({ length: SCOPE_OBJECTS }, () => heap.new(Item, VALUE))
  for (const object of objects) heap.free(object)
  const kept = heap.createScope(PAGE_BYTES)
  const summaries = await interleave([
    loopContender('created', plan.batches, (count) => {
      for (let i = 0; i < count; i += SCOPE_OBJECTS) {
        const scope = heap.createScope(PAGE_BYTES)
        for (let at = 0; at < SCOPE_OBJECTS; at++) scope.new(Item, VALUE)
        scope.destroy()
      }
    }),
    loopContender('reset', plan.batches, (count) => {
      for (let i = 0; i < count; i += SCOPE_OBJECTS) {
        for (let at = 0; at < SCOPE_OBJECTS; at++) kept.new(Item, VALUE)
        kept.reset()
      }
    }),
    loopContender('heap', plan.batches, (count) => {
      for (let i = 0; i < count; i += SCOPE_OBJECTS) {
        for (let at = 0; at < SCOPE_OBJECTS; at++) objects[at] = heap.new(Item, VALUE)
        for (let at = 0; at < SCOPE_OBJECTS; at++) heap.free(objects[at]!)
      }
    }),
  ], plan.batches)
  kept.destroy()
  return { created: summaryOf(summaries, 'created'), reset: summaryOf(summaries, 'reset'), heap: summaryOf(summaries, 'heap') }
})
