import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { buildJson } from '../../src/objects/index.js'
import { runChild } from '../support/child.js'
import { formatRatio } from '../support/output.js'
import { program } from '../support/program.js'
import { BenchHeap } from '../trials/memory-blocks.js'
import { jsonData } from './data.js'
import type { Section } from './section.js'

const HEAP_BYTES = 512 << 20
/** Of a single value: a small one alone would drown in what else the garbage collector finds. */
const COPIES = 8

interface MemoryResult {
  readonly name: string
  readonly shared_bytes: number
  readonly plain_bytes: number
}

function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

/** Bytes of live blocks that the values take, shapes included; then of V8's heap that the same take as plain objects. */
function measure(name: string, values: readonly object[]): MemoryResult {
  using heap = BenchHeap.create(HEAP_BYTES)
  const before = heap.set.stats().liveBytes
  for (const value of values) buildJson(heap.set, value)
  const sharedBytes = heap.set.stats().liveBytes - before
  const texts = values.map((value) => JSON.stringify(value))
  const empty = heapUsed()
  const plain = texts.map((text) => JSON.parse(text) as unknown)
  const plainBytes = heapUsed() - empty
  if (plain.length !== values.length) throw new Error('the values were collected')
  return { name, shared_bytes: sharedBytes, plain_bytes: plainBytes }
}

export const measureJsonMemory = program<{ readonly documents: number }, void, MemoryResult[]>(import.meta.url, 'measureJsonMemory', ({ documents }) =>
  Promise.resolve(jsonData(documents).map(({ name, values }) => measure(name, values.length > 1 ? values : Array.from({ length: COPIES }, () => values[0]!)))))

/** Memory of documents beside that of the same as plain objects. */
export const jsonMemory: Section = {
  name: 'json_memory',
  async run({ quick, output, cpus }) {
    const results = await runChild(measureJsonMemory, { documents: quick ? 5_000 : 100_000 }, { label: 'memory of json', cpu: cpus.caller })
    const ratios = results.map(({ shared_bytes, plain_bytes }) => shared_bytes / plain_bytes)
    output.table('Memory of documents', ['', 'blocks in the heap', 'plain objects', '÷'], results.map(({ name, shared_bytes, plain_bytes }, i) => [
      name, `${(shared_bytes / 1e6).toFixed(2)} MB`, `${(plain_bytes / 1e6).toFixed(2)} MB`, formatRatio(ratios[i]!),
    ]))
    return { memory_over_plain: ratios[0]!, json_memory: results }
  },
}
