// What one server and N clients hold while all of them have the data: PSS, which counts a shared page once.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CompatData } from '@mdn/browser-compat-data/types'
import { connect } from 'rpcool'
import { Compatibility } from '../../apps/compat-lookup/service.js'
import { countSupported } from '../../apps/compat-lookup/walk.js'
import { listeningPeer } from '../peers/index.js'
import { startChild, type Child, type ChildOptions } from '../support/child.js'
import type { CpuPair } from '../support/cpus.js'
import { pssBytes } from '../support/process-usage.js'
import { program } from '../support/program.js'
import { BROWSER } from './look-ups.js'
import { ALL, countSupportedPlain } from './plain-data.js'
import { COLLECT, collectOnDemand, servePeer, serveRpcool } from './servers.js'

/** Between asking for a collection and looking. */
const COLLECT_MS = 300
/** Two sums in a row that differ by less: everybody has collected, and the kernel has its pages back. */
const SETTLED = 0.01
const LOOKS_MAX = 20

/** Memory of one server and its clients, in bytes. */
export interface MemoryFigures {
  readonly server: number
  readonly per_client: number
  readonly sum: number
  /** The daemon, which serves all channels of a user. */
  readonly daemon?: number
}

export interface MemoryComparison {
  readonly rpcool: MemoryFigures
  readonly copies: MemoryFigures
  /** A Node process of the same harness that does nothing, among as many. */
  readonly idle_process: number
}

export const holdShared = program<string>(import.meta.url, 'holdShared', async (channel, control) => {
  await using connection = await connect(channel, Compatibility)
  const catalog = connection.sync.catalog()
  if (catalog === null || countSupported(catalog, BROWSER) === 0) throw new Error('the server has no data')
  collectOnDemand()
  control.ready()
  await control.finish
})

export const holdCopy = program<string>(import.meta.url, 'holdCopy', async (address, control) => {
  let data: CompatData
  {
    await using client = await listeningPeer('net_uds').connect(address)
    data = await client.lookup(ALL) as CompatData
  }
  if (countSupportedPlain(data, BROWSER) === 0) throw new Error('the server has no data')
  collectOnDemand()
  control.ready()
  await control.finish
  // The data must have been reachable until here.
  if (countSupportedPlain(data, BROWSER) === 0) throw new Error('the data is gone')
})

export const holdNothing = program<null>(import.meta.url, 'holdNothing', async (_, control) => {
  collectOnDemand()
  control.ready()
  await control.finish
})

const MEASURED = { nodeArguments: ['--expose-gc'] }

/** Measures one after the other, so that neither has the other's processes to share a page with. */
export async function compareMemory(
  directory: string, channel: string, clients: number, { caller, answerer }: CpuPair,
): Promise<MemoryComparison> {
  const on = (cpu: number, label: string): ChildOptions => ({ ...MEASURED, cpu, label })
  const idle = await measured(clients, () => startChild(holdNothing, null, on(caller, 'an idle process')), undefined)
  const rpcool = await (async () => {
    await using server = startChild(serveRpcool, { channel, measured: true }, on(answerer, 'the RPCool server'))
    const { address } = await server.ready()
    return await measured(clients, () => startChild(holdShared, address, on(caller, 'a client of RPCool')), server.pid)
  })()
  const copies = await (async () => {
    await using server = startChild(servePeer, { peer: 'net_uds', directory, measured: true }, on(answerer, 'the JSON server'))
    const { address } = await server.ready()
    return await measured(clients, () => startChild(holdCopy, address, on(caller, 'a client with a copy')), server.pid)
  })()
  return { rpcool, copies, idle_process: idle.per_client }
}

async function measured(count: number, start: () => Child<void, void>, server: number | undefined): Promise<MemoryFigures> {
  const clients: Child<void, void>[] = []
  try {
    // One after the other: all at once would only measure how they wait for one CPU.
    for (let i = 0; i < count; i++) {
      const client = start()
      clients.push(client)
      await client.ready()
    }
    const pids = clients.map(({ pid }) => pid)
    const sum = await settledSum(server === undefined ? pids : [server, ...pids])
    const ofServer = server === undefined ? 0 : pssBytes(server)
    const daemon = daemonPid()
    return {
      server: ofServer,
      per_client: (sum - ofServer) / count,
      sum,
      ...(daemon === undefined ? {} : { daemon: pssBytes(daemon) }),
    }
  } finally {
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()))
  }
}

/** What the processes hold together once they have collected their garbage. */
async function settledSum(pids: readonly number[]): Promise<number> {
  let before = 0
  for (let look = 0; ; look++) {
    for (const pid of pids) process.kill(pid, COLLECT)
    await sleep(COLLECT_MS)
    const sum = pids.reduce((total, pid) => total + pssBytes(pid), 0)
    if (Math.abs(sum - before) < sum * SETTLED || look === LOOKS_MAX) return sum
    before = sum
  }
}

/** The daemon of this run's own runtime directory. */
function daemonPid(): number | undefined {
  const directory = process.env['RPCOOL_RUNTIME_DIR']
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
    try {
      return readFileSync(`/proc/${String(pid)}/comm`, 'utf8').trim() === 'rpcool-daemon' &&
        readFileSync(`/proc/${String(pid)}/environ`, 'utf8').split('\0').includes(`RPCOOL_RUNTIME_DIR=${directory ?? ''}`)
    } catch {
      return false // another user's process, or one that has ended
    }
  })
}
