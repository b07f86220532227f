import { buildJson, parseJson, release } from '../../src/objects/index.js'
import type { Allocator } from '../../src/memory/region.js'
import { interleave, summaryOf, type BatchSummary, type Contender } from '../support/batches.js'
import { runChild } from '../support/child.js'
import { nowNs } from '../support/clock.js'
import { formatNs, formatRatio } from '../support/output.js'
import { program } from '../support/program.js'
import { BenchHeap } from '../trials/memory-blocks.js'
import { planFor, type Plan } from '../trials/plans.js'
import { jsonData, type JsonData } from './data.js'
import { measureNativeParser, nativeParser, type NativeParser } from './native-parser.js'
import type { Section } from './section.js'

const HEAP_BYTES = 512 << 20
/** A pass over less text than this is repeated: the lock file alone takes a third of a millisecond. */
const PASS_BYTES = 4 << 20

interface Argument {
  readonly plan: Plan
  readonly documents: number
}

interface WriteResult {
  readonly name: string
  /** Of the JSON text of all values. */
  readonly bytes: number
  readonly stringify_parse: BatchSummary
  readonly build: BatchSummary
  readonly json_parse: BatchSummary
  readonly json_parse_of_buffer: BatchSummary
  readonly parse: BatchSummary
}

/** One batch does something with every value, `times` over, and lets go of what that made outside the clock. */
function pass(name: string, values: number, times: number, work: (index: number) => unknown, letGo: (made: unknown) => void): Contender {
  return {
    name,
    batch() {
      let elapsed = 0
      for (let round = 0; round < times; round++) {
        const made: unknown[] = []
        const start = nowNs()
        for (let i = 0; i < values; i++) made.push(work(i))
        elapsed += nowNs() - start
        for (const one of made) letGo(one)
      }
      return Promise.resolve(elapsed / times)
    },
  }
}

async function measure(allocator: Allocator, { name, values }: JsonData, plan: Plan): Promise<WriteResult> {
  const texts = values.map((value) => JSON.stringify(value))
  const buffers = texts.map((text) => Buffer.from(text))
  const bytes = buffers.reduce((sum, { length }) => sum + length, 0)
  const times = Math.max(1, Math.ceil(PASS_BYTES / bytes))
  const nothing = (): void => undefined
  const free = (made: unknown): void => release(allocator, made as object)
  const contender = (of: string, work: (index: number) => unknown, letGo: (made: unknown) => void): Contender =>
    pass(of, values.length, times, work, letGo)
  const summaries = await interleave([
    contender('stringify_parse', (i) => JSON.parse(JSON.stringify(values[i])) as unknown, nothing),
    contender('build', (i) => buildJson(allocator, values[i]), free),
    contender('json_parse', (i) => JSON.parse(texts[i]!) as unknown, nothing),
    contender('json_parse_of_buffer', (i) => JSON.parse(buffers[i]!.toString()) as unknown, nothing),
    contender('parse', (i) => parseJson(allocator, buffers[i]!), free),
  ], plan.batches)
  const of = (which: string): BatchSummary => summaryOf(summaries, which)
  return {
    name, bytes, stringify_parse: of('stringify_parse'), build: of('build'), json_parse: of('json_parse'), json_parse_of_buffer: of('json_parse_of_buffer'), parse: of('parse'),
  }
}

export const measureJsonWrite = program<Argument, void, WriteResult[]>(import.meta.url, 'measureJsonWrite', async ({ plan, documents }) => {
  using heap = BenchHeap.create(HEAP_BYTES)
  const results: WriteResult[] = []
  for (const data of jsonData(documents)) results.push(await measure(heap.set, data, plan))
  return results
})

async function nativeParsers({ plan, documents }: Argument, cpu: number): Promise<readonly NativeParser[] | undefined> {
  const program = await nativeParser()
  if (program === undefined) return undefined
  const measured: NativeParser[] = []
  for (const { values } of jsonData(documents)) {
    const texts = values.map((value) => JSON.stringify(value))
    const passes = Math.max(1, Math.ceil(PASS_BYTES / texts.reduce((sum, { length }) => sum + length, 0)))
    measured.push(await measureNativeParser(program, texts, passes, plan.batches.rounds, cpu))
  }
  return measured
}

/** heap.json beside JSON.stringify + JSON.parse, and parseJson beside JSON.parse. */
export const jsonWrite: Section = {
  name: 'json_write',
  async run({ quick, output, cpus }) {
    const argument = { plan: planFor(quick), documents: quick ? 2_000 : 20_000 }
    const results = await runChild(measureJsonWrite, argument, { label: 'writing json', cpu: cpus.caller })
    const built = results.map(({ build, stringify_parse }) => build.mean_ns / stringify_parse.mean_ns)
    // Both start from the same bytes, as they come from a socket or a file; a string that lies there already is another task.
    const parsed = results.map(({ parse, json_parse_of_buffer }) => parse.mean_ns / json_parse_of_buffer.mean_ns)
    const ofStrings = results.map(({ parse, json_parse }) => parse.mean_ns / json_parse.mean_ns)
    const columns = ['', 'text', 'stringify + parse', 'heap.json', '÷', 'JSON.parse of a buffer', 'of a string', 'parseJson(buffer)', '÷ buffer', '÷ string']
    output.table('Documents written into shared memory', columns,
      results.map(({ name, bytes, stringify_parse, build, json_parse, json_parse_of_buffer, parse }, i) => [
        name, `${(bytes / 1e6).toFixed(2)} MB`, formatNs(stringify_parse.mean_ns), formatNs(build.mean_ns), formatRatio(built[i]!),
        formatNs(json_parse_of_buffer.mean_ns), formatNs(json_parse.mean_ns), formatNs(parse.mean_ns), formatRatio(parsed[i]!), formatRatio(ofStrings[i]!),
      ]))
    const native = await nativeParsers(argument, cpus.caller)
    if (native === undefined) output.note('A native parser beside parseJson: install libsimdjson-dev to see what simdjson takes for the same texts.')
    else {
      output.table('Limit of a native parser: simdjson over the same texts, and no document yet', ['', 'to its tape', 'parseJson ÷', 'and each key, text and number copied once', 'parseJson ÷'],
        native.map(({ tape_ns, walked_ns }, i) => {
          const { name, parse } = results[i]!
          return [name, formatNs(tape_ns), formatRatio(parse.mean_ns / tape_ns), formatNs(walked_ns), formatRatio(parse.mean_ns / walked_ns)]
        }))
    }
    return {
      ...(native === undefined ? {} : { simdjson: native }),
      json_build_over_stringify_parse: Math.max(...built),
      parse_over_json_parse: Math.max(...parsed),
      parse_over_json_parse_of_string: Math.max(...ofStrings),
      json_write: results,
    }
  },
}
