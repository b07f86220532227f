import { setTimeout as sleep } from 'node:timers/promises'
import { RpcError } from '../../base/errors.js'
import { endedBy, TIMEOUT_MS_MAX } from './waiters.js'

/** Between looks at whether the channel is served: the first, and the longest after it has doubled again and again. */
const PAUSE_MS = 5
const PAUSE_MAX_MS = 100

/** How long, and what for, somebody waits who connects. */
export interface Readiness {
  /** Milliseconds in all. */
  readonly timeoutMs: number
  /** Waits for a server that is not there yet, or just goes. */
  readonly waitForReady: boolean
  readonly signal: AbortSignal | undefined
}

/**
 * Connects, again and again where nobody is there yet. What comes of an attempt that nobody waits for any more is disposed of.
 * @param attempt connects once, within so many whole milliseconds; should end soon when the signal fires.
 * @throws RpcError CANCELLED when the signal fires (DEADLINE_EXCEEDED for `AbortSignal.timeout`); DEADLINE_EXCEEDED when nobody has come in
 * time; whatever an attempt throws that waiting does not help.
 */
export async function whenReady<C extends AsyncDisposable>(channel: string, { timeoutMs, waitForReady, signal }: Readiness, attempt: (timeoutMs: number) => Promise<C>): Promise<C> {
  const deadline = performance.now() + timeoutMs
  const aborted = new Aborted(channel, signal)
  let absence: RpcError | undefined
  try {
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
      aborted.check()
      const attempted = attempt(Math.min(Math.max(1, Math.ceil(deadline - performance.now())), TIMEOUT_MS_MAX))
      try {
        return await aborted.or(attempted)
      } catch (error) {
        if (aborted.isAborted) void attempted.then((late) => late[Symbol.asyncDispose](), () => undefined)
        if (aborted.isAborted || !waitForReady) throw error
        if (isAbsence(error)) absence = error
        // The last look may have had a moment only.
        else if (absence === undefined || !RpcError.is(error) || error.code !== 'DEADLINE_EXCEEDED') throw error
        const leftMs = deadline - performance.now()
        if (leftMs <= 0) throw new RpcError('DEADLINE_EXCEEDED', `nobody serves the channel after ${timeoutMs} ms of waiting (${absence.sentence})`, { channel, cause: absence })
        await sleep(Math.min(pauseMs, leftMs), undefined, { signal }).catch(() => undefined)
      }
    }
  } finally {
    aborted.stop()
  }
}

/** The server has not come yet, or is going. */
function isAbsence(error: unknown): error is RpcError {
  return RpcError.is(error) && (error.code === 'NOT_FOUND' || error.code === 'UNAVAILABLE')
}

/** A signal, as something that ends waits. */
class Aborted {
  readonly #channel: string
  readonly #signal: AbortSignal | undefined
  #reject: ((error: RpcError) => void) | undefined
  readonly #onAbort = (): void => this.#reject?.(this.#error())

  constructor(channel: string, signal: AbortSignal | undefined) {
    this.#channel = channel
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get isAborted(): boolean {
    return this.#signal?.aborted === true
  }

  check(): void {
    if (this.isAborted) throw this.#error()
  }

  /** Settles as the work does, unless the signal fires first. */
  or<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      work.then(resolve, reject)
    })
  }

  stop(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  #error(): RpcError {
    return new RpcError(endedBy(this.#signal!), 'connecting was aborted by its signal', { channel: this.#channel, cause: this.#signal!.reason })
  }
}
