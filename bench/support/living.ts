import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'

/**
 * Every process that this one has started and that has not ended yet. Whatever ends this process ends them: its exit and the
 * usual signals by this set, SIGKILL by the parent-death signal that each is started with.
 */
const living = new Set<ChildProcess>()

export function endWithUs(child: ChildProcess): void {
  if (living.size === 0) install()
  living.add(child)
  child.once('exit', () => {
    living.delete(child)
  })
}

function killAll(): void {
  for (const child of living) child.kill('SIGKILL')
}

let installed = false

function install(): void {
  if (installed) return
  installed = true
  process.on('exit', killAll)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]))
  }
}
