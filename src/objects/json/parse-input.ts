import { RpcError } from '../../base/errors.js'

/** The text that is parsed, as UTF-8, and what is said of it when it is wrong. */
export class Input {
  readonly bytes: Uint8Array
  /** Over all of the bytes' buffer: the text starts at {@link offset}. */
  readonly view: DataView
  readonly offset: number
  readonly end: number

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = viewOver(bytes.buffer)
    this.offset = bytes.byteOffset
    this.end = bytes.byteLength
  }

  /** The next byte that is no white space, or the end. */
  skip(from: number): number {
    const { bytes, end } = this
    let pos = from
    while (pos < end) {
      const byte = bytes[pos]!
      if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return pos
      pos++
    }
    return pos
  }

  fail(pos: number, expected: string): never {
    const byte = this.bytes[pos]
    const found = pos >= this.end ? 'the text ends' : byte! > 0x20 && byte! < 0x7f ? `there is ${JSON.stringify(String.fromCharCode(byte!))}`
      : `there is byte 0x${byte!.toString(16).padStart(2, '0')}`
    throw new RpcError('INVALID_ARGUMENT', `not JSON: ${found} at byte ${pos}, where ${expected} is expected`)
  }
}

/** Small buffers are those of Node's pool: many texts lie in one. */
const KEPT_BUFFER_BYTES = 1 << 16
let kept: DataView | null = null

function viewOver(buffer: ArrayBufferLike): DataView {
  if (kept !== null && kept.buffer === buffer) return kept
  const view = new DataView(buffer)
  if (buffer.byteLength <= KEPT_BUFFER_BYTES) kept = view
  return view
}

const LONE_SURROGATE = /\p{Surrogate}/u
const LONE_SURROGATES = /\p{Surrogate}/gu

/** A text as UTF-8. Bytes are taken where they lie: they must not change before the parser has returned. */
export function inputOf(text: unknown): Input {
  if (text instanceof Uint8Array) return new Input(text)
  if (typeof text !== 'string') throw new RpcError('INVALID_ARGUMENT', `parseJson takes a string, a Buffer or another Uint8Array, not ${text === null ? 'null' : typeof text}`)
  const bytes = Buffer.from(text)
  if (bytes.length === text.length || !LONE_SURROGATE.test(text)) return new Input(bytes)
  // UTF-8 has no form for half a surrogate pair, an escape has.
  return new Input(Buffer.from(text.replace(LONE_SURROGATES, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`)))
}
