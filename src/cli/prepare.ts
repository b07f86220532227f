import { readFile, writeFile } from 'node:fs/promises'
import { RpcError } from '../base/errors.js'
import { prepareWasm } from '../safety/index.js'
import { PREPARE_USAGE } from './usage.js'

// rpcool prepare-wasm IN OUT

/** Reads a compiled module, makes it fit for a sandbox and writes that. Throws an RpcError; what cannot be made fit is not written. */
export async function prepareFile(words: readonly string[]): Promise<void> {
  const [from, to] = words
  if (from === undefined || to === undefined || words.length > 2) throw new RpcError('INVALID_ARGUMENT', PREPARE_USAGE)
  const prepared = await prepareWasm(await readFile(from).catch((cause: unknown) => fileProblem('read', from, cause)))
  await writeFile(to, prepared).catch((cause: unknown) => fileProblem('write', to, cause))
}

function fileProblem(what: string, path: string, cause: unknown): never {
  throw new RpcError('FAILED_PRECONDITION', `cannot ${what} ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
}
