import { hashText } from './hash.js'

// Two words a slot: { hash, id + 1; 0 = free }. Linear probing; at most half of the slots are taken.
const SLOT = 2
const SLOTS_MIN = 64

/**
 * Ids of documents by key. A `Map` of strings looks at every string that shares a bucket with the one that is sought, each somewhere
 * in memory; here only hashes are compared until one is equal (put: measured at half the time).
 */
export class KeyTable {
  #slots = new Int32Array(SLOTS_MIN * SLOT)
  /** A hash shifted right by so much, then left by one, is its slot. */
  #shift = 32 - Math.log2(SLOTS_MIN)
  #size = 0
  readonly #keys: string[] = []

  get size(): number {
    return this.#size
  }

  /** The id of a key, or -1. */
  find(key: string): number {
    return this.#slots[this.#slotOf(key, hashText(key)) + 1]! - 1
  }

  /** The id of a key that is there; otherwise the key gets `id`, which no other one has. */
  enter(key: string, id: number): number {
    const hash = hashText(key)
    const slot = this.#slotOf(key, hash)
    const known = this.#slots[slot + 1]! - 1
    if (known >= 0) return known
    this.#slots[slot] = hash
    this.#slots[slot + 1] = id + 1
    this.#keys[id] = key
    if (++this.#size * SLOT * 2 > this.#slots.length) this.#grow()
    return id
  }

  /** Forgets a key and answers its id, or -1. */
  delete(key: string): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let hole = this.#slotOf(key, hashText(key))
    const id = slots[hole + 1]! - 1
    if (id < 0) return -1
    // Those behind it move up, as far as none comes before the slot of its hash.
    for (let next = hole + SLOT & mask; slots[next + 1] !== 0; next = next + SLOT & mask) {
      const home = slots[next]! >>> this.#shift << 1
      if ((next - home & mask) < (next - hole & mask)) continue
      slots[hole] = slots[next]!
      slots[hole + 1] = slots[next + 1]!
      hole = next
    }
    slots[hole + 1] = 0
    this.#keys[id] = ''
    this.#size--
    return id
  }

  clear(): void {
    this.#slots = new Int32Array(SLOTS_MIN * SLOT)
    this.#shift = 32 - Math.log2(SLOTS_MIN)
    this.#size = 0
    this.#keys.length = 0
  }

  /** The slot of a key, or the free one where it would go. */
  #slotOf(key: string, hash: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hash >>> this.#shift << 1
    for (;;) {
      const id = slots[slot + 1]!
      if (id === 0 || (slots[slot] === hash && this.#keys[id - 1] === key)) return slot
      slot = slot + SLOT & mask
    }
  }

  #grow(): void {
    const old = this.#slots
    const slots = new Int32Array(old.length * 2)
    const mask = slots.length - 1
    const shift = --this.#shift
    this.#slots = slots
    for (let from = 0; from < old.length; from += SLOT) {
      if (old[from + 1] === 0) continue
      let slot = old[from]! >>> shift << 1
      while (slots[slot + 1] !== 0) slot = slot + SLOT & mask
      slots[slot] = old[from]!
      slots[slot + 1] = old[from + 1]!
    }
  }
}
