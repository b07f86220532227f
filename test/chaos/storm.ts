// Kills processes with SIGKILL at random moments while they connect, allocate and call, and sees to it that the survivors
// are told and that everything comes back.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { DaemonClient } from '../../src/control/index.js'
import { isAlive, memoryFiles } from '../support/leaks.js'
import { Random } from '../support/random.js'
import { Worker } from './worker.js'

/** Clients at work at the same time, in one burst. */
const CLIENTS = 7
/** A burst ends within this, in microseconds. */
const BURST_US = 40_000
const BURSTS_PER_ROUND = 10

export interface StormOptions {
  readonly kills: number
  readonly seed: number
  readonly sharedHeapBytes?: number
  /** The daemon dies too, in every second burst. */
  readonly daemon?: boolean
  /** True ends the storm. */
  readonly over?: () => boolean
}

interface Victim {
  readonly shoot: () => void
  readonly atUs: number
}

export class Storm {
  readonly channel: string
  kills = 0
  daemonKills = 0
  /** Clients whose server was told of their death; others were connecting. */
  told = 0
  /** Handlers at work for a client that died. */
  aborted = 0
  readonly #random: Random
  readonly #spares: Worker[] = []
  readonly #all = new Set<Worker>()
  readonly #dead: number[] = []
  #server: Worker | undefined
  /** Clients at rest. */
  #clients: Worker[] = []
  /** How many connections each of them has. */
  readonly #connections = new Map<Worker, number>()

  constructor(readonly options: StormOptions) {
    this.channel = `storm/${process.pid}/${options.seed}`
    this.#random = new Random(options.seed)
  }

  async run(): Promise<void> {
    try {
      while (this.kills < this.options.kills && this.options.over?.() !== true) {
        for (let i = 0; i < BURSTS_PER_ROUND && this.kills < this.options.kills; i++) await this.#burst()
        await this.#endOfRound()
      }
    } finally {
      for (const worker of this.#all) await worker.kill()
    }
  }

  #worker(): Worker {
    const worker = new Worker()
    this.#all.add(worker)
    return worker
  }

  async #fill(): Promise<void> {
    const { channel, options: { sharedHeapBytes } } = this
    const missing = CLIENTS - this.#clients.length + (this.#server === undefined ? 1 : 0)
    while (this.#spares.length < missing) this.#spares.push(this.#worker())
    const fresh = this.#spares.splice(0, missing)
    for (const worker of fresh) await worker.ready
    if (this.#server === undefined) {
      this.#server = fresh.pop()!
      await this.#server.ask('serve', { channel, ...(sharedHeapBytes === undefined ? {} : { sharedHeapBytes }) })
    }
    this.#clients.push(...fresh)
  }

  /** All start to work, and some die on the way. */
  async #burst(): Promise<void> {
    const random = this.#random
    await this.#fill()
    const server = this.#server!
    const clients = this.#clients.splice(0)
    const { victims, daemon } = await this.#victims(clients, server)
    // Most die at work, some while they connect.
    if (!random.chance(4)) await Promise.all(clients.map((client) => client.ask('connect', { channel: this.channel, seed: random.word() })))
    for (const client of clients) client.tell('work', { channel: this.channel, seed: random.word() })
    await fire(victims)
    await sleep(random.below(3))
    const dead = [...clients, server].filter((worker) => worker.process.killed)
    this.kills += dead.length
    this.#dead.push(...dead.map(({ pid }) => pid))
    await Promise.all(dead.map(({ ended }) => ended))
    for (const worker of dead) this.#all.delete(worker)
    this.daemonKills += daemon
    await this.#rest(clients.filter((client) => !dead.includes(client)), dead.includes(server))
  }

  async #victims(clients: readonly Worker[], server: Worker): Promise<{ victims: Victim[], daemon: number }> {
    const random = this.#random
    const victims: Victim[] = []
    const last = random.below(BURST_US)
    const count = 3 + random.below(clients.length - 3)
    const rest = [...clients]
    for (let i = 0; i < count; i++) {
      const victim = rest.splice(random.below(rest.length), 1)[0]!
      victims.push({ shoot: () => victim.shoot(), atUs: random.below(last + 1) })
    }
    // The server dies at a moment of its own, or in the same moment as a client.
    if (random.chance(3)) victims.push({ shoot: () => server.shoot(), atUs: random.chance(2) ? random.below(last + 1) : victims[0]!.atUs })
    const daemon = this.options.daemon === true && random.chance(2)
    if (daemon) {
      const { pid } = await DaemonClient.shared().connect()
      victims.push({ shoot: () => void process.kill(pid, 'SIGKILL'), atUs: random.below(last + 1) })
      this.#dead.push(pid)
    }
    return { victims: victims.sort((a, b) => a.atUs - b.atUs), daemon: daemon ? 1 : 0 }
  }

  async #rest(survivors: Worker[], serverDied: boolean): Promise<void> {
    for (const client of this.#connections.keys()) if (!survivors.includes(client)) this.#connections.delete(client)
    await Promise.all(survivors.map(async (client) => {
      this.#connections.set(client, await client.ask('pause', { serverDied }))
    }))
    this.#clients = survivors
    if (serverDied) this.#server = undefined
    else await this.#settle()
  }

  async #settle(): Promise<void> {
    const living = [...this.#connections].flatMap(([{ pid }, count]) => Array.from({ length: count }, () => pid))
    const { crashed, aborted } = await this.#server!.ask('settle', living)
    this.told += crashed
    this.aborted += aborted
  }

  /** Everybody goes home, and nothing is left of anybody. */
  async #endOfRound(): Promise<void> {
    await this.#fill()
    await Promise.all(this.#clients.map((client) => client.ask('finish', undefined)))
    this.#connections.clear()
    await this.#settle()
    const server = this.#server!
    await server.ask('account', undefined)
    await server.ask('stop', undefined)
    this.#server = undefined
    this.#spares.unshift(server)
    const daemon = await DaemonClient.shared().connect()
    const pids = [process.pid, daemon.pid, server.pid, ...this.#clients.map(({ pid }) => pid)]
    const end = performance.now() + 30_000
    for (;;) {
      const left = pids.flatMap((pid) => memoryFiles(pid).map((name) => `${name} of process ${pid}`))
      if (left.length === 0) break
      assert.ok(performance.now() < end, `memory is left: ${left.join(', ')}`)
      await sleep(2)
    }
    for (const pid of this.#dead.splice(0)) assert.ok(!isAlive(pid), `process ${pid} was killed and lives`)
  }
}

/** Each in its moment: timers are too coarse for the last part of the way. */
async function fire(victims: readonly Victim[]): Promise<void> {
  const start = performance.now()
  for (const { shoot, atUs } of victims) {
    const at = start + atUs / 1000
    const early = at - performance.now() - 1.5
    if (early > 0) await sleep(early)
    while (performance.now() < at);
    shoot()
  }
}
