// A program on a pseudo-terminal, which script(1) makes, and somebody who types.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

const PATIENCE_MS = 30_000

export class Terminal {
  /** All that was shown so far, with its control sequences. */
  shown = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  private constructor(program: string, args: readonly string[]) {
    const command = [program, ...args].map((word) => `'${word.replaceAll('\'', '\'\\\'\'')}'`).join(' ')
    this.#child = spawn('script', ['--quiet', '--return', '--flush', '--command', `stty cols 100 rows 30; exec ${command}`, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, TERM: 'xterm' },
    })
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.shown += text))
    this.#ended = once(this.#child, 'close')
  }

  static run(program: string, ...args: string[]): Terminal {
    return new Terminal(program, args)
  }

  type(keys: string): void {
    this.#child.stdin!.write(keys)
  }

  /** Types, and waits for something to be shown from then on; answers what was. */
  async typeUntil(keys: string, expected: RegExp): Promise<string> {
    const from = this.shown.length
    this.type(keys)
    return this.until(expected, from)
  }

  async until(expected: RegExp, from = 0): Promise<string> {
    const end = performance.now() + PATIENCE_MS
    while (!expected.test(this.shown.slice(from))) {
      if (performance.now() > end || this.#child.exitCode !== null) {
        throw new Error(`${String(expected)} was not shown (exit code ${this.#child.exitCode}), but ${JSON.stringify(this.shown.slice(from))}`)
      }
      await Promise.race([once(this.#child.stdout!, 'data', { signal: AbortSignal.timeout(PATIENCE_MS) }).catch(() => undefined), this.#ended])
    }
    return this.shown.slice(from)
  }

  /** Its exit code. */
  async ended(): Promise<number | null> {
    await this.#ended
    return this.#child.exitCode
  }
}
