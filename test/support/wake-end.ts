import { ControlWord, WaitingFlag } from '../../src/layout/control-layout.js'
import { publishWord } from '../../src/base/ordering.js'
import { End } from '../../src/calls/waiting/end.js'
import { Poller } from '../../src/calls/waiting/poller.js'
import { waitingPolicy } from '../../src/calls/waiting/waiting.js'

/** Ways to break the protocol of waking, each of which must lose a wake-up. */
export type Mutilation = 'none' | 'no-recheck' | 'look-before-publishing' | 'no-fence'

const MESSAGE = ControlWord.SLOTS
const ACK = ControlWord.SLOTS + 16

/** An end of a connection that carries one counter each way: the smallest user of the real sleeping and waking. */
export class WakeEnd extends End {
  #seen = 0
  sleeps = 0
  /** Times that the re-check found a message that would have been slept over. */
  crossings = 0

  constructor(
    words: Int32Array, side: 'producer' | 'consumer', doorbellFd: number, readonly mutilation: Mutilation,
    readonly onGone: () => void,
  ) {
    super(words, side === 'producer' ? 16 : 32, side === 'producer' ? 32 : 16, doorbellFd, new Poller(), waitingPolicy('event'), 0)
  }

  poll(): number {
    const message = Atomics.load(this.words, MESSAGE)
    if (message === this.#seen) return 0
    this.#seen = message
    Atomics.store(this.words, ACK, message)
    return 1
  }

  /** The consumer: sleeps, unless something is there. */
  consume(): void {
    for (;;) {
      this.sleeps++
      if (this.#fallAsleep()) return
      this.crossings++
      this.poll()
    }
  }

  publish(message: number): void {
    switch (this.mutilation) {
      case 'look-before-publishing':
        this.wakePeer()
        publishWord(this.words, MESSAGE, message)
        break
      case 'no-fence':
        publishWord(this.words, MESSAGE, message)
        this.wakeSleeper()
        break
      case 'none':
      case 'no-recheck':
        publishWord(this.words, MESSAGE, message)
        this.wakePeer()
    }
  }

  acknowledged(): number {
    return Atomics.load(this.words, ACK)
  }

  /** After a lost wake-up: lets the test go on. */
  ringAnyway(): void {
    this.doorbell.ring()
  }

  end(): void {
    this.doorbell.close()
  }

  protected override ready(): boolean {
    return Atomics.load(this.words, MESSAGE) !== this.#seen
  }

  protected override expecting(): boolean {
    return true
  }

  protected override rung(): boolean {
    this.awake()
    const handled = this.poll()
    this.consume()
    return handled > 0
  }

  protected override peerGone(): void {
    this.onGone()
  }

  #fallAsleep(): boolean {
    if (this.mutilation === 'no-recheck') {
      Atomics.store(this.words, this.line, WaitingFlag.ASLEEP)
      this.asleep = true
      return true
    }
    return this.sleep()
  }
}
