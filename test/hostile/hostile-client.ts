// A client that speaks the layout by hand: a legitimate handshake, then raw words.
import { connect } from '../../src/index.js'
import { Answer, ControlWord, Line, Request, Slot, slotWord, WaitingFlag } from '../../src/layout/control-layout.js'
import { FreeSlots } from '../../src/calls/client/slots.js'
import { addon } from '../../src/sys/index.js'
import { Everything } from '../support/everything.js'
import type { EverythingConnection } from '../support/ground.js'

export const SLOTS = 16

/** Where a pointer points: low and high word. */
export type Pointer = readonly [low: number, high: number]

/** What the server has answered to hand-made requests, of all clients of this process. */
export const answers = { good: 0, errors: 0 }

export class HostileClient {
  readonly ring: Int32Array
  readonly heap: Int32Array
  readonly doorbell: number
  readonly #sequence = new Int32Array(SLOTS).fill(1)
  readonly #free = new FreeSlots(SLOTS)
  readonly #inFlight = new Set<number>()
  #next = this.#free.take()
  #gone = false

  private constructor(readonly connection: EverythingConnection) {
    this.ring = new Int32Array(connection.control.buffer)
    const [first] = connection.heaps.set.heaps
    this.heap = first!.region.i32
    this.doorbell = (Reflect.get(connection.end, 'doorbell') as { readonly fd: number }).fd
    void connection.closed.then(() => (this.#gone = true))
  }

  static async connect(channel: string): Promise<HostileClient> {
    return new HostileClient(await connect(channel, Everything, { slots: SLOTS, heapBytes: 1 << 20 }))
  }

  /** The server has thrown this client out. */
  get isGone(): boolean {
    return this.#gone
  }

  /** Where a word of the own heap is. */
  pointer(word: number): Pointer {
    const { region } = this.connection.heaps.set
    return [region.lowOf(word), region.high]
  }

  /** Publishes a request in the slot that was announced, as long as there is one to announce next. */
  request(method: number, [low, high]: Pointer, flags = 0): void {
    const slot = this.#next
    const at = slotWord(slot)
    this.#next = this.#free.take()
    this.#inFlight.add(slot)
    this.ring[at + Slot.METHOD] = method
    this.ring[at + Slot.REQUEST] = (flags & Request.FLAGS) | (this.#next << Request.NEXT_SHIFT)
    this.ring[at + Slot.ARGUMENT] = low
    this.ring[at + Slot.ARGUMENT + 1] = high
    Atomics.store(this.ring, at, this.#sequence[slot]!)
    this.wake()
  }

  wake(): void {
    if (Atomics.compareExchange(this.ring, ControlWord.SERVER_LINE + Line.WAITING, WaitingFlag.ASLEEP, 0) === WaitingFlag.ASLEEP) this.ringDoorbell()
  }

  ringDoorbell(): void {
    if (!this.#gone) addon.ringDoorbell(this.doorbell)
  }

  /** How many requests can be made: slots that were answered are free again. */
  collect(): number {
    for (const slot of this.#inFlight) {
      if (Atomics.load(this.ring, slotWord(slot)) !== ((this.#sequence[slot]! + 1) | 0)) continue
      if ((this.ring[slotWord(slot) + Slot.ANSWER]! & Answer.STATUS) === 0) answers.good++
      else answers.errors++
      this.#sequence[slot] = (this.#sequence[slot]! + 2) | 0
      this.#inFlight.delete(slot)
      this.#free.give(slot)
    }
    return this.#free.count
  }

  /** Lets the other processes and the event loop have their turn. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
  }

  claimAsleep(): void {
    Atomics.store(this.ring, ControlWord.CLIENT_LINE + Line.WAITING, WaitingFlag.ASLEEP)
  }

  async close(): Promise<void> {
    await this.connection.close()
  }
}
