import { serveCompatibility } from '../../apps/compat-lookup/server.js'
import { listeningPeer } from '../peers/index.js'
import { loadHandler, type PeerName } from '../peers/peer.js'
import { nowNs } from '../support/clock.js'
import { program } from '../support/program.js'
import { PLAIN_HANDLER } from './plain-data.js'

/** On this signal a process that {@link collectOnDemand} prepared collects its garbage. */
export const COLLECT = 'SIGUSR2'

/** Lets the process be measured by what it holds: otherwise memory would be a matter of when its collector ran last. */
export function collectOnDemand(): void {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('start this process with --expose-gc')
  process.on(COLLECT, () => {
    // With options, Node 20 collects next to nothing.
    gc()
  })
}

export interface Served {
  readonly address: string
  /** From the start of loading to the first possible answer. */
  readonly loadNs: number
}

export interface ServedFromHeap extends Served {
  /** What the data takes in the shared heap. */
  readonly heapBytes: number
}

/** The application's own server. */
export const serveRpcool = program<{ readonly channel: string; readonly measured: boolean }, ServedFromHeap>(
  import.meta.url,
  'serveRpcool',
  async ({ channel, measured }, control) => {
    const start = nowNs()
    await using served = await serveCompatibility(channel)
    if (measured) collectOnDemand()
    control.ready({ address: served.server.channel, loadNs: nowNs() - start, heapBytes: served.server.heap.stats().liveBytes })
    await control.finish
  },
)

/** A peer's server with the data as plain objects. */
export const servePeer = program<{ readonly peer: PeerName; readonly directory: string; readonly measured: boolean }, Served>(
  import.meta.url,
  'servePeer',
  async ({ peer, directory, measured }, control) => {
    const start = nowNs()
    const handler = await loadHandler(PLAIN_HANDLER)
    await using listener = await listeningPeer(peer).listen(directory, handler)
    if (measured) collectOnDemand()
    control.ready({ address: listener.address, loadNs: nowNs() - start })
    await control.finish
  },
)
