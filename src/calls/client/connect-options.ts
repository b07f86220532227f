import { RpcError } from '../../base/errors.js'
import { FOUR_GIB } from '../../base/numbers.js'
import { type OptionNames, requireFlag, requireNumber } from '../../base/options.js'
import { SLOTS_DEFAULT, SLOTS_MAX, SLOTS_MIN } from '../../layout/control-layout.js'
import type { Waiting } from '../waiting/waiting.js'
import { requireSealOptions, type SealOptions } from './attach-seals.js'
import { requireSignal } from './waiters.js'

/** How a client waits, how much memory and how many slots its connection has. */
export interface ConnectOptions {
  /** Bytes of the connection's own heap: address space; memory is used as objects fill it. 32 MiB by default. */
  readonly heapBytes?: number
  /** Calls in flight at once: a power of two, 64 by default. Further calls wait in this process. */
  readonly slots?: number
  /** How the client waits for answers; `adaptive` by default. */
  readonly waiting?: Waiting
  /** How long a call waits for its answer unless it says otherwise, in milliseconds; 30 s by default. */
  readonly timeoutMs?: number
  /** How long connecting may take, in milliseconds; 10 s by default. */
  readonly connectTimeoutMs?: number
  /** Waits, for `connectTimeoutMs` at most, for a server that is not there yet, instead of failing with NOT_FOUND at once. False by default. */
  readonly waitForReady?: boolean
  /** Ends connecting; a connection that was made does not end by it. */
  readonly signal?: AbortSignal
  /** Asks for huge pages behind the heap. */
  readonly hugePages?: boolean
  /**
   * Copies results to private memory before anybody reads them, so that a server cannot change them afterwards; they need no
   * `using` then, and a pointer out of a result is wild. False by default.
   */
  readonly isolateResults?: boolean
  /**
   * How arguments are sealed, for methods whose isolation is `seal` or `auto`. Where it is left out, a service with a method that demands
   * seals gets them; `auto` alone copies.
   */
  readonly seals?: SealOptions
}

export const CONNECT_OPTIONS: OptionNames<ConnectOptions> = {
  heapBytes: true, slots: true, waiting: true, timeoutMs: true, connectTimeoutMs: true, waitForReady: true, signal: true, hugePages: true, isolateResults: true, seals: true,
}

/** Refuses what makes no sense before anything is connected. A wrong way of waiting is refused where it is read. */
export function requireConnectOptions(options: ConnectOptions): void {
  const { slots = SLOTS_DEFAULT } = options
  if (!Number.isInteger(slots) || slots < SLOTS_MIN || slots > SLOTS_MAX || (slots & (slots - 1)) !== 0) {
    throw new RpcError('INVALID_ARGUMENT', `slots must be a power of two from ${SLOTS_MIN} to ${SLOTS_MAX}, not ${String(slots)}`)
  }
  requireNumber('heapBytes', options.heapBytes, 1, FOUR_GIB)
  requireMs('timeoutMs', options.timeoutMs)
  requireMs('connectTimeoutMs', options.connectTimeoutMs)
  requireFlag('waitForReady', options.waitForReady)
  requireFlag('hugePages', options.hugePages)
  requireFlag('isolateResults', options.isolateResults)
  requireSealOptions(options.seals)
  requireSignal(options.signal)
}

function requireMs(name: string, value: number | undefined): void {
  if (value !== undefined && !(typeof value === 'number' && value > 0)) {
    throw new RpcError('INVALID_ARGUMENT', `${name} must be a positive number of milliseconds, not ${String(value)}`)
  }
}
