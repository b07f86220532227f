import { spawn, type ChildProcess } from 'node:child_process'
import { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { CONTROL_FD, readLines, sendLine, type FromChild } from './control.js'
import { pinnedCommand } from './cpus.js'
import { Deferred } from './deferred.js'
import { endWithUs } from './living.js'
import type { Program } from './program.js'
import { within } from './watchdog.js'

/** A child that says nothing for so long hangs: the slowest start-up here takes seconds. */
const READY_MS = 60_000
/** The longest trial takes some minutes. */
const RESULT_MS = 900_000
/** After this a child that was asked to return is killed. */
const GRACE_MS = 5_000

export interface ChildOptions {
  /** What error messages call the child. */
  readonly label: string
  /** The only CPU it may run on; any, if left out. */
  readonly cpu?: number
  readonly nodeArguments?: readonly string[]
}

/** A running {@link Program}. Whoever starts it owns it; disposing ends it, politely and then by SIGKILL. */
export class Child<Ready, Result> implements AsyncDisposable {
  readonly pid: number
  readonly label: string
  readonly #process: ChildProcess
  readonly #stream: Duplex
  readonly #ready = new Deferred<Ready>()
  readonly #result = new Deferred<Result>()
  readonly #exited = new Deferred<void>()

  constructor(module: string, name: string, argument: unknown, options: ChildOptions) {
    this.label = options.label
    const main = fileURLToPath(new URL('child-main.js', import.meta.url))
    const node = [process.execPath, ...(options.nodeArguments ?? []), main, module, name]
    const [command, commandArguments] = pinnedCommand(options.cpu, node)
    // Its stdout is our stderr: with --json nothing but the result may reach our stdout.
    this.#process = spawn(command, commandArguments, { stdio: ['ignore', 2, 2, 'pipe'] })
    this.#process.once('error', (error) => {
      this.#fail(new Error(`${this.label} did not start (are taskset and setpriv of util-linux there?): ${error.message}`))
      this.#exited.resolve()
    })
    this.#process.once('exit', (code, signal) => {
      this.#fail(new Error(`${this.label} ended (${signal ?? `code ${String(code)}`}) without an answer`))
      this.#exited.resolve()
    })
    endWithUs(this.#process)
    this.pid = this.#process.pid ?? -1
    const stream = this.#process.stdio[CONTROL_FD]
    if (!(stream instanceof Duplex)) throw new Error(`${this.label} has no control channel`)
    this.#stream = stream
    stream.on('error', () => undefined); // the child died: 'exit' says so
    readLines<FromChild>(stream, (message) => {
      if (message.type === 'ready') this.#ready.resolve(message.value as Ready)
      else if (message.type === 'result') this.#result.resolve(message.value as Result)
      else this.#fail(new Error(`${this.label}: ${message.text}`))
    })
    sendLine(stream, { type: 'start', argument })
  }

  /** What the body passed to `control.ready`. */
  async ready(): Promise<Ready> {
    return await within(READY_MS, `${this.label} to be ready`, this.#ready.promise)
  }

  /** What the body returns; it is not asked to. */
  async result(): Promise<Result> {
    return await within(RESULT_MS, `the result of ${this.label}`, this.#result.promise)
  }

  /** Asks the body to return, and waits for what it returns. */
  async finish(): Promise<Result> {
    this.#askToFinish()
    return await this.result()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#askToFinish()
    try {
      await within(GRACE_MS, `${this.label} to end`, this.#exited.promise)
    } catch {
      this.#process.kill('SIGKILL')
      await within(GRACE_MS, `${this.label} to be killed`, this.#exited.promise)
    }
    this.#stream.destroy()
  }

  #askToFinish(): void {
    if (this.#stream.writable) sendLine(this.#stream, { type: 'finish' })
  }

  #fail(error: Error): void {
    this.#ready.reject(error)
    this.#result.reject(error)
  }
}

/** Starts `program` in a process of its own. The caller owns the child. */
export function startChild<Argument, Ready, Result>(
  { module, name }: Program<Argument, Ready, Result>,
  argument: Argument,
  options: ChildOptions,
): Child<Ready, Result> {
  return new Child<Ready, Result>(module, name, argument, options)
}

/** Runs `program` in a process of its own to its end. */
export async function runChild<Argument, Ready, Result>(
  program: Program<Argument, Ready, Result>,
  argument: Argument,
  options: ChildOptions,
): Promise<Result> {
  await using child = startChild(program, argument, options)
  return await child.result()
}
