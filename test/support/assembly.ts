// Compiles AssemblyScript and WebAssembly text for tests, from source text.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import binaryen from 'binaryen'

// As a program: its module brings type declarations that change TypeScript's own.
const compiler = join(dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')), 'bin', 'asc.js')

/** Compiles AssemblyScript as a user would for a sandbox. */
export async function compileAssemblyScript(source: string): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'rpcool-asc'))
  try {
    await writeFile(join(folder, 'module.ts'), source)
    await promisify(execFile)(process.execPath,
      [compiler, 'module.ts', '-O3', '--runtime', 'stub', '--importMemory', '--noExportMemory', '--outFile', 'module.wasm'], { cwd: folder })
    return await readFile(join(folder, 'module.wasm'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Assembles WebAssembly text; its names go into the module where that is said. */
export function assemble(text: string, named = false): Uint8Array {
  const module = binaryen.parseText(text)
  const before = binaryen.getDebugInfo()
  try {
    binaryen.setDebugInfo(named)
    // Without garbage collection: a null function would have a type that is newer than Node 20.
    const target: { setFeatures(features: number): void } = module
    target.setFeatures(binaryen.Features.All & ~binaryen.Features.GC)
    return module.emitBinary()
  } finally {
    binaryen.setDebugInfo(before)
    module.dispose()
  }
}

/** Adds up the ids of a list: each node has its id at 4 and a native pointer to the next one at 8. */
export const SUM_SOURCE = `
export function sum(at: usize, base: usize): i32 {
  let total = 0
  while (at != 0) {
    total += load<i32>(at, 4)
    const next = load<u32>(at, 8)
    at = next == 0 ? 0 : <usize>next - base
  }
  return total
}
`
