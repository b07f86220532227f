import { formatNs, formatRatio, type Cell, type Output } from '../support/output.js'
import type { PeerName } from '../peers/peer.js'
import { BROWSER } from './look-ups.js'
import { LOOKUP_PEERS, type LookupResult } from './trial.js'
import type { MemoryFigures } from './memory.js'

const WAYS: ReadonlyArray<readonly [way: string, label: string]> = [
  ['rpcool_no_call', 'RPCool, in the heap\'s own index, no call'],
  ['rpcool_sync', 'RPCool, conn.sync.lookup()'],
  ['rpcool_await', 'RPCool, await conn.lookup()'],
  ['net_uds', 'JSON over a Unix socket'],
  ['thrift_uds', 'Thrift over a Unix socket'],
  ['grpc_uds', 'gRPC over a Unix socket'],
]

const PEER_LABELS: Readonly<Partial<Record<PeerName, string>>> = {
  net_uds: 'JSON over a Unix socket', thrift_uds: 'Thrift over a Unix socket', grpc_uds: 'gRPC over a Unix socket',
}

/** The figures for a person. */
export function printLookup(output: Output, result: LookupResult): void {
  printLookUps(output, result)
  printWalks(output, result)
  printMemory(output, result)
}

function printLookUps(output: Output, { look_ups, walks }: LookupResult): void {
  const mean = (key: string): number => look_ups[key]?.mean_ns ?? Number.NaN
  const cells = (kind: 'fact' | 'record', way: string): Cell[] =>
    [formatNs(mean(`${kind}/${way}`)), formatRatio(mean(`${kind}/${way}`) / mean(`${kind}/rpcool_await`))]
  output.table(
    `Look-ups in ${walks.features.toLocaleString('en')} features, each answer awaited`,
    ['', `since when ${BROWSER}?`, '÷ await', 'since when, every browser?', '÷ await'],
    WAYS.map(([way, label]) => [label, ...cells('fact', way), ...cells('record', way)]),
  )
  output.note('The peers\' servers pick the one fact, or send the feature\'s whole record as JSON, which their client parses. RPCool\'s\n' +
    'server answers a pointer either way, and the client reads what it wants.')
}

function printWalks(output: Output, { load_ns, heap_bytes, walks }: LookupResult): void {
  const first = formatNs(walks.plain_first_walk_ns)
  const walk = formatNs(walks.plain.mean_ns)
  const rows = LOOKUP_PEERS.map((peer) => [PEER_LABELS[peer] ?? peer, formatNs(walks.fetch_ns[peer] ?? Number.NaN), first, walk])
  output.table(
    `Walks over everything: which features does ${BROWSER} support? (${walks.supported.toLocaleString('en')})`,
    ['', 'until the data is there', 'first walk', 'each walk'],
    [['RPCool, by pointer', formatNs(walks.rpcool_ready_ns), formatNs(walks.rpcool_first_walk_ns), formatNs(walks.rpcool.mean_ns)], ...rows],
  )
  output.note(`RPCool: connect and ask for the root; the peers: ask for everything, stringify, send, parse; then both walk objects.\n` +
    `Before that the server loaded the package: in ${formatNs(load_ns.rpcool)} into the heap, where it takes ${formatMb(heap_bytes)}\n` +
    `(equal support statements are one object there); in ${formatNs(load_ns.plain)} into plain objects.`)
}

function printMemory(output: Output, { clients, memory }: LookupResult): void {
  const { rpcool, copies, idle_process } = memory
  const row = (label: string, figures: MemoryFigures): Cell[] => [
    label, formatMb(figures.server), formatMb(figures.per_client), formatMb(figures.sum),
    formatMb(figures.sum - (clients + 1) * idle_process),
  ]
  output.table(
    `Memory of a server and ${String(clients)} ${clients === 1 ? 'client' : 'clients'} that have the data (PSS: a shared page counts once)`,
    ['', 'server', 'each client', 'sum', 'beyond idle processes'],
    [row('RPCool, one heap for all', rpcool), row('JSON, a copy in every process', copies)],
  )
  output.note(`An idle Node process holds ${formatMb(idle_process)}. ` +
    (rpcool.daemon === undefined ? '' : `RPCool's daemon, one per user for all channels, adds ${formatMb(rpcool.daemon)}.`))
}

function formatMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`
}
