// What documents take: in the heap of a store, and as plain objects.
import { setTimeout as sleep } from 'node:timers/promises'
import type { PlainDocument } from '../../apps/document-store/store/plain-documents.js'
import { runChild } from '../support/child.js'
import { program } from '../support/program.js'
import { NoBench } from '../nobench/generate.js'
import { keyOf } from './mix.js'

/** Bytes of V8's heap that documents take, as a server that had them as JSON text holds them: with their keys. */
export const measurePlainBytes = program<number, void, number>(import.meta.url, 'measurePlainBytes', async (count) => {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('start this with --expose-gc')
  const settled = async (): Promise<number> => {
    for (let i = 0; i < 3; i++) {
      gc()
      await sleep(10)
    }
    return process.memoryUsage().heapUsed
  }
  const bench = new NoBench(count)
  const held: PlainDocument[] = Array.from({ length: count })
  const before = await settled()
  for (let i = 0; i < count; i++) held[i] = JSON.parse(JSON.stringify({ key: keyOf(i), body: bench.document(i) })) as PlainDocument
  const bytes = await settled() - before
  if (held.length !== count || bench.count !== count) throw new Error('the documents must be reachable until here')
  return bytes
})

export async function plainBytes(count: number, cpu: number): Promise<number> {
  return await runChild(measurePlainBytes, count, { label: 'plain documents', cpu, nodeArguments: ['--expose-gc'] })
}
