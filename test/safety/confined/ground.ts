// What tests of programs under "rpcool run" stand on: a server here, programs, and the proof at the end that nothing of them is left.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DaemonClient } from '../../../src/control/index.js'
import { serve, type Server, type ServerOptions } from '../../../src/index.js'
import { mappingCount } from '../../../src/sys/index.js'
import { Launched } from '../../support/launched.js'
import { SealedService } from '../../support/sealed-service.js'

let channels = 0

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !await condition(); waited += 5) {
    assert.ok(waited < 30_000, `waited in vain for: ${what}`)
    await sleep(5)
  }
}

interface Started {
  readonly programs: Launched[]
  readonly servers: Server[]
}
const started = new Map<TestContext, Started>()

/** What a test started: it ends in order, and leaves nothing. */
async function startedBy(t: TestContext): Promise<Started> {
  const known = started.get(t)
  if (known !== undefined) return known
  await DaemonClient.shared().connect()
  const mappings = mappingCount()
  const all: Started = { programs: [], servers: [] }
  started.set(t, all)
  t.after(async () => {
    for (const program of all.programs) await program.end()
    for (const server of all.servers) {
      await until('the connections to go', () => server.connectionCount === 0)
      await server.close()
    }
    assert.equal(mappingCount(), mappings, 'memory of clients is left')
  })
  return all
}

export interface Local {
  readonly server: Server
  /** Lets the handlers of `hold` go on. */
  readonly release: () => void
  readonly waiting: () => number
  /** How each argument was isolated. */
  readonly isolations: () => readonly string[]
}

/** A server here. */
export async function local(t: TestContext, options: ServerOptions = {}): Promise<Local> {
  const { servers } = await startedBy(t)
  const waiting: (() => void)[] = []
  const isolations: string[] = []
  const server = await serve(`confined/${process.pid}/${++channels}`, SealedService, {
    read: ({ value }, call) => {
      isolations.push(`${call.isolation} ${String(call.isSealed)}`)
      return value
    },
    hold: async (paper) => {
      const before = paper.value
      await new Promise<void>((resolve) => waiting.push(resolve))
      return paper.value === before ? 'the same' : 'changed'
    },
  }, options)
  servers.push(server)
  return { server, waiting: () => waiting.length, release: () => waiting.splice(0).forEach((resolve) => resolve()), isolations: () => isolations }
}

export async function launch(t: TestContext, channel: string, ...options: readonly string[]): Promise<Launched> {
  const program = await Launched.client(channel, ...options)
  const { programs } = await startedBy(t)
  programs.push(program)
  return program
}

export interface Connected {
  readonly connection: number
  readonly strength: string
}

/** Connects again and again until its seals are what is expected: after a death everybody comes back in their own time. */
export async function connectAgain(client: Launched, expected: string): Promise<Connected> {
  let last: unknown
  for (let attempt = 0; attempt < 100; attempt++) {
    const next = await client.ask('connect') as string | Connected
    if (typeof next !== 'string' && next.strength === expected) return next
    last = next
    if (typeof next !== 'string') await client.ask('close', next.connection)
    await sleep(50)
  }
  throw new assert.AssertionError({ message: `no new connection gets seals that are ${expected}: ${JSON.stringify(last)}` })
}
