import { RpcError } from '../base/errors.js'
import { CallScope } from './call-scope.js'
import type { HeapSet } from './heap-set.js'

/** The part of the first heap that chunks may take which wait for their next use. */
const KEPT_SHARE = 8

/**
 * Call scopes that wait for their next use, each with the chunk of its last one. Their chunks take at most an eighth of the
 * connection's first heap, and one chunk more.
 */
export class CallScopePool {
  /** The one that is used again and again where calls follow each other: the others are not touched then. */
  #first: CallScope | null = null
  readonly #others: CallScope[] = []
  readonly #keptMax: number
  /** Bytes of the others' chunks. */
  #kept = 0

  constructor(readonly heaps: HeapSet) {
    this.#keptMax = keptMaxOf(heaps)
  }

  /** An empty scope: its taker's, until it is given back. */
  take(): CallScope {
    const first = this.#first
    if (first === null) return this.#takeOther()
    this.#first = null
    return first
  }

  /** What the scope holds is done with. */
  give(scope: CallScope): void {
    try {
      scope.reset()
    } catch (error) {
      ignoreSpoil(error)
      return
    }
    if (this.#first === null) this.#first = scope
    else this.#giveOther(scope)
  }

  #takeOther(): CallScope {
    const scope = this.#others.pop()
    if (scope === undefined) return new CallScope(this.heaps)
    this.#kept -= scope.capacity
    return scope
  }

  #giveOther(scope: CallScope): void {
    if (this.#kept + scope.capacity > this.#keptMax) closeScope(scope)
    this.#kept += scope.capacity
    this.#others.push(scope)
  }

  /** Building something in the scope failed. @returns whether it is worth another try: room was lacking, and what waited here is free now. */
  giveFailed(scope: CallScope, error: unknown): boolean {
    if (!RpcError.is(error) || error.code !== 'RESOURCE_EXHAUSTED') {
      this.give(scope)
      return false
    }
    const kept = this.#kept + (this.#first?.capacity ?? 0)
    this.#others.push(scope)
    this.empty()
    return kept > 0
  }

  /** Frees the chunks. In a heap that outlives the connection they would stay. */
  empty(): void {
    if (this.#first !== null) closeScope(this.#first)
    for (const scope of this.#others) closeScope(scope)
    this.#kept = 0
  }
}

/** Bytes of memory, neither used nor free, that one side of a connection keeps at most. */
export function keptMaxOf(heaps: HeapSet): number {
  return heaps.heaps[0]!.region.u8.length / KEPT_SHARE
}

/** Frees a scope's chunks. */
export function closeScope(scope: CallScope): void {
  ignoringSpoils(() => scope.close())
}

/** Gives memory back. A peer that has spoiled the tables of the heap makes that fail, at its own cost. */
export function ignoringSpoils(giveBack: () => void): void {
  try {
    giveBack()
  } catch (error) {
    ignoreSpoil(error)
  }
}

function ignoreSpoil(error: unknown): void {
  if (!RpcError.is(error)) throw error
}
