// The processes that seal, as a test finds them.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runtimeDirectory } from '../../../src/control/index.js'
import { lifeFiles } from '../../support/leaks.js'

/** The list is read in pieces while others change it: a lock that is held all the time may be missing from one reading. */
const READINGS = 20

/** The process of this runtime directory that runs a service of seals. */
export function serviceProcess(name: 'sealer' | 'keeper'): number {
  const inode = spawnSync('stat', ['-c', '%i', join(runtimeDirectory(), `${name}.lock`)], { encoding: 'utf8' }).stdout.trim()
  // Else every lock of the machine would be this one.
  assert.match(inode, /^[1-9]\d*$/, `${name}.lock is in the runtime directory`)
  for (let reading = 0; reading < READINGS; reading++) {
    const line = readFileSync('/proc/locks', 'latin1').split('\n').find((one) => one.includes(`:${inode} `))
    if (line !== undefined) return Number(/^\d+: \S+\s+\S+\s+\S+\s+(\d+)/.exec(line)?.[1])
  }
  return assert.fail(`no ${name} runs`)
}

/** Whether another process runs the service by now. */
export function isReplaced(name: 'sealer' | 'keeper', pid: number): boolean {
  try {
    return serviceProcess(name) !== pid
  } catch {
    return false
  }
}

/** Whether this process, as a receiver, knows that whoever runs the service now holds its seals: it watches that one's life file. */
export function isKnownHolder(name: 'sealer' | 'keeper'): boolean {
  try {
    const known = lifeFiles('self')
    // Of its own it has one; a sealer has none of its keeper's mapped.
    const [life] = lifeFiles(serviceProcess(name))
    return life !== undefined && known.includes(life)
  } catch {
    return false
  }
}
