// Kills processes with SIGKILL at random moments while they allocate and call, and sees to it that the survivors are told
// and that everything comes back.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Random } from '../support/random.js'
import type { Order, Report } from './worker-main.js'

const PATIENCE_MS = 60_000
const SPARES = 3

/** A process of the storm, as its parent sees it. */
class Worker {
  readonly reports: Report[] = []
  readonly process: ChildProcess
  readonly ended: Promise<unknown>
  #wake: (() => void) | undefined

  constructor() {
    this.process = fork(fileURLToPath(new URL('./worker-main.js', import.meta.url)), [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.ended = once(this.process, 'exit')
    this.process.on('message', (report: Report) => {
      this.reports.push(report)
      this.#wake?.()
    })
    this.process.once('exit', () => this.#wake?.())
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  get isAlive(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null
  }

  /** The first report that fits, which is taken. */
  async report<E extends Report['event']>(event: E, fits: (report: Extract<Report, { event: E }>) => boolean = () => true): Promise<Extract<Report, { event: E }>> {
    const watchdog = sleep(PATIENCE_MS, 'late', { ref: false })
    for (;;) {
      const wrong = this.reports.find((report) => report.event === 'wrong')
      if (wrong?.event === 'wrong') throw new Error(`process ${this.pid}: ${wrong.why}`)
      const found = this.reports.findIndex((report) => report.event === event && fits(report as Extract<Report, { event: E }>))
      if (found >= 0) return this.reports.splice(found, 1)[0] as Extract<Report, { event: E }>
      if (!this.isAlive) throw new Error(`process ${this.pid} ended (${this.process.signalCode ?? this.process.exitCode}) while "${event}" was awaited from it`)
      const woken = new Promise<string>((resolve) => {
        this.#wake = (): void => resolve('')
      })
      if (await Promise.race([woken, watchdog]) === 'late') throw new Error(`process ${this.pid} did not report "${event}"`)
    }
  }

  order(order: Order | string): void {
    this.process.send(order)
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.ended
  }
}

export interface StormOptions {
  readonly kills: number
  readonly seed: number
  readonly sharedHeapBytes?: number
  readonly clients: number
  /** Called between two kills: true ends the storm. */
  readonly over?: () => boolean
  readonly between?: (kills: number) => Promise<void>
}

export class Storm {
  readonly channel: string
  readonly #random: Random
  readonly #spares: Worker[] = []
  readonly #all = new Set<Worker>()
  #server: Worker | undefined
  readonly #clients: Worker[] = []
  kills = 0

  constructor(readonly options: StormOptions) {
    this.channel = `storm/${process.pid}/${options.seed}`
    this.#random = new Random(options.seed)
  }

  async run(): Promise<void> {
    try {
      while (this.kills < this.options.kills && this.options.over?.() !== true) {
        await this.#fill()
        await sleep(this.#random.below(12))
        for (let i = this.#random.below(20_000); i > 0; i--) this.#random.word()
        await this.options.between?.(this.kills)
        const choice = this.#random.below(10)
        if (choice < 6) await this.#killClient()
        else await this.#killServer(choice >= 8)
      }
      await this.#finish()
    } finally {
      for (const worker of this.#all) if (worker.isAlive) await worker.kill()
    }
  }

  #worker(): Worker {
    const worker = new Worker()
    this.#all.add(worker)
    return worker
  }

  async #next(): Promise<Worker> {
    while (this.#spares.length < SPARES) this.#spares.push(this.#worker())
    const worker = this.#spares.shift()!
    await worker.report('ready')
    return worker
  }

  async #fill(): Promise<void> {
    const { sharedHeapBytes } = this.options
    if (this.#server === undefined) {
      const server = await this.#next()
      server.order({ role: 'server', channel: this.channel, seed: 0, ...(sharedHeapBytes === undefined ? {} : { sharedHeapBytes }) })
      await server.report('at work')
      this.#server = server
    }
    while (this.#clients.length < this.options.clients) {
      const client = await this.#next()
      client.order({ role: 'client', channel: this.channel, seed: this.#random.word() })
      await client.report('at work')
      this.#clients.push(client)
    }
  }

  #takeClient(): Worker {
    return this.#clients.splice(this.#random.below(this.#clients.length), 1)[0]!
  }

  async #killClient(): Promise<void> {
    const client = this.#takeClient()
    const { pid } = client
    await client.kill()
    this.kills++
    const report = await this.#server!.report('client gone', (one) => one.pid === pid)
    assert.equal(report.crashed, true)
  }

  /** With or without one of its clients, at the same moment. */
  async #killServer(withClient: boolean): Promise<void> {
    const server = this.#server!
    this.#server = undefined
    const client = withClient ? this.#takeClient() : undefined
    await Promise.all([server.kill(), client?.kill()])
    this.kills += withClient ? 2 : 1
    for (const survivor of this.#clients) {
      const { code, closed } = await survivor.report('server gone')
      assert.deepEqual([code, closed], ['UNAVAILABLE', 'UNAVAILABLE'])
      await survivor.report('all given back')
      // It can be a client, or a server, again.
      survivor.reports.push({ event: 'ready' })
    }
    this.#spares.unshift(...this.#clients.splice(0))
  }

  /** The last clients die; the server, which lives, has nothing left of any of them. */
  async #finish(): Promise<void> {
    await this.#fill()
    while (this.#clients.length > 0) await this.#killClient()
    this.#server!.order('give back')
    await this.#server!.report('all given back')
    this.#server!.order('close')
  }
}
