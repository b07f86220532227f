import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Contender } from './batches.js'
import { compiledLimit } from './compile.js'
import type { CpuPair } from './cpus.js'

/** What a limit program prints, line by line. */
interface LimitOutput {
  readonly meansNs: readonly number[]
  /** Of the sequence of operations, where the program has one. */
  readonly checksum: number | undefined
}

/** Runs bench/limits/`name`.c, compiled at need, to its end. It dies with this process. */
export async function runLimit(name: string, programArguments: readonly (string | number)[]): Promise<LimitOutput> {
  const path = await compiledLimit(name)
  const { stdout } = await promisify(execFile)(path, programArguments.map(String))
  const meansNs: number[] = []
  let checksum: number | undefined
  for (const line of stdout.trim().split('\n')) {
    const fields = JSON.parse(line) as { mean_ns?: number; checksum?: number }
    if (fields.mean_ns !== undefined) meansNs.push(fields.mean_ns)
    checksum = fields.checksum ?? checksum
  }
  return { meansNs, checksum }
}

async function oneBatch(name: string, programArguments: readonly number[]): Promise<number> {
  const { meansNs } = await runLimit(name, programArguments)
  const mean = meansNs[0]
  if (mean === undefined) throw new Error(`${name} printed no batch`)
  return mean
}

export const C_LIMIT = 'c_limit'
export const C_YIELD_LIMIT = 'c_yield_limit'

/** The C limit of a round trip as a contender beside the measured ones: two processes, one cache line. */
export function pingPongLimit(cpus: CpuPair, batchMs: number): Contender {
  const roundTrips = Math.round((batchMs * 1e6) / 100); // some 100 ns each
  return { name: C_LIMIT, batch: () => oneBatch('ping_pong', [cpus.caller, cpus.answerer, roundTrips, 1]) }
}

/** The same for two processes on one CPU, which they hand over with sched_yield. */
export function yieldLimit(cpu: number, batchMs: number): Contender {
  const roundTrips = Math.round((batchMs * 1e6) / 3000); // some 3 µs each
  return { name: C_YIELD_LIMIT, batch: () => oneBatch('yield_ping_pong', [cpu, roundTrips, 1]) }
}
