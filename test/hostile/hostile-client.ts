// A client that speaks the layout by hand: a legitimate handshake, then raw words.
import { connect } from '../../src/index.js'
import { Answer, ControlWord, Line, Request, Slot, SlotSize, slotWord, WaitingFlag } from '../../src/layout/control-layout.js'
import { FreeSlots } from '../../src/calls/client/slots.js'
import { addon } from '../../src/sys/index.js'
import { Everything } from '../support/everything.js'
import type { EverythingConnection } from '../support/ground.js'

export const SLOTS = 16

/** Where a pointer points: low and high word. */
export type Pointer = readonly [low: number, high: number]

/** In a text of another connection, which no answer may hold. */
export const SECRET = 'SECRET'
const SECRET_FORMS = [Buffer.from(SECRET, 'latin1'), Buffer.from(SECRET, 'utf16le')]
/** How much of an answer's memory is looked at: its texts come first. */
const LOOKED_AT_BYTES = 2048

/** What the server has answered to hand-made requests, of all clients of this process, and how many answers were looked into and told a secret. */
export const answers = { good: 0, errors: 0, lookedInto: 0, secrets: 0 }

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
    // A server that answers with 0 does not write it: what an earlier answer left would be read.
    this.ring[at + Slot.ANSWER] = 0
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
      this.#lookForSecrets(slotWord(slot))
      this.#sequence[slot] = (this.#sequence[slot]! + 2) | 0
      this.#inFlight.delete(slot)
      this.#free.give(slot)
    }
    return this.#free.count
  }

  /** In the answer's line, where short texts lie, and in the memory that holds its result or its message. */
  #lookForSecrets(at: number): void {
    const { ring, heap } = this
    const places = [Buffer.from(ring.slice(at, at + SlotSize.WORDS).buffer)]
    if ((ring[at + Slot.ANSWER]! & Answer.OWNED) !== 0) {
      const { region } = this.connection.heaps.set
      const start = region.resolve(ring[at + Slot.CHUNK + 1]!, ring[at + Slot.CHUNK]!, 1)
      // Elsewhere only if this client itself has written over the answer.
      if (start >= 0) {
        places.push(Buffer.from(heap.slice(start, start + LOOKED_AT_BYTES / 4).buffer))
        answers.lookedInto++
      }
    }
    if (places.some((bytes) => SECRET_FORMS.some((form) => bytes.includes(form)))) answers.secrets++
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
