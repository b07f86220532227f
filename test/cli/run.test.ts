// rpcool run: what it understands, what it starts, and what the program it starts can and cannot do.
import assert from 'node:assert/strict'
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { makeAddress, PAGE_BYTES } from '../../src/base/numbers.js'
import { prepareFile } from '../../src/cli/prepare.js'
import { findProgram, parseRun } from '../../src/cli/run.js'
import { prepareWasm } from '../../src/safety/index.js'
import { compileWasm, isPrepared } from '../../src/safety/sandbox/wasm/prepare.js'
import { SealClient } from '../../src/safety/seals/seal-client.js'
import { isRefusal, refused } from '../conformance/seal-authority.js'
import { PlainHeap } from '../support/plain-heap.js'

const PREPARED_ADDRESS = makeAddress(0x5300, 0)
const cli = fileURLToPath(new URL('../../../dist/esm/cli/rpcool.js', import.meta.url))
const confinedMain = fileURLToPath(new URL('../support/confined-main.js', import.meta.url))
const launcherMain = fileURLToPath(new URL('../support/confined-launcher-main.js', import.meta.url))

/** (module (import "env" "memory" (memory 1)) (func (export "f") (param i32 i32) (result i32) (i32.const 7))): binaryen takes a second to start. */
const MODULE = Buffer.from('0061736d0100000001070160027f7f017f020f0103656e76066d656d6f727902000103020100070501016600000a0601040041070b', 'hex')

function rpcool(...words: readonly string[]): { status: number | null, stdout: string, stderr: string } {
  return spawnSync(process.execPath, [cli, ...words], { encoding: 'utf8', timeout: 60_000 })
}

test('the command line is understood, or refused with how it should be', () => {
  assert.deepEqual(parseRun(['--', 'ls', '-l']), { user: undefined, keptVariables: [], heapBytes: 8 << 20, heapCount: 4, command: ['ls', '-l'] })
  assert.deepEqual(parseRun(['--user', '7', '--keep-env', 'A,B_2', '--heap', '5000', '--heaps', '2', '--', 'x', '--', 'y']), { user: 7, keptVariables: ['A', 'B_2'], heapBytes: 2 * PAGE_BYTES, heapCount: 2, command: ['x', '--', 'y'] })
  for (const words of [[], ['ls'], ['--'], ['--user', '--', 'ls'], ['--user', '-1', '--', 'ls'], ['--user', '4294967295', '--', 'ls'], ['--user', '4294967296', '--', 'ls'], ['--heap', '0', '--', 'ls'], ['--heaps', '65', '--', 'ls'], ['--what', '1', '--', 'ls'], ['--keep-env', 'A', '--', 'ls'], ['--user', '1', '--keep-env', 'A-B', '--', 'ls'], ['--user', '1', '--keep-env', '--', 'ls']]) {
    refused(() => parseRun(words), 'INVALID_ARGUMENT', /usage: rpcool run/)
  }
  for (const asked of [['run', '--help'], ['-h', '--', 'sh', '-c', 'exit 9']]) {
    const { status, stdout, stderr } = rpcool(...asked)
    assert.deepEqual([status, stderr], [0, ''])
    assert.match(stdout, /--user NUMBER.*--heap BYTES.*--heaps COUNT.*prepare-wasm IN/s)
  }
  const unknown = rpcool('walk', '--', 'ls', '--help')
  assert.deepEqual([unknown.status, unknown.stdout], [2, ''])
  assert.match(unknown.stderr, /no command "walk"; usage: rpcool run.*usage: rpcool prepare-wasm/s)
  assert.match(findProgram('sh'), /^\/.*\/sh$/)
  refused(() => findProgram('no-such-program'), 'NOT_FOUND', /no program/)
})

test('a module is prepared once, and loads without binaryen then', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'rpcool-prepare'))
  t.after(() => rm(folder, { recursive: true }))
  const [from, to] = [join(folder, 'in.wasm'), join(folder, 'out.wasm')]
  await writeFile(from, MODULE)
  const { status, stdout, stderr } = rpcool('prepare-wasm', from, to)
  assert.deepEqual([status, stdout, stderr], [0, '', ''])
  const prepared = await readFile(to)
  assert.ok(isPrepared(compileWasm(prepared)))
  assert.equal(await prepareWasm(prepared), prepared, 'nothing is left to do')
  for (const words of [[], [from], [from, to, to]]) await assert.rejects(prepareFile(words), isRefusal('INVALID_ARGUMENT', /usage: rpcool prepare-wasm/))
  await assert.rejects(prepareFile([join(folder, 'none.wasm'), to]), isRefusal('FAILED_PRECONDITION', /cannot read .*none\.wasm: ENOENT/))
  await writeFile(from, 'no module')
  await assert.rejects(prepareFile([from, join(folder, 'not-written.wasm')]), isRefusal('INVALID_ARGUMENT', /not a WebAssembly module/))
  assert.deepEqual((await readdir(folder)).toSorted(), ['in.wasm', 'out.wasm'])
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
