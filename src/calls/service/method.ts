import { NO_METHOD } from '../../layout/control-layout.js'
import { cellOf, type AnyType, type Cell, nothing } from '../../objects/index.js'
import type { Isolation } from '../../safety/index.js'
import type { ServerCall } from '../server/server-call.js'

/** One side of a call: how its value goes into eight bytes. */
export interface Passing {
  readonly cell: Cell
  readonly isNothing: boolean
  /** No pointer can occur in it: nothing to build, to check or to give back. */
  readonly isImmediate: boolean
  /** What is read of it holds no shared memory: its memory can be given back at once. */
  readonly isCopy: boolean
}

/** What a client needs to make a call, compiled once for each method of a connection. */
export interface ClientMethod {
  readonly id: number
  readonly name: string
  readonly isolation: Isolation
  readonly argument: Passing
  readonly result: Passing
  /** Its argument may be sealed. */
  readonly sealing: boolean
}

/** What a client needs to call a method of these types. */
export function clientMethod({ id, argument, result, isolation }: { readonly id: number, readonly argument: AnyType, readonly result: AnyType, readonly isolation: Isolation }, name: string): ClientMethod {
  const passed = passing(argument)
  // What is read as a copy anyway needs no seal.
  return { id, name, isolation, argument: passed, result: passing(result), sealing: (isolation === 'seal' || isolation === 'auto') && !passed.isCopy }
}

/** Kinds whose values are private copies when they are read; scalars aside, all others are views of shared memory. */
const COPIED = new Set(['text', 'bytes', 'numbers', 'nothing'])

export function passing(type: AnyType): Passing {
  const cell = cellOf(type)
  return { cell, isNothing: type.kind === 'nothing', isImmediate: cell.isImmediate, isCopy: cell.isImmediate || COPIED.has(type.kind) }
}

/** What a server needs to answer one. */
export interface ServerMethod {
  readonly id: number
  readonly name: string
  readonly isolation: Isolation
  readonly argument: Passing
  readonly result: Passing
  /** What the handler takes besides the argument: making a call's context costs some nanoseconds. */
  readonly handler:
    | { readonly takes: 'argument'; readonly self: unknown; readonly run: (this: unknown, argument: unknown) => unknown }
    | { readonly takes: 'call'; readonly self: unknown; readonly run: (this: unknown, argument: unknown, call: ServerCall) => unknown }
    /** What {@link ServerConnection.peer} holds. */
    | { readonly takes: 'peer'; readonly self: unknown; readonly run: (this: unknown, peer: unknown, argument: unknown) => unknown }
}

/** Options of one call. */
export interface CallOptions {
  /** How long to wait for the answer, in milliseconds. */
  readonly timeoutMs?: number
  /** Cancels the call: it rejects with CANCELLED, or with DEADLINE_EXCEEDED for `AbortSignal.timeout`, and the handler's own signal fires. */
  readonly signal?: AbortSignal
}

/** Names no method: the server refuses it, and is done with the seal or the result that it gives back. */
export const GIVING_BACK = clientMethod({ id: NO_METHOD, argument: nothing, result: nothing, isolation: 'none' }, '(no method)')
