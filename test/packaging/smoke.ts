// Runs the smoke program's features on a runtime, going on after a crash with the features that remain.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import type { Project } from './project.js'
import type { Runtime } from './runtimes.js'

const PROCESS_TIMEOUT_MS = 240_000

export interface Outcome {
  readonly works: boolean
  readonly error: string
  readonly stack: string
}

interface Ended {
  readonly stdout: string
  readonly stderr: string
  readonly ending: string
}

/** Each feature's outcome. A process that ends within a feature makes that one fail and is started again for the rest. */
export async function runSmoke(project: Project, runtime: Runtime, program: string, names: readonly string[]): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>()
  while (outcomes.size < names.length) {
    const remaining = names.filter((name) => !outcomes.has(name))
    const ended = await runProgram(project, runtime, program, remaining)
    for (const record of records(ended.stdout)) {
      if (record.feature !== undefined) outcomes.set(record.feature, outcomeOf(record))
    }
    const unfinished = remaining.find((name) => !outcomes.has(name))
    if (unfinished !== undefined) {
      outcomes.set(unfinished, { works: false, error: `the process ended: ${ended.ending}`, stack: ended.stderr.slice(-4000) })
    }
  }
  return outcomes
}

/** Runs a program of the smoke folder in the project, in a runtime directory of its own. */
export async function runProgram(project: Project, runtime: Runtime, program: string, args: readonly string[]): Promise<Ended> {
  const scratch = mkdtempSync(join(tmpdir(), 'rpcool-s'))
  const env = { ...process.env, PATH: project.path, RPCOOL_RUNTIME_DIR: join(scratch, 'run'), DENO_DIR: join(scratch, 'deno'), DENO_NO_UPDATE_CHECK: '1' }
  const child = spawn(runtime.binary, [...runtime.options, join('smoke', program), ...args], { cwd: project.folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => { stdout += chunk })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => { stderr += chunk })
  const watchdog = setTimeout(() => child.kill('SIGKILL'), PROCESS_TIMEOUT_MS)
  const ending = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  clearTimeout(watchdog)
  rmSync(scratch, { recursive: true, force: true })
  return { stdout, stderr, ending }
}

export interface SmokeRecord {
  readonly feature?: string
  readonly works?: boolean
  readonly error?: string
  readonly stack?: string
}

/** The lines of JSON in a program's output. */
export function records(stdout: string): SmokeRecord[] {
  return stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as SmokeRecord)
}

function outcomeOf({ works = false, error = '', stack = '' }: SmokeRecord): Outcome {
  return { works, error, stack }
}
