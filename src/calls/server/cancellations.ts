import { RpcError } from '../../base/errors.js'
import type { ServerCall } from './server-call.js'

const CANCELLED_SENTENCE = 'the client cancelled the call'

/** The calls at work at a server's end whose handlers want to be told when their client gives up. */
export class Cancellations {
  readonly #watched = new Set<ServerCall>()
  readonly #isCancelled: (call: ServerCall) => boolean
  #seen = 0

  constructor(isCancelled: (call: ServerCall) => boolean) {
    this.#isCancelled = isCancelled
  }

  /** Whether anybody wants to know. */
  get areAwaited(): boolean {
    return this.#watched.size > 0
  }

  /** A handler may ask long after its call was cancelled. */
  watch(call: ServerCall): void {
    if (this.#isCancelled(call)) call.abort(new RpcError('CANCELLED', CANCELLED_SENTENCE))
    else this.#watched.add(call)
  }

  forget(call: ServerCall): void {
    this.#watched.delete(call)
  }

  /** Whether the client has cancelled calls since {@link look}, by its own count of them. */
  hasNew(count: number): boolean {
    return count !== this.#seen
  }

  /** Compares the slots' cancel words when the client says that there are new ones; whether it said so. */
  look(count: number): boolean {
    if (count === this.#seen) return false
    this.#seen = count
    for (const call of this.#watched) {
      if (!this.#isCancelled(call)) continue
      this.#watched.delete(call)
      call.abort(new RpcError('CANCELLED', CANCELLED_SENTENCE))
    }
    return true
  }

  /** The client will hear of no answer any more. */
  end(reason: string): void {
    for (const call of this.#watched) call.abort(new RpcError('CANCELLED', reason))
    this.#watched.clear()
  }
}
