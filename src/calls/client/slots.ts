/**
 * The client's book-keeping of slots: which are free, in the order in which they became free, and which is announced as
 * the next one. Private memory: a server that scribbles in the ring cannot confuse it.
 */
export class FreeSlots {
  readonly #queue: Uint16Array
  readonly #mask: number
  #head = 0
  #count: number

  constructor(slots: number) {
    this.#queue = new Uint16Array(slots)
    this.#mask = slots - 1
    this.#count = slots
    for (let i = 0; i < slots; i++) this.#queue[i] = i
  }

  get count(): number {
    return this.#count
  }

  /** The slot that has been free for the longest, or -1. */
  take(): number {
    if (this.#count === 0) return -1
    const slot = this.#queue[this.#head]!
    this.#head = (this.#head + 1) & this.#mask
    this.#count--
    return slot
  }

  give(slot: number): void {
    this.#queue[(this.#head + this.#count) & this.#mask] = slot
    this.#count++
  }
}

/** Slots in flight, in the order in which they were sent. */
export class InFlight {
  readonly #slots: Int32Array
  #head = 0
  #tail = 0

  constructor(slots: number) {
    this.#slots = new Int32Array(slots * 2)
  }

  get count(): number {
    return this.#tail - this.#head
  }

  add(slot: number): void {
    if (this.#tail === this.#slots.length) this.keep(() => true)
    this.#slots[this.#tail++] = slot
  }

  /** The slot sent first. The caller has seen that `count` is not 0. */
  first(): number {
    return this.#slots[this.#head]!
  }

  removeFirst(): void {
    if (++this.#head === this.#tail) this.#head = this.#tail = 0
  }

  some(predicate: (slot: number) => boolean): boolean {
    for (let i = this.#head; i < this.#tail; i++) if (predicate(this.#slots[i]!)) return true
    return false
  }

  /** Keeps the slots for which the predicate holds, in order, and moves them to the front. */
  keep(predicate: (slot: number) => boolean): void {
    let kept = 0
    const end = this.#tail
    for (let i = this.#head; i < end; i++) {
      const slot = this.#slots[i]!
      if (predicate(slot)) this.#slots[kept++] = slot
    }
    this.#head = 0
    this.#tail = kept
  }
}
