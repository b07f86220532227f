import { accessSync, constants } from 'node:fs'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { PAGE_BYTES, roundUp } from '../base/numbers.js'
import { RpcError } from '../base/errors.js'
import { DaemonClient } from '../control/index.js'
import { daemonSocket, sealerSocket } from '../control/place/runtime-directory.js'
import { isUser, openToOthers, OWNER_VARIABLE, requireReachable, trustedOwner, userId } from '../control/place/users.js'
import { accountOf, environmentFor, groupOf } from './environment.js'
import { RUN_USAGE } from './usage.js'
import { launchConfined } from '../safety/seals/confined/launcher.js'
import { SealClient } from '../safety/seals/seal-client.js'
import { addon, PREPARED_HEAPS_MAX, watch } from '../sys/index.js'

// rpcool run [--user NUMBER [--keep-env NAME,…]] [--heap BYTES] [--heaps COUNT] -- COMMAND [ARGUMENT…]

export interface RunOptions {
  readonly user: number | undefined
  /** Variables of this process's environment that a program of another user gets besides the usual ones. */
  readonly keptVariables: readonly string[]
  readonly heapBytes: number
  readonly heapCount: number
  readonly command: readonly string[]
}

/** As much as a connection takes by itself, for so many connections. */
const HEAP_BYTES_DEFAULT = 8 << 20
const HEAP_COUNT_DEFAULT = 4

/** Reads the words behind `rpcool run`. Throws INVALID_ARGUMENT. */
export function parseRun(words: readonly string[]): RunOptions {
  const end = words.indexOf('--')
  if (end < 0 || end === words.length - 1) throw new RpcError('INVALID_ARGUMENT', RUN_USAGE)
  let user: number | undefined
  let heapBytes = HEAP_BYTES_DEFAULT
  let heapCount = HEAP_COUNT_DEFAULT
  let keptVariables: readonly string[] = []
  for (let i = 0; i < end; i += 2) {
    const text = words[i + 1] ?? ''
    if (words[i] === '--keep-env' && i + 1 < end && /^\w+(,\w+)*$/.test(text)) {
      keptVariables = text.split(',')
      continue
    }
    const value = Number(words[i + 1])
    if (i + 1 >= end || !Number.isSafeInteger(value) || value < 0) throw new RpcError('INVALID_ARGUMENT', `${words[i]} needs a number; ${RUN_USAGE}`)
    if (words[i] === '--user' && isUser(value)) user = value
    else if (words[i] === '--heap' && value > 0) heapBytes = roundUp(value, PAGE_BYTES)
    else if (words[i] === '--heaps' && value > 0 && value <= PREPARED_HEAPS_MAX) heapCount = value
    else throw new RpcError('INVALID_ARGUMENT', `${words[i]} ${value} is not understood; ${RUN_USAGE}`)
  }
  if (keptVariables.length > 0 && user === undefined) throw new RpcError('INVALID_ARGUMENT', `--keep-env goes with --user: without it the program has the whole environment; ${RUN_USAGE}`)
  return { user, keptVariables, heapBytes, heapCount, command: words.slice(end + 1) }
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

/** A program of another user reaches the services, which know it by what its launcher tells them. Throws FAILED_PRECONDITION. */
function letIn(directory: string, user: number): void {
  openToOthers(directory, [daemonSocket(directory), sealerSocket(directory)])
  requireReachable(directory, user)
}

/** Starts the command confined, and resolves with its exit code when it has ended. Throws an RpcError when it cannot be started. */
export async function run({ user, keptVariables, heapBytes, heapCount, command }: RunOptions): Promise<number> {
  const [name = '', ...args] = command
  const program = findProgram(name)
  const uid = user ?? userId()
  const isOther = uid !== userId()
  // Else this user would change modes of files that another one can swap for links.
  if (isOther && trustedOwner() !== userId()) {
    throw new RpcError('FAILED_PRECONDITION', `--user needs a runtime directory of one's own: unset ${OWNER_VARIABLE}, or run as user ${trustedOwner()}`)
  }
  const client = SealClient.ofDirectory()
  const daemon = DaemonClient.shared()
  const heaps = await Promise.all(Array.from({ length: heapCount }, () => daemon.prepareHeap(heapBytes)))
  if (isOther) letIn(daemon.directory, uid)
  const account = user === undefined ? [] : accountOf(user)
  const environment = isOther ? environmentFor(account, process.env, keptVariables) : process.env
  const pid = await launchConfined(client, {
    program, args, environment: { ...environment, RPCOOL_RUNTIME_DIR: daemon.directory, [OWNER_VARIABLE]: String(trustedOwner()) },
    heaps: heaps.map(({ address, byteLength, fd }) => ({ address, byteLength, file: fd })),
    arranged: async (started) => {
      await Promise.all(heaps.map((heap) => daemon.assignHeap(heap, { pid: started, uid })))
    },
    ...(user === undefined ? {} : { user, group: groupOf(account) }),
  })
  for (const heap of heaps) heap.close()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.kill(pid, signal))
  const pidfd = addon.openPidfd(pid)
  await new Promise<void>((ended) => {
    watch(pidfd, () => ended())
  })
  return addon.reapChild(pid)
}
