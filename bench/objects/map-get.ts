// Lookups in a map of a million texts in random order, beside JavaScript's Map: with the strings that were inserted, which
// carry their hash, and with equal strings made anew, as they come from outside.
import { map, text, u32 } from 'rpcool'
import { build } from '../../src/objects/index.js'
import { interleave, summaryOf, type BatchSummary, type Contender } from '../support/batches.js'
import { runChild } from '../support/child.js'
import { nowNs } from '../support/clock.js'
import { formatNs, formatRatio } from '../support/output.js'
import { randomOrder } from '../support/plain-list.js'
import { program } from '../support/program.js'
import { BenchHeap } from '../trials/memory-blocks.js'
import { planFor, type Plan } from '../trials/plans.js'
import type { Section } from './section.js'

const SEED = 7
const HEAP_BYTES = 512 << 20

export interface MapGetResult {
  readonly shared_same: BatchSummary
  readonly plain_same: BatchSummary
  readonly shared_fresh: BatchSummary
  readonly plain_fresh: BatchSummary
  /** The insertion of one key, and the longest single insertion. */
  readonly shared_insert_ns: number
  readonly plain_insert_ns: number
  readonly shared_longest_insert_us: number
  readonly plain_longest_insert_us: number
}

interface Getter {
  get(key: string): number | undefined
}

function gets(name: string, keysOf: () => readonly string[], target: Getter): Contender {
  return {
    name,
    batch() {
      const keys = keysOf()
      let sum = 0
      const start = nowNs()
      for (let i = 0; i < keys.length; i++) sum += target.get(keys[i]!) ?? Number.NaN
      const elapsed = nowNs() - start
      if (sum !== (keys.length * (keys.length - 1)) / 2) throw new Error(`${name} did not find every key`)
      return Promise.resolve(elapsed / keys.length)
    },
  }
}

/** Mean and longest time of an insertion. */
function timeInsertions(keys: readonly string[], insert: (key: string, i: number) => void): { readonly mean: number, readonly longest: number } {
  let longest = 0
  const start = nowNs()
  let last = start
  for (const [i, key] of keys.entries()) {
    insert(key, i)
    const now = nowNs()
    if (now - last > longest) longest = now - last
    last = now
  }
  return { mean: (last - start) / keys.length, longest }
}

function freshCopies(keys: readonly string[]): string[] {
  return keys.map((key) => Buffer.from(key, 'latin1').toString('latin1'))
}

export const measureMapGet = program<{ readonly plan: Plan, readonly keys: number }, void, MapGetResult>(
  import.meta.url,
  'measureMapGet',
  async ({ plan, keys: count }) => {
    using heap = BenchHeap.create(HEAP_BYTES)
    // Flat strings, as they come from a file or a socket: concatenated ones are slower to look at.
    const keys = freshCopies(Array.from({ length: count }, (_, i) => `user:${(Math.imul(i, 0x9e37_79b1) >>> 0).toString(36)}:${i}`))
    const plainMap = new Map<string, number>()
    const shared = build(map(text, u32), heap.set, [])
    const sharedInsert = timeInsertions(keys, (key, i) => shared.set(key, i))
    const plainInsert = timeInsertions(keys, (key, i) => plainMap.set(key, i))
    const shuffled = Array.from(randomOrder(count, SEED), (i) => keys[i]!)
    const fresh = (): string[] => freshCopies(shuffled)
    const summaries = await interleave([
      gets('plain_same', () => shuffled, plainMap), gets('shared_same', () => shuffled, shared),
      gets('plain_fresh', fresh, plainMap), gets('shared_fresh', fresh, shared),
    ], { ...plan.batches, rounds: Math.min(plan.batches.rounds, 7) })
    return {
      shared_same: summaryOf(summaries, 'shared_same'), plain_same: summaryOf(summaries, 'plain_same'),
      shared_fresh: summaryOf(summaries, 'shared_fresh'), plain_fresh: summaryOf(summaries, 'plain_fresh'),
      shared_insert_ns: sharedInsert.mean, plain_insert_ns: plainInsert.mean,
      shared_longest_insert_us: sharedInsert.longest / 1000, plain_longest_insert_us: plainInsert.longest / 1000,
    }
  },
)

/** Lookups and insertions beside Map. */
export const mapGet: Section = {
  name: 'map_get',
  async run({ quick, output, cpus }) {
    const count = quick ? 100_000 : 1_000_000
    const result = await runChild(measureMapGet, { plan: planFor(quick), keys: count }, { label: 'map lookups', cpu: cpus.caller })
    const { shared_same: same, plain_same: plainSame, shared_fresh: fresh, plain_fresh: plainFresh } = result
    const row = (what: string, shared: number, plain: number): string[] => [what, formatNs(shared), formatNs(plain), formatRatio(shared / plain)]
    output.table(`Look up one of ${count.toLocaleString('en')} texts in a map, random order`, ['', 'shared map', 'Map', 'shared ÷ Map'], [
      row('the strings that were inserted', same.mean_ns, plainSame.mean_ns),
      row('equal strings made anew', fresh.mean_ns, plainFresh.mean_ns),
      row('insert, mean', result.shared_insert_ns, result.plain_insert_ns),
      row('insert, the longest', result.shared_longest_insert_us * 1000, result.plain_longest_insert_us * 1000),
    ])
    return {
      map_get_over_plain_map: same.mean_ns / plainSame.mean_ns,
      map_get_fresh_over_plain_map: fresh.mean_ns / plainFresh.mean_ns,
      map_get: result,
    }
  },
}
