import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { PageRuns } from '../../../src/safety/seals/page-runs.js'

type Range = readonly [page: number, pages: number]

function runsOf(runs: PageRuns): Range[] {
  return Array.from({ length: runs.count }, (_, i) => [runs.page(i), runs.pages(i)] as const)
}

/** As merging must come out: page by page. */
function model(ranges: readonly Range[]): Range[] {
  const marked = new Set(ranges.flatMap(([page, pages]) => Array.from({ length: pages }, (_, i) => page + i)))
  const merged: [number, number][] = []
  for (const page of [...marked].sort((a, b) => a - b)) {
    const last = merged.at(-1)
    if (last !== undefined && last[0] + last[1] === page) last[1]++
    else merged.push([page, 1])
  }
  return merged
}

/** Ranges that do not overlap, in any order: gaps and lengths in turn, from a first page on. */
const ranges = fc.tuple(fc.nat(3000), fc.array(fc.tuple(fc.nat(70), fc.integer({ min: 1, max: 70 })), { minLength: 1, maxLength: 60 }), fc.integer())
  .map(([start, steps, seed]): Range[] => {
    let page = start
    const made = steps.map(([gap, pages]): Range => {
      const range: Range = [page + gap, pages]
      page += gap + pages
      return range
    })
    return seed % 3 === 0 ? made : made.map((range, i) => ({ range, key: Math.imul(i + 1, seed | 1) })).sort((a, b) => a.key - b.key).map(({ range }) => range)
  })

test('ranges in any order come out sorted, and those that touch as one run', () => {
  const runs = new PageRuns()
  fc.assert(fc.property(fc.array(ranges, { minLength: 1, maxLength: 4 }), (batches) => {
    // One after the other in the same object: nothing of one batch may be left in the next.
    for (const batch of batches) {
      runs.clear()
      for (const [page, pages] of batch) runs.add(page, pages)
      runs.merge()
      assert.deepEqual(runsOf(runs), model(batch))
    }
  }))
})

test('a whole word of pages, its borders, and the last page of a large heap', () => {
  for (const batch of [
    [[32, 32], [0, 32], [96, 1], [64, 32], [200, 1], [198, 1], [2, 0], [300, 1], [290, 3]],
    [[(1 << 20) - 1, 1], [0, 1], [31, 1], [32, 1], [63, 2], [500, 1], [400, 1], [95, 1], [96, 33]],
    [[9, 1], [7, 1], [5, 1]],
  ] as const) {
    const runs = new PageRuns()
    for (const [page, pages] of batch) if (pages > 0) runs.add(page, pages)
    runs.merge()
    assert.deepEqual(runsOf(runs), model(batch))
  }
})
