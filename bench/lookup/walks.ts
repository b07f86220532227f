// The walk over all features: by pointer in the server's heap, and over plain objects after fetching and parsing everything.
import type { CompatData } from '@mdn/browser-compat-data/types'
import { connect } from 'rpcool'
import { Compatibility } from '../../apps/compat-lookup/service.js'
import { countSupported } from '../../apps/compat-lookup/walk.js'
import { listeningPeer } from '../peers/index.js'
import type { PeerName } from '../peers/peer.js'
import { interleave, summaryOf, type BatchPlan, type BatchSummary, type Contender } from '../support/batches.js'
import { nowNs } from '../support/clock.js'
import { program } from '../support/program.js'
import { median } from '../support/statistics.js'
import { BROWSER, type Addresses } from './look-ups.js'
import { ALL, countSupportedPlain } from './plain-data.js'

export interface WalkFigures {
  readonly features: number
  /** How many of them the browser supports: what every walk must find. */
  readonly supported: number
  readonly rpcool: BatchSummary
  readonly plain: BatchSummary
  /** Connecting to the server and having the root. First walks are of code that is not compiled yet; RPCool's maps the pages too. */
  readonly rpcool_ready_ns: number
  readonly rpcool_first_walk_ns: number
  readonly plain_first_walk_ns: number
  /** Asking for everything, as JSON, and parsing it. */
  readonly fetch_ns: Readonly<Partial<Record<PeerName, number>>>
}

interface Argument {
  readonly addresses: Addresses
  readonly batches: BatchPlan
  readonly fetches: number
}

/** Runs on the calling side's CPU. */
export const measureWalks = program<Argument, void, WalkFigures>(
  import.meta.url,
  'measureWalks',
  async ({ addresses, batches, fetches }) => {
    const first = await firstWalks(addresses.channel, fetches)
    await using connection = await connect(addresses.channel, Compatibility)
    const catalog = connection.sync.catalog()
    if (catalog === null) throw new Error('the server has no catalog')
    const { data, fetch_ns } = await fetchFromAll(addresses, fetches)
    const start = nowNs()
    const supported = countSupportedPlain(data, BROWSER)
    const plain_first_walk_ns = nowNs() - start
    const contenders = [
      walkContender('rpcool', supported, batches, () => countSupported(catalog, BROWSER)),
      walkContender('plain', supported, batches, () => countSupportedPlain(data, BROWSER)),
    ]
    const summaries = await interleave(contenders, batches)
    return {
      features: catalog.index.size,
      supported,
      rpcool: summaryOf(summaries, 'rpcool'),
      plain: summaryOf(summaries, 'plain'),
      ...first,
      plain_first_walk_ns,
      fetch_ns,
    }
  },
)

async function firstWalks(channel: string, times: number): Promise<Pick<WalkFigures, 'rpcool_ready_ns' | 'rpcool_first_walk_ns'>> {
  const ready: number[] = []
  const walked: number[] = []
  for (let i = 0; i < times; i++) {
    const start = nowNs()
    await using connection = await connect(channel, Compatibility)
    const catalog = connection.sync.catalog()
    const rooted = nowNs()
    if (catalog !== null) countSupported(catalog, BROWSER)
    ready.push(rooted - start)
    walked.push(nowNs() - rooted)
  }
  return { rpcool_ready_ns: median(ready), rpcool_first_walk_ns: walked[0] ?? Number.NaN }
}

async function fetchFromAll({ peers }: Addresses, times: number): Promise<{ data: CompatData; fetch_ns: WalkFigures['fetch_ns'] }> {
  const medians: [PeerName, number][] = []
  let data: CompatData | undefined
  for (const [name, address] of peers) {
    await using client = await listeningPeer(name).connect(address)
    const samples: number[] = []
    for (let i = 0; i < times; i++) {
      const start = nowNs()
      data = await client.lookup(ALL) as CompatData
      samples.push(nowNs() - start)
    }
    medians.push([name, median(samples)])
  }
  if (data === undefined) throw new Error('there is no peer to fetch from')
  return { data, fetch_ns: Object.fromEntries(medians) }
}

/** A batch is as many walks as fill its time; ns per walk. */
function walkContender(name: string, expected: number, { batchMs }: BatchPlan, walk: () => number): Contender {
  return {
    name,
    batch() {
      const start = nowNs()
      let walks = 0
      let elapsed = 0
      do {
        const count = walk()
        if (count !== expected) throw new Error(`the walk ${name} counted ${String(count)}, not ${String(expected)}`)
        walks++
        elapsed = nowNs() - start
      } while (elapsed < batchMs * 1e6)
      return Promise.resolve(elapsed / walks)
    },
  }
}
