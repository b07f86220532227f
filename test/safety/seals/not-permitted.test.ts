// Where userfaultfd is not permitted, copies still isolate; a seal that is demanded is refused, naming the reason.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../../../dist/esm/cli/rpcool.js', import.meta.url))
const main = fileURLToPath(new URL('../../support/unpermitted-main.js', import.meta.url))

// What "rpcool run" starts has the filter that forbids userfaultfd, and memory to seal; what that starts inherits the filter alone.
test('under a filter of system calls that forbids userfaultfd: snapshot and auto copy, seal is refused', () => {
  const shell = ['sh', '-c', 'env -u RPCOOL_PREPARED_HEAPS "$0" "$1"; exit $?', process.execPath, main]
  const { stdout, stderr } = spawnSync(process.execPath, [cli, 'run', '--heap', '65536', '--', ...shell], { encoding: 'utf8', timeout: 60_000 })
  assert.notEqual(stdout, '', stderr)
  const [seals, seal, auto, snapshot] = JSON.parse(stdout) as string[]
  assert.equal(seals, 'undefined')
  assert.match(seal!, /FAILED_PRECONDITION.*userfaultfd is not permitted here.*snapshot isolation/)
  assert.deepEqual([auto, snapshot], ['snapshot', 'snapshot'])
})
