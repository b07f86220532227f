import { FAILED, LOOKUP, NOOP, encodeFrame, type Frame } from './frame.js'
import { PendingCalls } from './pending.js'
import type { Handler } from './peer.js'

/** The calling side of frames, over whatever carries them. */
export class FrameCaller {
  readonly #send: (frame: Buffer) => void
  readonly #pending = new PendingCalls()

  constructor(send: (frame: Buffer) => void) {
    this.#send = send
  }

  async noop(): Promise<void> {
    await this.#call(NOOP, '')
  }

  async lookup(key: string): Promise<unknown> {
    return await this.#call(LOOKUP, key)
  }

  onAnswer({ kind, id, payload }: Frame): void {
    if (kind === NOOP) this.#pending.resolve(id, undefined)
    else if (kind === LOOKUP) this.#pending.resolve(id, JSON.parse(payload.toString()))
    else this.#pending.reject(id, new Error(payload.toString()))
  }

  /** Every call in flight fails with `error`. */
  end(error: Error): void {
    this.#pending.rejectAll(error)
  }

  #call(kind: number, payload: string): Promise<unknown> {
    const { id, answer } = this.#pending.begin()
    this.#send(encodeFrame(kind, id, payload))
    return answer
  }
}

/** The answering side: the frame to send back. */
export function answerFrame({ kind, id, payload }: Frame, handler: Handler): Buffer {
  if (kind === NOOP) return encodeFrame(NOOP, id, '')
  try {
    return encodeFrame(LOOKUP, id, toJson(handler(payload.toString())))
  } catch (error) {
    return encodeFrame(FAILED, id, String(error))
  }
}

/** A look-up's answer as JSON text; `undefined` has no JSON of its own. */
export function toJson(value: unknown): string {
  return JSON.stringify(value ?? null)
}
