// A program that "rpcool run" started, which does what a test tells it over its standard streams: it has no other descriptors.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const RPCOOL = fileURLToPath(new URL('../../../dist/esm/cli/rpcool.js', import.meta.url))
export const LAUNCHED_MAIN = fileURLToPath(new URL('./launched-main.js', import.meta.url))

export class Launched {
  readonly #waiting = new Map<number, (result: unknown) => void>()
  readonly #ended: Promise<unknown>
  readonly #silent: Promise<unknown>
  #nextId = 1

  private constructor(readonly launcher: ChildProcess) {
    this.#ended = once(launcher, 'exit')
    const lines = createInterface(launcher.stdout!)
    // The program may outlive its launcher.
    this.#silent = once(lines, 'close')
    lines.on('line', (line) => {
      const { id, result } = JSON.parse(line) as { readonly id: number, readonly result: unknown }
      this.#waiting.get(id)?.(result)
      this.#waiting.delete(id)
    })
  }

  /** Starts the program, with options of "rpcool run" and arguments, and waits for its first line. */
  static start(options: readonly string[], command: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Launched> {
    return Launched.startPlain([process.execPath, RPCOOL, 'run', ...options, '--', ...command], environment)
  }

  /** The same program by itself. */
  static async startPlain([program, ...args]: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Launched> {
    const child = new Launched(spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...environment } }))
    await new Promise<void>((resolve, reject) => {
      child.#waiting.set(0, () => resolve())
      child.launcher.once('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code} before it was ready`)))
    })
    return child
  }

  /** The usual program, for calls of one channel. */
  static client(channel: string, ...options: readonly string[]): Promise<Launched> {
    return Launched.start(options, [process.execPath, LAUNCHED_MAIN, channel])
  }

  /** What it says by this number, unasked. */
  expect(id: number): Promise<unknown> {
    return new Promise((resolve) => this.#waiting.set(id, resolve))
  }

  /** Its answer; rejects when it ends before. */
  ask(command: string, argument?: unknown): Promise<unknown> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, resolve)
      void this.#silent.then(() => reject(new Error(`the program ended before it answered ${command}`)))
      this.launcher.stdin!.write(`${JSON.stringify({ id, command, argument: argument ?? null })}\n`)
    })
  }

  /** Its own pid: the launcher is another process. */
  async pid(): Promise<number> {
    return await this.ask('pid') as number
  }

  /** Lets it clean up. */
  async end(): Promise<unknown> {
    this.launcher.stdin!.end()
    await this.#ended
    return this.launcher.exitCode
  }

  async ended(): Promise<void> {
    await this.#ended
  }
}
