import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

/** The two CPUs of a run: the calling side's and the answering side's. */
export interface CpuPair {
  readonly caller: number
  readonly answerer: number
}

/** The CPUs that this process may run on, from a list like `0-3,8`. */
export function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8')
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(status)?.[1] ?? ''
  return list.split(',').flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

/** The first two allowed CPUs. Ask before pinning: a pinned process may run on one only. */
export function twoCpus(): CpuPair {
  const [caller, answerer] = allowedCpus()
  if (caller === undefined || answerer === undefined) {
    throw new Error('the benchmark needs two CPUs: each side is pinned to one')
  }
  return { caller, answerer }
}

/**
 * The command that runs `command` on `cpu` (on any, if undefined) and lets it die with the process that starts it. Both tools
 * (package util-linux) exec what follows, so the pid is that of `command` itself.
 */
export function pinnedCommand(cpu: number | undefined, command: readonly string[]): [string, string[]] {
  const pin = cpu === undefined ? [] : ['taskset', '-c', String(cpu)]
  return ['setpriv', ['--pdeathsig', 'SIGKILL', '--', ...pin, ...command]]
}

/** The kernel's id of the calling thread, worker threads included. */
export function threadId(): number {
  return Number(basename(readlinkSync('/proc/thread-self')))
}

/** Moves one thread, by its id, to `cpu`. */
export function pinThread(thread: number, cpu: number): void {
  execFileSync('taskset', ['-p', '-c', String(cpu), String(thread)], { stdio: ['ignore', 'ignore', 'inherit'] })
}
