/**
 * The frame that the socket and zeromq peers speak, little-endian:
 *
 *   offset 0          4          8         9                    max(64, 9 + payload)
 *          +----------+----------+---------+---------------------+
 *          | length   | call id  | kind    | payload, then zeros |
 *          +----------+----------+---------+---------------------+
 *
 * length counts 9 + payload; a shorter frame than 64 bytes is padded to 64, a no-op among them.
 */
export const HEADER_BYTES = 9
export const LEAST_FRAME_BYTES = 64

/** A frame's kind: what is asked, or how it was answered. */
export const NOOP = 0
export const LOOKUP = 1
export const FAILED = 2

export interface Frame {
  readonly kind: number
  readonly id: number
  /** Valid until the reader's callback returns. */
  readonly payload: Buffer
}

const NO_PAYLOAD = Buffer.alloc(0)

export function encodeFrame(kind: number, id: number, payload: string | Uint8Array): Buffer {
  const payloadBytes = typeof payload === 'string' ? (payload === '' ? 0 : Buffer.byteLength(payload)) : payload.length
  const length = HEADER_BYTES + payloadBytes
  const frame = length < LEAST_FRAME_BYTES ? Buffer.alloc(LEAST_FRAME_BYTES) : Buffer.allocUnsafe(length)
  frame.writeUInt32LE(length, 0)
  frame.writeUInt32LE(id, 4)
  frame[8] = kind
  if (payloadBytes > 0) {
    if (typeof payload === 'string') frame.write(payload, HEADER_BYTES)
    else frame.set(payload, HEADER_BYTES)
  }
  return frame
}

export function decodeFrame(bytes: Buffer): Frame {
  const length = bytes.readUInt32LE(0)
  return {
    kind: bytes[8] ?? FAILED,
    id: bytes.readUInt32LE(4),
    payload: length === HEADER_BYTES ? NO_PAYLOAD : bytes.subarray(HEADER_BYTES, length),
  }
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void
  #parts: Buffer[] = []
  #bytes = 0
  /** Bytes to have before it is worth joining the parts. */
  #wanted = LEAST_FRAME_BYTES

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame
  }

  /** Keeps nothing of `chunk` itself, which may be a reused buffer. */
  push(chunk: Buffer): void {
    if (this.#bytes === 0) {
      const rest = this.#cut(chunk)
      if (rest.length > 0) this.#keep(rest)
      return
    }
    this.#keep(chunk)
    if (this.#bytes < this.#wanted) return
    const joined = Buffer.concat(this.#parts)
    this.#parts = []
    this.#bytes = 0
    this.push(joined)
  }

  #keep(chunk: Buffer): void {
    this.#parts.push(Buffer.from(chunk))
    this.#bytes += chunk.length
  }

  /** Hands out every whole frame and answers what is left over. */
  #cut(bytes: Buffer): Buffer {
    let offset = 0
    while (bytes.length - offset >= LEAST_FRAME_BYTES) {
      const size = Math.max(LEAST_FRAME_BYTES, bytes.readUInt32LE(offset))
      if (bytes.length - offset < size) {
        this.#wanted = size
        return bytes.subarray(offset)
      }
      this.#onFrame(decodeFrame(bytes.subarray(offset, offset + size)))
      offset += size
    }
    this.#wanted = LEAST_FRAME_BYTES
    return bytes.subarray(offset)
  }
}
