// The processes that one test file started, found by a mark in their environment: also those that were orphaned.
import { readdirSync, readFileSync } from 'node:fs'

export const MARK = 'RPCOOL_TEST_MARK'

/** Living processes whose environment carries the mark: { pid, command }. Zombies have no environment and do not count. */
export function markedProcesses(mark) {
  const wanted = Buffer.from(`${MARK}=${mark}\0`)
  const found = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    try {
      if (!readFileSync(`/proc/${name}/environ`).includes(wanted)) continue
      found.push({ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() })
    } catch {
      // It ended meanwhile, or is another user's.
    }
  }
  return found
}

export function killMarked(mark) {
  for (const { pid } of markedProcesses(mark)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended meanwhile.
    }
  }
}
