import { fence, loadPublished } from '../../base/ordering.js'
import { Line, WaitingFlag } from '../../layout/control-layout.js'
import { Doorbell } from './doorbell.js'
import { type Pollable, type Poller } from './poller.js'
import type { WaitingPolicy } from './waiting.js'

/**
 * What both ends of a connection have in common: the two lines of flags, sleeping and waking.
 *
 * The protocol of waking: who is about to sleep stores ASLEEP in its line and then looks at the ring once more; who has
 * published loads the peer's line afterwards, at the latest at the end of its batch, and rings when it finds ASLEEP. Both
 * sides store before they load, with full fences between, so that at least one of them sees the other.
 */
export abstract class End implements Pollable {
  active = false
  readonly pausesByLoad: boolean
  protected readonly doorbell: Doorbell
  protected asleep = false
  #hotUntil = 0

  protected constructor(
    readonly words: Int32Array,
    protected readonly line: number,
    protected readonly peerLine: number,
    doorbellFd: number,
    protected readonly poller: Poller,
    protected readonly policy: WaitingPolicy,
    readonly hotMs: number,
  ) {
    this.pausesByLoad = policy.pausesByLoad
    this.doorbell = new Doorbell(doorbellFd, { rung: () => this.rung(), ended: () => this.peerGone() })
  }

  abstract poll(): number
  /** Whether `poll` would find something. */
  protected abstract ready(): boolean
  /** Whether anything may come without our doing: then this end must be woken. */
  protected abstract expecting(): boolean
  /** The doorbell rang, or polling found the end of the doorbell. */
  protected abstract rung(): boolean
  protected abstract peerGone(): void

  /** The daemon says that the peer's process has ended. The doorbell tells first, unless a child of it still holds its descriptors. */
  peerDied(): void {
    this.doorbell.peerDied()
  }

  stayHot(now: number): void {
    this.#hotUntil = now + this.timeToStayHot()
  }

  rest(now: number): boolean {
    if (!this.expecting()) return true
    if (now < this.#hotUntil || this.hotMs === Infinity) return false
    return this.sleep()
  }

  protected timeToStayHot(): number {
    return this.hotMs
  }

  /** Whether the connection's memory was taken away. */
  get isUnmapped(): boolean {
    return this.words.length === 0
  }

  peerCpu(): number {
    return Atomics.load(this.words, this.peerLine + Line.CPU) - 1
  }

  publishCpu(cpu: number): void {
    Atomics.store(this.words, this.line + Line.CPU, cpu + 1)
  }

  /** Asks to be woken. False when something came meanwhile, and nothing has changed then. */
  protected sleep(): boolean {
    // Pairs with the load in `wakePeer` of the other side.
    Atomics.store(this.words, this.line, WaitingFlag.ASLEEP)
    this.asleep = true
    if (!this.ready()) return true
    this.awake()
    return false
  }

  protected awake(): void {
    if (!this.asleep) return
    this.asleep = false
    Atomics.store(this.words, this.line, WaitingFlag.POLLING)
  }

  /** Called after publishing: rings when the peer sleeps. */
  protected wakePeer(): void {
    fence()
    this.wakeSleeper()
  }

  /**
   * The same without the fence, for a message of a batch. Tells whether it rang: when the last message of the batch did not
   * ring, {@link wakePeer} must follow, for a peer that fell asleep just then.
   */
  protected wakeSleeper(): boolean {
    // Pairs with the store in `sleep` of the other side.
    return loadPublished(this.words, this.peerLine) === WaitingFlag.ASLEEP && this.#ring()
  }

  protected announceClosing(): void {
    Atomics.store(this.words, this.line + Line.CLOSING, 1)
  }

  protected peerIsClosing(): boolean {
    return Atomics.load(this.words, this.peerLine + Line.CLOSING) !== 0
  }

  protected peerCancels(): number {
    return Atomics.load(this.words, this.peerLine + Line.CANCELS)
  }

  #ring(): boolean {
    // Whoever changes the word rings, so that a sleep is ended by exactly one byte.
    if (Atomics.compareExchange(this.words, this.peerLine, WaitingFlag.ASLEEP, WaitingFlag.POLLING) !== WaitingFlag.ASLEEP) return false
    this.doorbell.ring()
    return true
  }
}
