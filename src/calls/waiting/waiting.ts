import { RpcError } from '../../base/errors.js'

/**
 * How an end waits for its peer.
 *
 * - `spin`: polls always; lowest latency, one busy CPU.
 * - `adaptive`: polls for a while after each message, then sleeps until its doorbell rings. The default.
 * - `event`: never polls; sleeps at once.
 * - `paper`: polls always, with pauses that depend on the CPU load (paper, section 5.8); for comparison.
 */
export type Waiting = 'spin' | 'adaptive' | 'event' | 'paper'

export interface WaitingPolicy {
  readonly name: Waiting
  /** How long an end stays hot after its last message, in milliseconds: about what a wake-up costs on two CPUs. */
  readonly serverHotMs: number
  readonly clientHotMs: number
  /** Loads of the answer's word, 15 ns each, before a synchronous call looks at anything else. */
  readonly firstSpins: number
  /** Loads of it before the call sleeps. */
  readonly syncSpins: number
  readonly pausesByLoad: boolean
}

const policies: Readonly<Record<Waiting, WaitingPolicy>> = {
  spin: { name: 'spin', serverHotMs: Infinity, clientHotMs: Infinity, firstSpins: 64, syncSpins: Infinity, pausesByLoad: false },
  adaptive: { name: 'adaptive', serverHotMs: 0.05, clientHotMs: 0.15, firstSpins: 64, syncSpins: 1500, pausesByLoad: false },
  event: { name: 'event', serverHotMs: 0, clientHotMs: 0, firstSpins: 0, syncSpins: 0, pausesByLoad: false },
  paper: { name: 'paper', serverHotMs: Infinity, clientHotMs: Infinity, firstSpins: 64, syncSpins: Infinity, pausesByLoad: true },
}

export function waitingPolicy(name: Waiting = 'adaptive'): WaitingPolicy {
  const policy = (policies as Partial<Record<string, WaitingPolicy>>)[name]
  if (policy === undefined) {
    throw new RpcError('INVALID_ARGUMENT', `unknown way of waiting "${name}"; use spin, adaptive, event or paper`)
  }
  return policy
}
