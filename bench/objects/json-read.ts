import { build, buildJson, fast, json, jsonPath, list } from '../../src/objects/index.js'
import { interleave, summaryOf, type BatchSummary, type Contender } from '../support/batches.js'
import { runChild } from '../support/child.js'
import { formatNs, formatRatio } from '../support/output.js'
import { randomOrder } from '../support/plain-list.js'
import { pass } from '../support/passes.js'
import { program } from '../support/program.js'
import { BenchHeap } from '../trials/memory-blocks.js'
import { planFor, type Plan } from '../trials/plans.js'
import { NoBench, type NoBenchDocument } from '../nobench/generate.js'
import type { Section } from './section.js'

const ORDER_SEED = 7
const HEAP_BYTES = 512 << 20

interface Argument {
  readonly plan: Plan
  readonly documents: number
}

interface ReadResult {
  readonly plain: BatchSummary
  readonly fast_predicate: BatchSummary
  readonly kept_predicate: BatchSummary
  readonly fast_decoded: BatchSummary
  readonly proxy: BatchSummary
}

/** The documents as a program holds them: in a shared list, and as views that it keeps. */
interface Shared {
  readonly list: { at(index: number): NoBenchDocument | undefined }
  readonly views: readonly NoBenchDocument[]
}

/** Each loop stands for itself, as a program has it: one that all shared would see several kinds of objects. */
function passes(plain: readonly NoBenchDocument[], { list: documents, views }: Shared, order: Uint32Array): Contender[] {
  const count = plain.length
  const sought = plain[count >>> 1]!.str1
  const isSought = jsonPath('str1').equals(sought)
  const kept = views.map((view) => fast(view))
  const ofPlain = (): number => {
    let sum = 0
    for (let i = 0; i < count; i++) {
      const document = plain[order[i]!]!
      sum += document.num + document.nested_obj.num
      if (document.str1 === sought) sum++
    }
    return sum
  }
  const ofFast = (): number => {
    let sum = 0
    for (let i = 0; i < count; i++) {
      const document = documents.at(order[i]!)!
      sum += document.num + document.nested_obj.num
      if (isSought(document)) sum++
    }
    return sum
  }
  const ofKept = (): number => {
    let sum = 0
    for (let i = 0; i < count; i++) {
      const document = kept[order[i]!]!
      sum += document.num + document.nested_obj.num
      if (isSought(document)) sum++
    }
    return sum
  }
  const ofDecoded = (): number => {
    let sum = 0
    for (let i = 0; i < count; i++) {
      const document = documents.at(order[i]!)!
      sum += document.num + document.nested_obj.num
      if (document.str1 === sought) sum++
    }
    return sum
  }
  const ofProxies = (): number => {
    let sum = 0
    for (let i = 0; i < count; i++) {
      const document = views[order[i]!]!
      sum += document.num + document.nested_obj.num
      if (document.str1 === sought) sum++
    }
    return sum
  }
  const expected = count * (count - 1) + 1
  return [
    pass('plain', count, expected, ofPlain), pass('fast_predicate', count, expected, ofFast), pass('kept_predicate', count, expected, ofKept),
    pass('fast_decoded', count, expected, ofDecoded), pass('proxy', count, expected, ofProxies),
  ]
}

export const measureJsonRead = program<Argument, void, ReadResult>(import.meta.url, 'measureJsonRead', async ({ plan, documents }) => {
  using heap = BenchHeap.create(HEAP_BYTES)
  const plain = JSON.parse(JSON.stringify([...new NoBench(documents)])) as NoBenchDocument[]
  const views = plain.map((document) => buildJson(heap.set, document) as NoBenchDocument)
  const shared = { list: build(list(json.of<NoBenchDocument>().fast), heap.set, views), views }
  const summaries = await interleave(passes(plain, shared, randomOrder(documents, ORDER_SEED)), plan.batches)
  return {
    plain: summaryOf(summaries, 'plain'),
    fast_predicate: summaryOf(summaries, 'fast_predicate'),
    kept_predicate: summaryOf(summaries, 'kept_predicate'),
    fast_decoded: summaryOf(summaries, 'fast_decoded'),
    proxy: summaryOf(summaries, 'proxy'),
  }
})

/** Sum of `num` and `nested_obj.num`, and `str1` compared with a constant, over NoBench documents in random order. */
export const jsonRead: Section = {
  name: 'json_read',
  async run({ quick, output, cpus }) {
    const documents = quick ? 10_000 : 100_000
    const result = await runChild(measureJsonRead, { plan: planFor(quick), documents }, { label: 'reading json', cpu: cpus.caller })
    const row = (name: string, { mean_ns, least_ns, greatest_ns }: BatchSummary): string[] =>
      [name, formatNs(mean_ns), formatNs(least_ns), formatNs(greatest_ns), formatRatio(mean_ns / result.plain.mean_ns)]
    output.table(`num + nested_obj.num, and str1 compared, ${documents} NoBench documents in random order, per document`, ['', 'mean', 'least', 'greatest', '÷ plain'], [
      row('plain objects', result.plain),
      row('list(json.fast).at(i), str1 by a compiled predicate', result.fast_predicate),
      row('kept fast views, str1 by a compiled predicate', result.kept_predicate),
      row('list(json.fast).at(i), str1 decoded: doc.str1 === K', result.fast_decoded),
      row('kept proxies, str1 decoded', result.proxy),
    ])
    return {
      json_read_over_plain: result.fast_predicate.mean_ns / result.plain.mean_ns,
      json_read_kept_over_plain: result.kept_predicate.mean_ns / result.plain.mean_ns,
      json_read_decoded_over_plain: result.fast_decoded.mean_ns / result.plain.mean_ns,
      json_read_proxy_over_plain: result.proxy.mean_ns / result.plain.mean_ns,
      json_read: result,
    }
  },
}
