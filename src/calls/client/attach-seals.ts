import { setTimeout as sleep } from 'node:timers/promises'
import { RpcError } from '../../base/errors.js'
import { PAGE_BYTES, roundUp } from '../../base/numbers.js'
import { requireOptions } from '../../base/options.js'
import type { DaemonClient, OpenedConnection } from '../../control/index.js'
import { SealState } from '../../layout/control-layout.js'
import { DESCRIPTORS_DEFAULT, sealDescriptorsBytes } from '../../layout/seal-layout.js'
import { ArgumentSeals, CooperativeAuthority, crossoverPages, formatStrength, remedyOf, type SealAuthority } from '../../safety/index.js'
import { addon, isLaunched, preparedHeaps } from '../../sys/index.js'
import type { AttachedHeaps, SealablePages } from '../heaps/attached-memory.js'
import { acquireSealClient, releaseSealClient } from '../isolate.js'

/** Room for twice as many one-page arguments as wait for their release together. */
export const SEALABLE_BYTES_DEFAULT = 8 << 20
/** Between looks at whether the server has attached. */
const PAUSE_MS = 1

/** How a client's arguments are sealed. */
export interface SealOptions {
  /**
   * `userfaultfd` (the default): a trusted process protects the pages. `cooperative`: this process protects its own pages, which catches
   * mistakes and no attacker; the server must say that it takes such seals. `none`: nothing is sealed.
   */
  readonly backend?: 'userfaultfd' | 'cooperative' | 'none'
  /** Bytes of the memory in which sealed arguments lie, which are backed by memory at once; 8 MiB by default. */
  readonly heapBytes?: number
}

/** Refuses what makes no sense before anything is connected. */
export function requireSealOptions(options: SealOptions | undefined): void {
  if (options === undefined) return
  requireOptions('seals', options, { backend: true, heapBytes: true })
  const { backend = 'userfaultfd', heapBytes = SEALABLE_BYTES_DEFAULT } = options
  if (backend !== 'userfaultfd' && backend !== 'cooperative' && backend !== 'none') {
    throw new RpcError('INVALID_ARGUMENT', `seals.backend is 'userfaultfd', 'cooperative' or 'none', not ${String(backend)}`)
  }
  if (!Number.isSafeInteger(heapBytes) || heapBytes < PAGE_BYTES) {
    throw new RpcError('INVALID_ARGUMENT', `seals.heapBytes is a number of bytes from ${PAGE_BYTES} on, not ${String(heapBytes)}`)
  }
}

/** What a connection is that attaches its seals. */
export interface Attaching {
  readonly daemon: DaemonClient
  readonly opened: OpenedConnection
  readonly heaps: AttachedHeaps
  /** What the server says about the seals. */
  readonly state: () => number
  /** Whether some method seals where that is cheaper. */
  readonly compares: boolean
  readonly timeoutMs: number
  /** Nobody waits for the connection any more. */
  readonly signal: AbortSignal | undefined
}

/**
 * Gets memory for sealed arguments, and has it sealed for both ends. Throws an RpcError that says why there are no seals; then nothing
 * is left of them but the memory, which goes with the connection.
 */
export async function attachSeals({ daemon, opened, heaps, state, compares, timeoutMs, signal }: Attaching, options: SealOptions): Promise<ArgumentSeals> {
  const isCooperative = options.backend === 'cooperative'
  // The descriptors of cooperative seals lie in the same file, before the pages: both ends write them.
  const ringBytes = isCooperative ? sealDescriptorsBytes(DESCRIPTORS_DEFAULT) : 0
  const pages = await getPages({ daemon, opened, heaps }, ringBytes, options)
  try {
    const heap = heaps.lendPages(pages, ringBytes / PAGE_BYTES)
    const authority = isCooperative
      ? new CooperativeAuthority(pages.mapping.buffer, heap.address, heap.byteLength, DESCRIPTORS_DEFAULT)
      : await attachSender(opened.token, pages)
    try {
      await untilAttached(state, authority, timeoutMs, signal)
      return new ArgumentSeals(authority, heap, compares ? await crossover(isCooperative) : 0)
    } catch (error) {
      authority.close()
      throw error
    }
  } finally {
    if (pages.file >= 0) addon.closeFd(pages.file)
  }
}

/** Memory for sealed arguments: fresh, or, in a program that was started by "rpcool run", what was prepared for it. */
async function getPages({ daemon, opened, heaps }: Pick<Attaching, 'daemon' | 'opened' | 'heaps'>, ringBytes: number, options: SealOptions): Promise<SealablePages> {
  const byteLength = ringBytes + roundUp(options.heapBytes ?? SEALABLE_BYTES_DEFAULT, PAGE_BYTES)
  if (options.backend === 'cooperative' || !isLaunched()) return heaps.addSealable(await daemon.growConnection(opened, byteLength, 'sealable'), true)
  const prepared = preparedHeaps()
  if (prepared.length === 0) {
    throw new RpcError('FAILED_PRECONDITION', 'this process has no memory that "rpcool run" prepared: it prepares the program that it starts itself, ' +
      'not those which that program starts or becomes; start this one with "rpcool run"')
  }
  const longest = prepared.reduce((most, one) => Math.max(most, one.byteLength), 0)
  if (options.heapBytes !== undefined && byteLength > longest) {
    throw new RpcError('RESOURCE_EXHAUSTED', `seals.heapBytes asks for ${byteLength} bytes, and "rpcool run" prepared heaps of ${longest} for this program: start it with --heap ${byteLength}`)
  }
  return heaps.addSealable(await daemon.growPrepared(opened), true)
}

async function attachSender(token: string, { mapping }: SealablePages): Promise<SealAuthority> {
  const client = acquireSealClient()
  try {
    const authority = await client.attachSender({ token, address: mapping.address, byteLength: mapping.byteLength })
    return releasing(authority)
  } catch (error) {
    releaseSealClient()
    throw error
  }
}

/** Gives up its use of the isolate's link to the sealer when it is closed. */
function releasing(authority: SealAuthority): SealAuthority {
  const close = authority.close.bind(authority)
  let open = true
  authority.close = (): void => {
    close()
    if (open) releaseSealClient()
    open = false
  }
  return authority
}

/** The server learns of the seals by a message of its own: a sealed call that comes earlier would be refused. */
async function untilAttached(state: () => number, authority: SealAuthority, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
  const end = performance.now() + timeoutMs
  for (let now = state(); now !== SealState.ATTACHED; now = state()) {
    if (now === SealState.TOO_WEAK) {
      throw new RpcError('FAILED_PRECONDITION', `the server demands stronger seals than this client's, which are ${formatStrength(authority.strength)}: ${remedyOf(authority.strength)}`)
    }
    if (now === SealState.NONE) throw new RpcError('FAILED_PRECONDITION', 'the server takes no seals: none of its methods demands any, or it could not attach')
    if (signal?.aborted === true) throw new RpcError('CANCELLED', 'connecting was given up')
    if (performance.now() > end) throw new RpcError('DEADLINE_EXCEEDED', `the server did not attach to the seals within ${timeoutMs} ms`)
    await sleep(PAUSE_MS)
  }
}

async function crossover(isCooperative: boolean): Promise<number> {
  const client = isCooperative ? undefined : acquireSealClient()
  try {
    return await crossoverPages(client)
  } finally {
    if (client !== undefined) releaseSealClient()
  }
}
