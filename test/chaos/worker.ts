// A process of the storm, as its parent sees it.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Commands, Reply } from './worker-main.js'

/** Not a limit that a test is about: what takes longer than this hangs. */
const PATIENCE_MS = 60_000

export class Worker {
  readonly process: ChildProcess
  readonly ended: Promise<unknown>
  readonly ready: Promise<unknown>
  readonly #waiting = new Map<number, (reply: Reply) => void>()
  #nextId = 1

  constructor() {
    // Without the parent's options: source maps make a fifth of the time to start.
    this.process = fork(fileURLToPath(new URL('./worker-main.js', import.meta.url)), [], {
      execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.ended = once(this.process, 'exit')
    this.process.on('message', (reply: Reply) => {
      this.#waiting.get(reply.id)?.(reply)
      this.#waiting.delete(reply.id)
    })
    this.process.once('exit', () => {
      const why = this.process.signalCode ?? `code ${this.process.exitCode}`
      for (const [id, settle] of this.#waiting) settle({ id, wrong: `it ended by ${why}` })
    })
    this.ready = this.#answer(0, 'start')
    // Whoever takes a spare worker into use looks at it.
    this.ready.catch(() => undefined)
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  get isAlive(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null
  }

  /** Rejects when the process says that something is wrong, ends, or does not answer. */
  async ask<C extends keyof Commands>(command: C, argument: Parameters<Commands[C]>[0]): Promise<Awaited<ReturnType<Commands[C]>>> {
    const id = this.#nextId++
    const answer = this.#answer(id, command)
    if (this.isAlive) this.process.send({ id, command, argument }, () => undefined)
    return await answer as Awaited<ReturnType<Commands[C]>>
  }

  /** Starts something that a kill may interrupt. */
  tell<C extends keyof Commands>(command: C, argument: Parameters<Commands[C]>[0]): void {
    this.process.send({ id: this.#nextId++, command, argument }, () => undefined)
  }

  async #answer(id: number, command: string): Promise<unknown> {
    const replied = new Promise<Reply>((resolve) => {
      this.#waiting.set(id, resolve)
    })
    const reply = await Promise.race([replied, sleep(PATIENCE_MS, undefined, { ref: false })])
    if (reply === undefined) throw new Error(`process ${this.pid} hangs: it has not done "${command}"`)
    if (reply.wrong !== undefined) throw new Error(`process ${this.pid}, asked to "${command}": ${reply.wrong}`)
    return reply.result
  }

  /** Sends the signal; {@link ended} resolves when the process is no more. */
  shoot(): void {
    this.process.kill('SIGKILL')
  }

  async kill(): Promise<void> {
    if (this.isAlive) this.shoot()
    await this.ended
  }
}
