// The process that calls: it has all documents, a client of every way, and a store of its own as the limit.
import { program } from '../support/program.js'
import type { CpuPair } from '../support/cpus.js'
import { dataSet } from './mix.js'
import { type Figures, type MeasurePlan, measureWays } from './measure.js'
import { DOCUMENT_PEERS, openDocumentPeer } from './peers.js'
import { type HeapUse, openRpcoolWay } from './rpcool.js'
import { InProcessWay, PeerWay, type Way } from './ways.js'

interface Argument {
  readonly count: number
  readonly searches: number
  readonly cpus: CpuPair
  readonly plan: MeasurePlan
}

export interface ClientResult {
  readonly figures: Readonly<Record<string, Figures>>
  /** What all documents take of the trusting store's heap. */
  readonly heap: HeapUse
}

export const measureDocuments = program<Argument, void, ClientResult>(import.meta.url, 'measureDocuments', async ({ count, searches, cpus, plan }) => {
  const data = dataSet(count, searches)
  const ways: Way[] = []
  try {
    const trusting = await openRpcoolWay('trusting', data, cpus.answerer)
    ways.push(trusting, await openRpcoolWay('isolated', data, cpus.answerer))
    for (const peer of DOCUMENT_PEERS) ways.push(new PeerWay(peer.name, await openDocumentPeer(peer, cpus.answerer), data))
    ways.push(new InProcessWay(data))
    const before = await trusting.heapUse()
    const figures = await measureWays(ways, data, plan)
    // All documents are in it now, once.
    const after = await trusting.heapUse()
    return { figures: Object.fromEntries(figures), heap: { live: after.live - before.live, footprint: after.footprint - before.footprint } }
  } finally {
    for (const way of ways) await way[Symbol.asyncDispose]()
  }
})
