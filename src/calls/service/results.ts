import { RpcError, type StatusName } from '../../base/errors.js'
import type { Region } from '../../memory/index.js'
import { cellOf, HOLD, isView, locationOf, plain, text, type Hold } from '../../objects/index.js'

/** Who gives a result's memory back. */
export interface ResultOwner {
  release(hold: ResultHold): void
}

/** The memory of one result that is the client's: the chunk in the server's reply scope that its view lies in. */
export class ResultHold implements Hold {
  #held = true

  constructor(
    readonly owner: ResultOwner,
    readonly slot: number,
    /** What the slot's next request carries, as long as the slot was not used again. */
    readonly sequence: number,
    readonly chunkLow: number,
    readonly chunkHigh: number,
    /** Bytes that the chunk takes, as the server says. */
    readonly bytes: number,
  ) {}

  /** Gives the memory back. Idempotent. */
  release(): void {
    if (!this.#held) return
    this.#held = false
    this.owner.release(this)
  }

  /** Ties a result's memory to its view: disposing of the view gives it back. */
  static put(value: unknown, hold: ResultHold): void {
    if (typeof value !== 'object' || value === null) hold.release()
    else if (Symbol.dispose in value) (value as { [HOLD]?: Hold })[HOLD] = hold
    // The { kind, value } of a union is no view; what it holds lies in the same memory.
    else Object.defineProperty(value, Symbol.dispose, { value: () => hold.release() })
  }

  /** The same, and a result that nobody disposes of is given back when it is collected. Costs a quarter of a microsecond. */
  static putCollected(value: unknown, hold: ResultHold): void {
    ResultHold.put(value, hold)
    if (hold.#held) collected.register(value as object, hold)
  }
}

const collected = new FinalizationRegistry<ResultHold>((hold) => hold.release())

/**
 * A view of a handler's argument under isolation is a view of a private copy, or of pages that are sealed for this call alone: no result
 * can point there. What it says instead.
 */
export function withoutPrivateView(value: unknown): unknown {
  if (!isView(value)) return value
  const { region } = locationOf(value as object)
  return region.isPrivate || region.space === null ? plain(value) : value
}

/** How the sentence of an error travels. */
export const errorCell = cellOf(text)
/** Characters of a message that travel: a sentence or two, whatever a handler throws. */
const MESSAGE_MAX = 2000

export function errorSentence(error: RpcError): string {
  return error.sentence.slice(0, MESSAGE_MAX)
}

/** The error that an answer carries. */
export function readError(region: Region, code: StatusName, low: number, high: number): RpcError {
  let sentence: string
  try {
    sentence = String(errorCell.read(region, low, high)).slice(0, MESSAGE_MAX)
  } catch {
    sentence = ''
  }
  return new RpcError(code, sentence === '' ? unsaid(code) : sentence)
}

/** An error for whose message there was no room is most often the lack of room itself. */
function unsaid(code: StatusName): string {
  return code === 'RESOURCE_EXHAUSTED'
    ? 'the connection\'s heap has no room for the answer: give results back (`using`), or ask for a larger heap when connecting'
    : 'the server gave no reason'
}

/** A handler may throw anything, also what cannot be printed. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error)
  } catch {
    return 'the handler threw a value that cannot be printed'
  }
}

/** Whether a handler's result is to be awaited: any thenable that is no view. May throw what a getter throws. */
export function isPromise(value: object): value is PromiseLike<unknown> {
  return value instanceof Promise || (!isView(value) && 'then' in value && typeof value.then === 'function')
}
