import { RpcError } from '../../base/errors.js'
import { userId } from './users.js'

/** The share of a service's places that one other user may take, and that all of them may. */
const ONE_IN = 8
const ALL_IN = 2

/**
 * The places of a service's isolates. A user whom it serves besides its own, or a program of one that "rpcool run" started, could else take all
 * of them, and nobody would be served any more. The service's own user could end it anyhow.
 */
export class Places {
  readonly #uids = new Map<object, number>()
  readonly #counts = new Map<number, number>()
  #others = 0

  /** @param own the user whose isolates are limited by `max` alone. */
  constructor(readonly service: string, readonly max: number, readonly own = userId()) {}

  /** Takes a place for an isolate of a user, until {@link giveBack}; returns why it may not. */
  take(holder: object, uid: number): RpcError | undefined {
    if (this.#uids.size >= this.max) return full(`the ${this.service} serves ${this.max} isolates already`)
    const count = this.#counts.get(uid) ?? 0
    const isOther = uid !== this.own
    if (isOther && (count >= this.max / ONE_IN || this.#others >= this.max / ALL_IN)) {
      return full(`the ${this.service} serves ${count} isolates of user ${uid} already, and ${this.#others} of users besides its own`)
    }
    if (isOther) this.#others++
    this.#counts.set(uid, count + 1)
    this.#uids.set(holder, uid)
    return undefined
  }

  /** Also of a holder that was given none. */
  giveBack(holder: object): void {
    const uid = this.#uids.get(holder)
    if (uid === undefined) return
    this.#uids.delete(holder)
    if (uid !== this.own) this.#others--
    const left = this.#counts.get(uid)! - 1
    if (left > 0) this.#counts.set(uid, left)
    else this.#counts.delete(uid)
  }
}

/** What a service says to a process that may not ask it for anything. */
export function notServed(service: string, { pid, uid }: { readonly pid: number, readonly uid: number }): RpcError {
  return new RpcError('PERMISSION_DENIED',
    `this ${service} serves user ${userId()}, whom RPCOOL_USERS named when it started, and programs that "rpcool run" started, not process ${pid} of user ${uid}`)
}

function full(why: string): RpcError {
  return new RpcError('RESOURCE_EXHAUSTED', why)
}
