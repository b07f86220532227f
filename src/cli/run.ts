import { accessSync, constants } from 'node:fs'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { PAGE_BYTES, roundUp } from '../base/numbers.js'
import { RpcError } from '../base/errors.js'
import { launchConfined, PREPARED_ADDRESS } from '../safety/seals/confined/launcher.js'
import { SealClient } from '../safety/seals/seal-client.js'
import { addon, watch } from '../sys/index.js'

// rpcool run [--user NUMBER] [--heap BYTES] -- COMMAND [ARGUMENT…]

export interface RunOptions {
  readonly user: number | undefined
  readonly heapBytes: number
  readonly command: readonly string[]
}

const USAGE = 'usage: rpcool run [--user NUMBER] [--heap BYTES] -- COMMAND [ARGUMENT…]'
const HEAP_BYTES_DEFAULT = 32 << 20

/** Reads the words behind `rpcool`. Throws INVALID_ARGUMENT. */
export function parseRun(words: readonly string[]): RunOptions {
  const end = words.indexOf('--')
  if (words[0] !== 'run' || end < 0 || end === words.length - 1) throw new RpcError('INVALID_ARGUMENT', USAGE)
  let user: number | undefined
  let heapBytes = HEAP_BYTES_DEFAULT
  for (let i = 1; i < end; i += 2) {
    const value = Number(words[i + 1])
    if (i + 1 >= end || !Number.isSafeInteger(value) || value < 0) throw new RpcError('INVALID_ARGUMENT', `${words[i]} needs a number; ${USAGE}`)
    if (words[i] === '--user') user = value
    else if (words[i] === '--heap' && value > 0) heapBytes = roundUp(value, PAGE_BYTES)
    else throw new RpcError('INVALID_ARGUMENT', `${words[i]} ${value} is not understood; ${USAGE}`)
  }
  return { user, heapBytes, command: words.slice(end + 1) }
}

/** The program's absolute path, as a shell would find it. Throws NOT_FOUND. */
export function findProgram(name: string, path = process.env['PATH'] ?? ''): string {
  const places = name.includes('/') ? [resolve(name)] : path.split(delimiter).filter((folder) => isAbsolute(folder)).map((folder) => join(folder, name))
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK)
      return place
    } catch {
      // Not there; the next folder.
    }
  }
  throw new RpcError('NOT_FOUND', `${name} is no program that can be run`)
}

/** Starts the command confined, and resolves with its exit code when it has ended. Throws an RpcError when it cannot be started. */
export async function run({ user, heapBytes, command }: RunOptions): Promise<number> {
  const client = SealClient.ofDirectory()
  const [name = '', ...args] = command
  const { pid } = await launchConfined(client, {
    program: findProgram(name), args, environment: process.env, address: PREPARED_ADDRESS, heapBytes, ...(user === undefined ? {} : { user }),
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.kill(pid, signal))
  const pidfd = addon.openPidfd(pid)
  await new Promise<void>((ended) => {
    watch(pidfd, () => ended())
  })
  return addon.reapChild(pid)
}
