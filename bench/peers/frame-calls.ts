import { FAILED, LOOKUP, NOOP, encodeFrame, type Frame } from './frame.js'
import { PendingCalls } from './pending.js'
import type { Handler } from './peer.js'

/** How values lie in a frame's payload. */
export interface Codec<Question> {
  encode(question: Question): string | Uint8Array
  /** The bytes are valid until it returns. */
  decode(payload: Buffer): unknown
}

/** A key as it is, and the answer as JSON. */
export const KEY_AND_JSON: Codec<string> = { encode: (key) => key, decode: (payload) => JSON.parse(payload.toString()) as unknown }

/** The calling side of frames, over whatever carries them. */
export class FrameCaller<Question = string> {
  readonly #send: (frame: Buffer) => void
  readonly #codec: Codec<Question>
  readonly #pending = new PendingCalls()

  constructor(send: (frame: Buffer) => void, codec: Codec<Question>) {
    this.#send = send
    this.#codec = codec
  }

  async noop(): Promise<void> {
    await this.#call(NOOP, '')
  }

  async lookup(question: Question): Promise<unknown> {
    return await this.#call(LOOKUP, this.#codec.encode(question))
  }

  onAnswer({ kind, id, payload }: Frame): void {
    if (kind === NOOP) this.#pending.resolve(id, undefined)
    else if (kind === LOOKUP) this.#pending.resolve(id, this.#codec.decode(payload))
    else this.#pending.reject(id, new Error(payload.toString()))
  }

  /** Every call in flight fails with `error`. */
  end(error: Error): void {
    this.#pending.rejectAll(error)
  }

  #call(kind: number, payload: string | Uint8Array): Promise<unknown> {
    const { id, answer } = this.#pending.begin()
    this.#send(encodeFrame(kind, id, payload))
    return answer
  }
}

/** Answers a payload by a payload. */
export type PayloadHandler = (payload: Buffer) => string | Uint8Array

/** What a handler of keys does with payloads. */
export function jsonAnswers(handler: Handler): PayloadHandler {
  return (payload) => toJson(handler(payload.toString()))
}

/** The answering side: the frame to send back. */
export function answerFrame({ kind, id, payload }: Frame, answer: PayloadHandler): Buffer {
  if (kind === NOOP) return encodeFrame(NOOP, id, '')
  try {
    return encodeFrame(LOOKUP, id, answer(payload))
  } catch (error) {
    return encodeFrame(FAILED, id, String(error))
  }
}

/** A look-up's answer as JSON text; `undefined` has no JSON of its own. */
export function toJson(value: unknown): string {
  return JSON.stringify(value ?? null)
}
