// Native programs that rewrite what this process shares with others, word by word, while it works.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { compiledProgram } from '../../../bench/support/compile.js'

/** One range that a scribbler rewrites. */
export interface Prey {
  readonly name: string
  readonly address: number
  readonly byteLength: number
  /** The bytes at its start that are rewritten most. All of it is. */
  readonly hotBytes?: number
  /** Between two writes, in microseconds: what is spoilt at once by each write is spoilt less often. */
  readonly pauseUs?: number
}

/** How often each range was written to; what the kernel refused is counted under `refused NAME`; `farthest NAME` is the last byte written. */
export type Writes = Record<string, number>

/** Scribblers at work on a process; they end with it. */
export class Scribblers {
  readonly #children: { readonly name: string, readonly process: ChildProcess, readonly said: Promise<string> }[] = []

  /** Owns the programs until {@link stop}. */
  static async start(pid: number, prey: readonly Prey[], ms: number, seed: number): Promise<Scribblers> {
    const program = await compiledProgram('test/hostile', 'scribbler')
    const all = new Scribblers()
    for (const [i, { name, address, byteLength, pauseUs = 0, hotBytes = byteLength }] of prey.entries()) {
      const child = spawn(program, [pid, address, byteLength, ms, seed + i, pauseUs, hotBytes].map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
      all.#children.push({ name, process: child, said: text(child.stdout) })
    }
    return all
  }

  /** Ends them, and adds up what they did. One that waits in a sealed page goes on when that is released: it is killed. */
  async stop(writes: Writes): Promise<void> {
    await Promise.all(this.#children.splice(0).map(async ({ name, process: child, said }) => {
      const ended = once(child, 'exit')
      child.stdin!.on('error', () => undefined).end()
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      if (child.exitCode === null && child.signalCode === null) await ended
      clearTimeout(timer)
      const [written = 0, refused = 0, farthest = 0] = (await said).trim().split(' ').map(Number)
      writes[name] = (writes[name] ?? 0) + written
      writes[`refused ${name}`] = (writes[`refused ${name}`] ?? 0) + refused
      writes[`farthest ${name}`] = Math.max(writes[`farthest ${name}`] ?? 0, farthest)
    }))
  }
}
const STOP_MS = 500

/** Where this process maps files of shared memory of a name. Source: proc_pid_maps(5). */
export function mappingsOf(name: string): { readonly address: number, readonly byteLength: number }[] {
  return readFileSync('/proc/self/maps', 'latin1').split('\n').filter((line) => line.includes(`/memfd:`) && line.includes(name)).map((line) => {
    const [start = 0, end = 0] = line.split(' ', 1)[0]!.split('-').map((hex) => Number.parseInt(hex, 16))
    return { address: start, byteLength: end - start }
  })
}
