import { randomBytes } from 'node:crypto'
import { RpcError } from '../../base/errors.js'
import { Acceptor, addon, listenUnix, peerCredentials } from '../../sys/index.js'
import { FrameSocket } from '../service/frames.js'

const BACKLOG = 512
/** A client that has been accepted has so long to come. */
const HANDSHAKE_MS = 5000
const TOKEN = /^[0-9a-f]{32}$/

export interface Hello {
  readonly token: string
  readonly fingerprint: string
  readonly description: unknown
}

/** A client that was announced by the daemon and may come. */
export interface Expected {
  readonly pid: number
  /**
   * The client is here, with its hello. Takes over the descriptor when it returns; throws an RpcError to refuse.
   */
  arrived(fd: number, hello: Hello): void
  /** It has not come in time, or was refused. */
  missed(error: RpcError): void
}

interface Expectation extends Expected {
  readonly timer: NodeJS.Timeout
}

/**
 * The isolate's listening socket for doorbells. A connection's ends make their own ends of the socket by connect and
 * accept, so that nobody else holds a descriptor of it. Clients are known by the token that the daemon gave both sides.
 */
export class DoorbellListener {
  /** In the abstract namespace: there is no file to clean up after a crash. */
  readonly path = `@rpcool-${randomBytes(12).toString('hex')}`
  readonly #acceptor: Acceptor
  readonly #expected = new Map<string, Expectation>()
  /** By process: how many sockets it may still open. Strangers cannot take the places of those who are expected. */
  readonly #places = new Map<number, number>()

  constructor() {
    this.#acceptor = new Acceptor(listenUnix(this.path, 'stream', BACKLOG), (fd) => this.#welcome(fd))
  }

  expect(token: string, expected: Expected): void {
    const timer = setTimeout(() => {
      this.#expected.delete(token)
      this.#takePlace(expected.pid)
      expected.missed(new RpcError('DEADLINE_EXCEEDED', `the client did not come within ${HANDSHAKE_MS} ms`))
    }, HANDSHAKE_MS)
    timer.unref()
    this.#places.set(expected.pid, (this.#places.get(expected.pid) ?? 0) + 1)
    this.#expected.set(token, { ...expected, arrived: (fd, hello) => expected.arrived(fd, hello), missed: (error) => expected.missed(error), timer })
  }

  close(): void {
    this.#acceptor.close()
    for (const { timer } of this.#expected.values()) clearTimeout(timer)
    this.#expected.clear()
    this.#places.clear()
  }

  #welcome(fd: number): void {
    if (this.#takePlace(peerCredentials(fd).pid)) void this.#greet(fd)
    else addon.closeFd(fd)
  }

  #takePlace(pid: number): boolean {
    const places = this.#places.get(pid) ?? 0
    if (places > 1) this.#places.set(pid, places - 1)
    else this.#places.delete(pid)
    return places > 0
  }

  async #greet(fd: number): Promise<void> {
    const socket = new FrameSocket(fd)
    let expectation: Expectation | undefined
    try {
      const hello = await socket.receive(HANDSHAKE_MS)
      expectation = this.#identify(fd, hello)
      try {
        expectation.arrived(fd, hello as Hello)
      } catch (error) {
        const { code, sentence } = RpcError.is(error) ? error : new RpcError('INTERNAL', 'the server failed to accept the connection')
        await socket.send({ ok: false, code, message: sentence }, HANDSHAKE_MS)
        throw error
      }
    } catch (error) {
      addon.closeFd(fd)
      expectation?.missed(RpcError.is(error) ? error : new RpcError('INTERNAL', String(error)))
    }
  }

  #identify(fd: number, hello: unknown): Expectation {
    if (typeof hello !== 'object' || hello === null || !('token' in hello) || typeof hello.token !== 'string' ||
        !TOKEN.test(hello.token) || !('fingerprint' in hello) || typeof hello.fingerprint !== 'string') {
      throw new RpcError('INVALID_ARGUMENT', 'this is not the hello of a client')
    }
    const expectation = this.#expected.get(hello.token)
    if (expectation === undefined || peerCredentials(fd).pid !== expectation.pid) {
      throw new RpcError('PERMISSION_DENIED', 'nobody with this token is expected')
    }
    this.#expected.delete(hello.token)
    clearTimeout(expectation.timer)
    return expectation
  }
}
