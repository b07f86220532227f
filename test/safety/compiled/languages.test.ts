// Compiled handlers in C and in Rust: each is compiled here as the README says. (AssemblyScript is what wasm.test.ts is written in.)
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { WildPointerError } from '../../../src/base/errors.js'
import { addressOf } from '../../../src/objects/index.js'
import { prepareWasm, WasmHandlers } from '../../../src/safety/index.js'
import { hasCode } from '../../memory/model.js'
import { root } from '../../tree/sources.js'
import { ground, setNext } from './ground.js'

const run = promisify(execFile)
const CLANG = ['--target=wasm32', '-O2', '-nostdlib', '-fvisibility=default', '-Wl,--no-entry,--export-dynamic,--import-memory,--allow-undefined']
const RUSTC = ['--target', 'wasm32-unknown-unknown', '-O', '-C', 'panic=abort', '-C', 'strip=symbols', '--crate-type', 'cdylib',
  '-C', 'linker=wasm-ld', '-C', 'link-args=--import-memory --allow-undefined']

/** By a compiler of Debian's, which is installed when it is missing and this is root. */
async function compileBy(packages: readonly string[], program: string, args: readonly string[], source: string): Promise<Uint8Array> {
  await run(process.execPath, [join(root, 'scripts', 'debian.mjs'), ...packages])
  const folder = await mkdtemp(join(tmpdir(), 'rpcool-wasm'))
  try {
    const target = join(folder, 'module.wasm')
    await run(program, [...args, join(root, 'test', 'safety', 'compiled', source), '-o', target])
    return await readFile(target)
  } finally {
    await rm(folder, { recursive: true })
  }
}

const LANGUAGES: Readonly<Record<string, () => Promise<Uint8Array>>> = {
  C: () => compileBy(['clang', 'lld'], 'clang', CLANG, 'sum.c'),
  // Debian's, which has the target: another one on the path may not.
  Rust: () => compileBy(['rustc', 'libstd-rust-dev-wasm32', 'lld'], '/usr/bin/rustc', RUSTC, 'sum.rs'),
}

for (const [language, compile] of Object.entries(LANGUAGES)) {
  test(`a handler in ${language} walks native pointers, makes what it answers, and is stopped where it goes wrong`, async (t) => {
    const { heap: { sandbox }, scopes, nodeIn } = ground(t)
    const handlers = await WasmHandlers.load(await prepareWasm(await compile()), { steps: 100_000 })
    // A copy, and, where it is used again, a mapping.
    for (const bytes of [4096, 200_000]) {
      const scope = scopes.create(bytes)
      const node = nodeIn(scope, 1, 20, 200)
      for (let i = 0; i < 5; i++) {
        assert.equal(sandbox.runWasm(handlers, scope, 'sum', node), 221)
        assert.deepEqual([...sandbox.runWasmBytes(handlers, scope, 'ids', node)], [1, 20, 200])
      }
      assert.throws(() => sandbox.runWasm(handlers, scope, 'forever', node), hasCode('RESOURCE_EXHAUSTED'))
      setNext(node, addressOf(node))
      assert.throws(() => sandbox.runWasm(handlers, scope, 'sum', node), hasCode('RESOURCE_EXHAUSTED'))
      setNext(node, scope.address + 0x2000_0000)
      assert.throws(() => sandbox.runWasm(handlers, scope, 'sum', node), WildPointerError)
      setNext(node, 0)
      assert.equal(sandbox.runWasm(handlers, scope, 'sum', node), 1)
    }
  })
}
