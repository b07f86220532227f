// A fuzz campaign: cases of one target, one seed after the other, in a process of their own. Whatever ends it, an error, a signal, a case
// without an end, the seed of that case is written down, and tried by every later test run.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { newSeed } from '../support/random.js'
import { root } from '../tree/sources.js'

/** A seed means the same case as long as its target is the same: who changes a target looks for another seed, with what mended the fault undone. */
const REGRESSIONS = `${root}test/fuzz/regressions/`
/** A case takes microseconds, the largest some milliseconds. */
const HANG_MS = 30_000
const PARENTS_LOOK_MS = 1000

/** What ended a campaign early. */
export type Ending = 'an error' | 'the end of its process' | 'a case without an end'

/** A case that failed. */
export class FuzzFailure extends Error {
  constructor(readonly target: string, readonly seed: number, readonly ending: Ending, detail: string) {
    super(`${target}, seed ${seed}: ${ending}: ${detail}`)
  }
}

/** What a campaign came to. */
export interface Fuzzed {
  readonly cases: number
  /** What was tried in them. */
  readonly inputs: number
  /** Of the first case; the others count on from it. */
  readonly seed: number
}

export interface CampaignOptions {
  readonly ms: number
  /** The first seed; a new one by default. */
  readonly first?: number
  /** Where a failing case is kept. */
  readonly folder?: string
  /** A case that takes longer hangs. */
  readonly hangMs?: number
}

/** What the campaign's process says at its end. */
export type CampaignReport = { readonly cases: number, readonly inputs: number } | { readonly error: string }

/** Tries cases of a target, by its name, until the time is over: at least one. The first that fails is kept as a file, and thrown. */
export async function runCampaign(target: string, { ms, first = newSeed(), folder = REGRESSIONS, hangMs = HANG_MS }: CampaignOptions): Promise<Fuzzed> {
  const scratch = mkdtempSync(join(tmpdir(), 'rpcool-fuzz-'))
  const place = join(scratch, 'seed')
  writeFileSync(place, placeBytes(first, 0))
  const main = fileURLToPath(new URL('./campaign-main.js', import.meta.url))
  const child = fork(main, [target, String(first), String(ms), place], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // Without source maps, which make errors twice as dear: the process turns them on for the one that it shows.
    execArgv: [],
    // Services that the target starts are its own, and end soon after it.
    env: { ...process.env, RPCOOL_RUNTIME_DIR: join(scratch, 'run'), RPCOOL_DAEMON_IDLE_MS: '100' },
  })
  let report: CampaignReport | undefined
  child.on('message', (message) => (report = message as CampaignReport))
  let [last, since, hung] = [0, performance.now(), false]
  const watchdog = setInterval(() => {
    const { number } = readPlace(place)
    // Before its first case it starts, which may take long on a busy machine.
    if (number !== last || number === 0) [last, since] = [number, performance.now()]
    else if (performance.now() - since > hangMs) hung = child.kill('SIGKILL')
  }, Math.min(hangMs / 2, PARENTS_LOOK_MS))
  try {
    const [code, signal] = await once(child, 'exit') as [number | null, NodeJS.Signals | null]
    if (report !== undefined && 'cases' in report && code === 0) return { ...report, seed: first }
    const { seed } = readPlace(place)
    writeFileSync(join(folder, `${target}-${seed}.json`), `${JSON.stringify({ target, seed })}\n`)
    if (report !== undefined && 'error' in report) throw new FuzzFailure(target, seed, 'an error', report.error)
    if (hung) throw new FuzzFailure(target, seed, 'a case without an end', `it took longer than ${hangMs} ms`)
    throw new FuzzFailure(target, seed, 'the end of its process', `it ended with ${signal ?? code}`)
  } finally {
    clearInterval(watchdog)
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** The cases that failed once. */
export function regressions(folder = REGRESSIONS): { readonly target: string, readonly seed: number }[] {
  return readdirSync(folder).filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as { target: string, seed: number })
}

/** How a campaign's process writes down where it is: the seed of a case, and the how manieth it is. */
export function placeBytes(seed: number, number: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(seed, number).buffer)
}

function readPlace(path: string): { readonly seed: number, readonly number: number } {
  const place = new Uint32Array(2)
  const fd = openSync(path, 'r')
  try {
    readSync(fd, place, 0, 8, 0)
    return { seed: place[0]!, number: place[1]! }
  } finally {
    closeSync(fd)
  }
}
