// Runs compiled examples as a person would, each in a process of its own.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const EXAMPLES = new URL('../../examples/', import.meta.url)

/** A program that has left something open does not end by itself: it is killed, and ends with code null. */
const WATCHDOG_MS = 60_000

const compiled = (path: string): URL => new URL(path.replace(/\.ts$/, '.js'), EXAMPLES)

/** What a program printed, and how it ended. */
export interface Ended {
  readonly stdout: string
  readonly stderr: string
  readonly code: number | null
}

/** A running example. Whoever starts it owns it; disposing kills what has not ended by itself. */
export class Running implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  #stdout = ''
  #stderr = ''

  /**
   * @param paths one program, or several that one process runs one after the other: that starts, and loads its modules, once.
   * @param before what starts it in place of Node itself, with its own arguments.
   */
  constructor(paths: string | readonly string[], before: readonly string[] = []) {
    const program = typeof paths === 'string'
      ? [fileURLToPath(compiled(paths))]
      : ['--eval', `(async () => { ${paths.map((path) => `await import('${compiled(path).href}')`).join('; ')} })()`]
    const [first = process.execPath, ...rest] = [...before, process.execPath, ...program]
    this.#child = spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'], timeout: WATCHDOG_MS, killSignal: 'SIGKILL' })
    this.#closed = once(this.#child, 'close')
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
  }

  /** Resolves when the program has printed something. */
  async spoken(): Promise<void> {
    const { stdout } = this.#child
    if (this.#stdout === '' && stdout !== null) await Promise.race([once(stdout, 'data'), this.#closed])
  }

  async ended(): Promise<Ended> {
    await this.#closed
    return { stdout: this.#stdout, stderr: this.#stderr, code: this.#child.exitCode }
  }

  /** Asks the program to end, as a service manager does. */
  async stop(): Promise<Ended> {
    this.#child.kill('SIGTERM')
    return await this.ended()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }
}

export async function run(paths: string | readonly string[], before: readonly string[] = []): Promise<Ended> {
  await using program = new Running(paths, before)
  return await program.ended()
}
