import { RpcError } from '../../base/errors.js'
import { addon, watch, type Watch } from '../../sys/index.js'

/** Largest frame of the handshake: descriptions of large schemas, and a bound on what a stranger can make us keep. */
const FRAME_BYTES_MAX = 1 << 20
const CHUNK_BYTES = 65_536

/**
 * Exchanges one JSON frame each way over a stream socket, at the start of a connection: u32 length (little endian), then
 * UTF-8. After that the socket is the doorbell. The descriptor stays the caller's.
 */
export class FrameSocket {
  /** @param signal ends what is under way, with CANCELLED. */
  constructor(readonly fd: number, readonly signal?: AbortSignal) {}

  /** Sends a frame. @throws RpcError UNAVAILABLE when the peer is gone, DEADLINE_EXCEEDED when it does not read in time. */
  async send(value: unknown, timeoutMs: number): Promise<void> {
    const body = Buffer.from(JSON.stringify(value), 'utf8')
    if (body.length > FRAME_BYTES_MAX) {
      throw new RpcError('RESOURCE_EXHAUSTED', `the service's description has ${body.length} bytes, more than ${FRAME_BYTES_MAX}`)
    }
    const frame = new Uint8Array(4 + body.length)
    new DataView(frame.buffer).setUint32(0, body.length, true)
    frame.set(body, 4)
    let sent = 0
    await this.#until(timeoutMs, true, () => {
      while (sent < frame.length) {
        const count = addon.sendMessage(this.fd, frame.subarray(sent))
        if (count < 0) return undefined
        sent += count
      }
      return true
    })
  }

  /** Receives a frame: any JSON value, unchecked. Reads no byte beyond it. */
  async receive(timeoutMs: number): Promise<unknown> {
    const head = await this.#read(4, timeoutMs)
    const length = new DataView(head.buffer).getUint32(0, true)
    if (length > FRAME_BYTES_MAX) throw new RpcError('INVALID_ARGUMENT', `a handshake of ${length} bytes is too long`)
    const body = await this.#read(length, timeoutMs)
    try {
      return JSON.parse(Buffer.from(body).toString('utf8')) as unknown
    } catch (cause) {
      throw new RpcError('INVALID_ARGUMENT', 'the handshake is not JSON', { cause })
    }
  }

  #read(length: number, timeoutMs: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    let have = 0
    return this.#until(timeoutMs, false, () => {
      while (have < length) {
        const fds: number[] = []
        let count: number
        try {
          count = addon.receiveMessage(this.fd, bytes.subarray(have, Math.min(length, have + CHUNK_BYTES)), fds)
        } finally {
          // Nobody has business sending descriptors here: also those that came before the error of too many.
          for (const fd of fds) addon.closeFd(fd)
        }
        if (count < 0) return undefined
        if (count === 0) throw new RpcError('UNAVAILABLE', 'the peer has closed the connection during the handshake')
        have += count
      }
      return bytes
    })
  }

  /** Tries now, and again whenever the socket is ready, until it gives a value. */
  #until<T>(timeoutMs: number, writing: boolean, attempt: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (act: () => void): void => {
        clearTimeout(timer)
        this.signal?.removeEventListener('abort', onAbort)
        wait.watch?.close()
        act()
      }
      const onAbort = (): void => finish(() => reject(new RpcError('CANCELLED', 'the handshake was given up')))
      const tryOnce = (): boolean => {
        try {
          const value = attempt()
          if (value === undefined) return false
          finish(() => resolve(value))
        } catch (error) {
          finish(() => reject(RpcError.is(error) ? error
            : new RpcError('UNAVAILABLE', 'the peer has broken the connection during the handshake', { cause: error })))
        }
        return true
      }
      const wait: { watch?: Watch } = {}
      const timer = setTimeout(
        () => finish(() => reject(new RpcError('DEADLINE_EXCEEDED', `the handshake took more than ${timeoutMs} ms`))), timeoutMs)
      if (this.signal?.aborted === true) return onAbort()
      this.signal?.addEventListener('abort', onAbort)
      if (tryOnce()) return undefined
      wait.watch = watch(this.fd, () => void tryOnce())
      wait.watch.setReadable(!writing)
      wait.watch.setWritable(writing)
      return undefined
    })
  }
}
