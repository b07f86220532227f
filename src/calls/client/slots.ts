/**
 * The client's book-keeping of slots: which are free, and which of them is used next. First those whose last result was given back,
 * the latest first: their next request gives its memory to the server, which builds the next result there. Then those without a
 * result, the one that has been free for the longest first; then those whose result is still held.
 *
 * Private memory: a server that scribbles in the ring cannot confuse it.
 */
export class FreeSlots {
  readonly #queue: Uint16Array
  readonly #mask: number
  #head = 0
  #queued: number
  readonly #spare: Uint16Array
  #spares = 0
  /** For each slot: 1 where the result of a free slot is held. */
  readonly #isHeld: Uint8Array
  /** Where the look for a slot with a held result goes on: in the order of their numbers, and so about that of their answers. */
  #heldFrom = 0
  #count: number
  /** For each slot: bytes that its last result takes. */
  readonly #resultBytes: Uint32Array
  #unreturned = 0
  #freedLate = 0

  /** @param unreturnedMax bytes of results that may have been given back before the server should hear of it. */
  constructor(slots: number, readonly unreturnedMax = Infinity) {
    this.#resultBytes = new Uint32Array(slots)
    this.#queue = new Uint16Array(slots)
    this.#mask = slots - 1
    this.#queued = this.#count = slots
    for (let i = 0; i < slots; i++) this.#queue[i] = i
    this.#spare = new Uint16Array(slots)
    this.#isHeld = new Uint8Array(slots)
  }

  get count(): number {
    return this.#count
  }

  /** Bytes of results that were given back without the server's knowing. */
  get unreturned(): number {
    return this.#unreturned
  }

  /** Whether too much was given back to wait for further calls. */
  get returnsTooLate(): boolean {
    return this.#unreturned > this.unreturnedMax
  }

  /** The slot to be used next, or -1. */
  take(): number {
    if (this.#count === 0) return -1
    this.#count--
    if (this.#spares > 0) return this.#spare[--this.#spares]!
    if (this.#queued === 0) return this.#takeHeld()
    const slot = this.#queue[this.#head]!
    this.#head = (this.#head + 1) & this.#mask
    this.#queued--
    return slot
  }

  /** A slot that leaves no result. */
  give(slot: number): void {
    this.#queue[(this.#head + this.#queued) & this.#mask] = slot
    this.#queued++
    this.#count++
  }

  /** A slot whose result, of so many bytes, is held. */
  giveHeld(slot: number, bytes: number): void {
    this.#isHeld[slot] = 1
    this.#resultBytes[slot] = bytes
    this.#count++
  }

  /** The result of a slot that was given as held is held no longer. `isTaken`: it was taken meanwhile, for the next request. */
  giveBack(slot: number, isTaken: boolean): void {
    this.#unreturned += this.#resultBytes[slot]!
    if (isTaken) return
    this.#isHeld[slot] = 0
    this.#spare[this.#spares++] = slot
  }

  /** The memory of a result was freed after its slot had been used again: the server takes it back when it hears of it. */
  freedLate(bytes: number): void {
    this.#unreturned += bytes
    this.#freedLate += bytes
  }

  /** The next request tells the server to take back what was freed late. @returns whether there is any. */
  tellLate(): boolean {
    const late = this.#freedLate
    this.#unreturned -= late
    this.#freedLate = 0
    return late > 0
  }

  /** A request tells the server that the slot's result was given back. */
  returned(slot: number): void {
    this.#unreturned -= this.#resultBytes[slot]!
  }

  /** Nothing but slots with held results is free. */
  #takeHeld(): number {
    let slot = this.#heldFrom
    while (this.#isHeld[slot] === 0) slot = (slot + 1) & this.#mask
    this.#isHeld[slot] = 0
    this.#heldFrom = (slot + 1) & this.#mask
    return slot
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
