// rpcool run: what it understands, what it starts, and what the program it starts can and cannot do.
import assert from 'node:assert/strict'
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { makeAddress, PAGE_BYTES } from '../../src/base/numbers.js'
import { findProgram, parseRun } from '../../src/cli/run.js'
import { SealClient } from '../../src/safety/seals/seal-client.js'
import { refused } from '../conformance/seal-authority.js'
import { PlainHeap } from '../support/plain-heap.js'

const PREPARED_ADDRESS = makeAddress(0x5300, 0)
const cli = fileURLToPath(new URL('../../../dist/esm/cli/rpcool.js', import.meta.url))
const confinedMain = fileURLToPath(new URL('../support/confined-main.js', import.meta.url))
const launcherMain = fileURLToPath(new URL('../support/confined-launcher-main.js', import.meta.url))

function rpcool(...words: readonly string[]): { status: number | null, stdout: string, stderr: string } {
  return spawnSync(process.execPath, [cli, ...words], { encoding: 'utf8', timeout: 60_000 })
}

test('the command line is understood, or refused with how it should be', () => {
  assert.deepEqual(parseRun(['run', '--', 'ls', '-l']), { user: undefined, keptVariables: [], heapBytes: 8 << 20, heapCount: 4, command: ['ls', '-l'] })
  assert.deepEqual(parseRun(['run', '--user', '7', '--keep-env', 'A,B_2', '--heap', '5000', '--heaps', '2', '--', 'x', '--', 'y']), { user: 7, keptVariables: ['A', 'B_2'], heapBytes: 2 * PAGE_BYTES, heapCount: 2, command: ['x', '--', 'y'] })
  for (const words of [[], ['run'], ['run', 'ls'], ['run', '--'], ['run', '--user', '--', 'ls'], ['run', '--user', '-1', '--', 'ls'], ['run', '--user', '4294967295', '--', 'ls'], ['run', '--user', '4294967296', '--', 'ls'], ['run', '--heap', '0', '--', 'ls'], ['run', '--heaps', '65', '--', 'ls'], ['run', '--what', '1', '--', 'ls'], ['run', '--keep-env', 'A', '--', 'ls'], ['run', '--user', '1', '--keep-env', 'A-B', '--', 'ls'], ['run', '--user', '1', '--keep-env', '--', 'ls'], ['walk', '--', 'ls']]) {
    refused(() => parseRun(words), 'INVALID_ARGUMENT', /usage: rpcool run/)
  }
  const help = rpcool('--help')
  assert.equal(help.status, 0)
  assert.match(help.stdout, /--user NUMBER.*--heap BYTES.*--heaps COUNT/s)
  assert.match(findProgram('sh'), /^\/.*\/sh$/)
  refused(() => findProgram('no-such-program'), 'NOT_FOUND', /no program/)
})

test('a command runs on the terminal\'s streams, and its exit code is ours', () => {
  assert.deepEqual(rpcool('run', '--heap', '65536', '--', 'sh', '-c', 'echo out; echo err >&2; exit 5').status, 5)
  assert.equal(rpcool('run', '--heap', '65536', '--', 'echo', 'hello').stdout, 'hello\n')
  assert.equal(rpcool('run').status, 2)
  const missing = rpcool('run', '--', 'no-such-program')
  assert.equal(missing.status, 3)
  assert.match(missing.stderr, /rpcool: no-such-program is no program/)
})

test('a confined program has the filter, no descriptor but three, and no way to make a userfaultfd', () => {
  const status = rpcool('run', '--heap', '65536', '--', 'grep', '-E', '^(Seccomp|NoNewPrivs):', '/proc/self/status').stdout
  assert.match(status, /NoNewPrivs:\s+1\s+Seccomp:\s+2/)
  assert.deepEqual(rpcool('run', '--heap', '65536', '--', 'ls', '/proc/self/fd').stdout.trim().split('\n'), ['0', '1', '2', '3'], 'the fourth is the folder')
})

test('the prepared heap is sealed for its program; any other memory of it is refused, as where userfaultfd is not permitted', async () => {
  const token = 'ab'.repeat(16)
  const child = fork(launcherMain, ['-1', String(PREPARED_ADDRESS), String(16 * PAGE_BYTES), process.execPath, confinedMain, token], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]()
  const [{ heapFile }] = await once(child, 'message') as [{ readonly heapFile: number }]
  const heap = PlainHeap.joinPrepared({ pid: child.pid!, fd: heapFile, pages: 16, token }, PREPARED_ADDRESS)
  const client = SealClient.ofDirectory()
  const receiving = await client.attachReceiver({ token, address: PREPARED_ADDRESS, byteLength: heap.byteLength, file: heap.file })
  assert.ok(receiving.strength.except.every((hole) => hole === 'same-user'))
  assert.match(String((await lines.next()).value), /^enforced/)
  assert.match(String((await lines.next()).value), /FAILED_PRECONDITION.*userfaultfd is not permitted/)
  receiving.close()
  client.close()
  child.disconnect()
  await once(child, 'exit')
  heap[Symbol.dispose]()
})
