// The processes that seal, as a test finds them.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runtimeDirectory } from '../../../src/control/index.js'

/** The process of this runtime directory that runs a service of seals. */
export function serviceProcess(name: 'sealer' | 'keeper'): number {
  const lock = readFileSync('/proc/locks', 'latin1')
  const inode = spawnSync('stat', ['-c', '%i', join(runtimeDirectory(), `${name}.lock`)], { encoding: 'utf8' }).stdout.trim()
  const line = lock.split('\n').find((one) => one.includes(`:${inode} `))
  assert.ok(line !== undefined, `no ${name} runs`)
  return Number(/^\d+: \S+\s+\S+\s+\S+\s+(\d+)/.exec(line)?.[1])
}
