// Look-ups of random features through calls: RPCool, and the peers' JSON, in one client on one CPU.
import type { CompatStatement } from '@mdn/browser-compat-data/types'
import { connect, type Connection } from 'rpcool'
import { Support, type BrowserName, type CatalogView, type FeatureView } from '../../apps/compat-lookup/schema.js'
import { Compatibility } from '../../apps/compat-lookup/service.js'
import { listeningPeer } from '../peers/index.js'
import type { PeerClient, PeerName } from '../peers/peer.js'
import { interleave, loopContender, type BatchPlan, type BatchSummary, type Loop } from '../support/batches.js'
import { randomOrder } from '../support/plain-list.js'
import { program } from '../support/program.js'
import { factRequest, recordRequest, versionAdded } from './plain-data.js'

export const BROWSER: BrowserName = 'firefox'
const BROWSERS = Object.keys(Support.fields) as BrowserName[]
/** Features that are asked for, at random: more than the caches nearest to a core hold. */
const FEATURES = 4096
const SEED = 7

export interface Addresses {
  readonly channel: string
  readonly peers: ReadonlyArray<readonly [PeerName, string]>
}

export interface LookupPlan {
  readonly batches: BatchPlan
  /** Calls to every peer before its first batch: cold packages would flatter us. */
  readonly warmupCalls: number
}

/** What each way to ask takes, by `fact/WAY` and `record/WAY`. */
export type LookupFigures = Readonly<Record<string, BatchSummary>>

type Ask = (feature: string) => number | Promise<number>

/** One way to ask: when a browser got the feature, and when every browser did. Answers are reduced to a number. */
interface Way {
  readonly name: string
  readonly fact: Ask
  readonly record: Ask
}

/** Something of each answer, so that all ways can be seen to give the same. */
function weigh(version: string | undefined): number {
  return version === undefined ? 1 : version.length + version.charCodeAt(0)
}

function factOf(feature: FeatureView | null, browser: BrowserName): number {
  return weigh(feature?.compat?.support?.[browser].at(0)?.version_added)
}

function recordOf(feature: FeatureView | null): number {
  const support = feature?.compat?.support
  let sum = feature?.compat?.source_file.length ?? 0
  for (const browser of BROWSERS) sum += weigh(support?.[browser].at(0)?.version_added)
  return sum
}

function plainRecordOf(compat: CompatStatement): number {
  let sum = compat.source_file.length
  for (const browser of BROWSERS) sum += weigh(versionAdded(compat, browser))
  return sum
}

function rpcoolWays(connection: Connection<typeof Compatibility.methods>, catalog: CatalogView): Way[] {
  const { sync } = connection
  return [{
    name: 'rpcool_sync',
    fact: (feature) => factOf(sync.lookup(feature), BROWSER),
    record: (feature) => recordOf(sync.lookup(feature)),
  }, {
    name: 'rpcool_await',
    fact: async (feature) => factOf(await connection.lookup(feature), BROWSER),
    record: async (feature) => recordOf(await connection.lookup(feature)),
  }, {
    // The client needs nobody: the index lies in the heap too.
    name: 'rpcool_no_call',
    fact: (feature) => factOf(catalog.index.get(feature) ?? null, BROWSER),
    record: (feature) => recordOf(catalog.index.get(feature) ?? null),
  }]
}

function peerWay(name: PeerName, client: PeerClient): Way {
  return {
    name,
    fact: async (feature) => weigh((await client.lookup(factRequest(feature, BROWSER)) ?? undefined) as string | undefined),
    record: async (feature) => plainRecordOf(await client.lookup(recordRequest(feature)) as CompatStatement),
  }
}

/** Asks for one feature after the other, each answer awaited. */
function oneByOne(features: readonly string[], ask: Ask): Loop {
  let next = 0
  return async (count) => {
    for (let i = 0; i < count; i++) {
      const answer = ask(features[next++ % features.length] ?? '')
      // An answer that is there already must not pay for a turn of the microtask queue.
      if (typeof answer !== 'number') await answer
    }
  }
}

async function requireSameAnswers(ways: readonly Way[], features: readonly string[]): Promise<void> {
  for (const feature of features) {
    const answers = new Set(await Promise.all(ways.map(async (way) => `${String(await way.fact(feature))}/${String(await way.record(feature))}`)))
    if (answers.size !== 1) throw new Error(`the ways to ask disagree about ${feature}: ${[...answers].join(', ')}`)
  }
}

/** Random names of features that have a record. */
function chooseFeatures({ index }: CatalogView): string[] {
  const names = [...index].filter(([, feature]) => feature?.compat).map(([name]) => name)
  return [...randomOrder(names.length, SEED)].slice(0, FEATURES).map((i) => names[i] ?? '')
}

/** Runs on the calling side's CPU; all servers are on the other one, and those not asked sleep. */
export const measureLookups = program<{ readonly addresses: Addresses; readonly plan: LookupPlan }, void, LookupFigures>(
  import.meta.url,
  'measureLookups',
  async ({ addresses, plan }) => {
    await using clients = new Together()
    await using connection = await connect(addresses.channel, Compatibility)
    const catalog = connection.sync.catalog()
    if (catalog === null) throw new Error('the server has no catalog')
    const ways = rpcoolWays(connection, catalog)
    for (const [name, address] of addresses.peers) ways.push(peerWay(name, clients.add(await listeningPeer(name).connect(address))))
    const features = chooseFeatures(catalog)
    await requireSameAnswers(ways, features.slice(0, 200))
    for (const way of ways) await oneByOne(features, way.fact)(plan.warmupCalls)
    const contenders = ways.flatMap((way) => [
      loopContender(`fact/${way.name}`, plan.batches, oneByOne(features, way.fact)),
      loopContender(`record/${way.name}`, plan.batches, oneByOne(features, way.record)),
    ])
    return Object.fromEntries(await interleave(contenders, plan.batches))
  },
)

/** Clients that are all ended together. */
class Together implements AsyncDisposable {
  readonly #members: AsyncDisposable[] = []

  add<T extends AsyncDisposable>(member: T): T {
    this.#members.push(member)
    return member
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const member of this.#members.splice(0)) await member[Symbol.asyncDispose]()
  }
}
