import { connect } from 'node:net'
import { once } from 'node:events'
import { nowNs } from './clock.js'
import { tailsOf, type Tails } from './statistics.js'

const PERIOD_MS = 1
const SAMPLES_MAX = 100_000

/** A socket that is answered all the time: some 64 bytes every millisecond, so that an event loop has other work than calls. */
export class EchoLoad {
  readonly #samples = new Float64Array(SAMPLES_MAX)
  #count = 0
  #sentAt = 0
  #timer: NodeJS.Timeout | undefined

  private constructor(readonly socket: ReturnType<typeof connect>) {
    socket.on('data', () => {
      if (this.#count < SAMPLES_MAX) this.#samples[this.#count++] = nowNs() - this.#sentAt
    })
  }

  static async open(path: string): Promise<EchoLoad> {
    const socket = connect(path)
    await once(socket, 'connect')
    return new EchoLoad(socket)
  }

  start(): void {
    const payload = Buffer.alloc(64, 1)
    this.#timer = setInterval(() => {
      this.#sentAt = nowNs()
      this.socket.write(payload)
    }, PERIOD_MS)
  }

  /** What was recorded so far does not count: it belongs to the warm-up. */
  forget(): void {
    this.#count = 0
  }

  pause(): void {
    clearInterval(this.#timer)
  }

  /** Round trips of the echo while calls were made. */
  close(): Tails {
    this.pause()
    this.socket.destroy()
    return tailsOf(this.#samples.subarray(0, Math.max(1, this.#count)))
  }
}
