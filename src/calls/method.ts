import type { Codec } from '../objects/index.js'
import type { ObjectHeap } from './object-heap.js'
import type { ServerCall } from './server-call.js'

/** What a client needs to make a call, compiled once for each method of a connection. */
export interface ClientMethod {
  readonly id: number
  readonly name: string
  readonly argument: Codec
  readonly result: Codec
  /** The result is a copy: its memory is given back as soon as it is read. */
  readonly resultIsCopy: boolean
}

/** What a server needs to answer one. */
export interface ServerMethod {
  readonly id: number
  readonly name: string
  readonly argument: Codec
  readonly result: Codec
  /** What the handler takes besides the argument: making a call's context costs some nanoseconds. */
  readonly handler:
    | { readonly takes: 'argument'; readonly run: (argument: unknown) => unknown }
    | { readonly takes: 'call'; readonly run: (argument: unknown, call: ServerCall) => unknown }
    | { readonly takes: 'heap'; readonly run: (argument: unknown, heap: ObjectHeap) => unknown }
}

/** Options of one call. */
export interface CallOptions {
  /** How long to wait for the answer, in milliseconds. */
  readonly timeoutMs?: number
  /** Cancels the call: it rejects with CANCELLED, and the handler's own signal fires. */
  readonly signal?: AbortSignal
}
