// The main job measured: apps/compat-lookup beside the peers.
import { join } from 'node:path'
import { startChild, runChild, type Child } from '../support/child.js'
import { twoCpus, type CpuPair } from '../support/cpus.js'
import { Workspace } from '../support/workspace.js'
import type { PeerName } from '../peers/peer.js'
import { measureLookups, type Addresses, type LookupFigures, type LookupPlan } from './look-ups.js'
import { compareMemory, type MemoryComparison } from './memory.js'
import { servePeer, serveRpcool, type Served } from './servers.js'
import { measureWalks, type WalkFigures } from './walks.js'

export const LOOKUP_PEERS: readonly PeerName[] = ['net_uds', 'thrift_uds', 'grpc_uds']
const CHANNEL = 'bench/compatibility'

export interface LookupOptions {
  readonly clients: number
  readonly quick: boolean
  /** Told what is going on, in a few words. */
  readonly progress: (step: string) => void
}

export interface LookupResult {
  readonly clients: number
  /** Loading the package into the shared heap, and into plain objects. */
  readonly load_ns: { readonly rpcool: number; readonly plain: number }
  /** What the data takes in the heap; the JSON has 20.6 MB. */
  readonly heap_bytes: number
  readonly look_ups: LookupFigures
  readonly walks: WalkFigures
  readonly memory: MemoryComparison
}

interface Plan extends LookupPlan {
  readonly fetches: number
}

const FULL: Plan = { batches: { rounds: 7, warmupRounds: 2, batchMs: 70 }, warmupCalls: 3_000, fetches: 3 }
const QUICK: Plan = { batches: { rounds: 3, warmupRounds: 1, batchMs: 15 }, warmupCalls: 200, fetches: 1 }

export async function runLookup({ clients, quick, progress }: LookupOptions): Promise<LookupResult> {
  const cpus = twoCpus()
  const plan = quick ? QUICK : FULL
  using workspace = new Workspace()
  // A daemon of its own: the figures are of this run's processes only.
  process.env['RPCOOL_RUNTIME_DIR'] = join(workspace.directory, 'run')
  const timed = await measureTimes(workspace.directory, cpus, plan, progress)
  progress(`memory with ${String(clients)} clients`)
  const memory = await compareMemory(workspace.directory, CHANNEL, clients, cpus)
  return { clients, ...timed, memory }
}

type Times = Pick<LookupResult, 'load_ns' | 'heap_bytes' | 'look_ups' | 'walks'>

async function measureTimes(directory: string, cpus: CpuPair, plan: Plan, progress: LookupOptions['progress']): Promise<Times> {
  const servers: AsyncDisposable[] = []
  const start = async <S extends Served>(server: Child<S, void>): Promise<S> => {
    servers.push(server)
    return await server.ready()
  }
  const at = (label: string): { readonly cpu: number; readonly label: string } => ({ cpu: cpus.answerer, label })
  try {
    progress('the server loads 20 MB of JSON into a shared heap')
    const rpcool = await start(startChild(serveRpcool, { channel: CHANNEL, measured: false }, at('the RPCool server')))
    progress('the peers load it into plain objects')
    const peers: [PeerName, Served][] = []
    for (const peer of LOOKUP_PEERS) {
      peers.push([peer, await start(startChild(servePeer, { peer, directory, measured: false }, at(`the server of ${peer}`)))])
    }
    const addresses: Addresses = { channel: rpcool.address, peers: peers.map(([name, { address }]) => [name, address]) }
    progress('look-ups, each way in turn')
    const look_ups = await runChild(measureLookups, { addresses, plan }, { label: 'the client that looks up', cpu: cpus.caller })
    progress('walks, after everybody has fetched what they need')
    const walks = await runChild(measureWalks, { addresses, batches: plan.batches, fetches: plan.fetches },
      { label: 'the client that walks', cpu: cpus.caller })
    const { heapBytes: heap_bytes } = rpcool
    return { heap_bytes, load_ns: { rpcool: rpcool.loadNs, plain: peers[0]?.[1].loadNs ?? Number.NaN }, look_ups, walks }
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]()
  }
}

