// Slots of four words, by linear probing, at most half of them taken: { hash, first entry + 1; 0 = free, entries, last entry }.
// Entries of four words: { id, next entry + 1, entry before + 1, hash }; of a free one `next` leads to the next free one.
const WORDS = 4
const SLOTS_MIN = 64
const ENTRIES_MIN = 64

const HASH = 0
const FIRST = 1
const COUNT = 2
const LAST = 3
const ID = 0
const NEXT = 1
const BEFORE = 2
const HASH_OF = 3

/**
 * Ids by the hash of a value, in the order in which they were added: lists that run through two arrays of numbers, so that an id costs
 * the garbage collector nothing. Different values may share a hash: whoever searches looks at the values.
 */
export class HashPostings {
  #slots = new Int32Array(SLOTS_MIN * WORDS)
  #shift = 32 - Math.log2(SLOTS_MIN)
  #hashes = 0
  #entries = new Int32Array(ENTRIES_MIN * WORDS)
  #used = 0
  /** The first free entry + 1. */
  #free = 0

  /** Adds an id and answers its entry, by which it is removed. */
  add(hash: number, id: number): number {
    const entry = this.#newEntry()
    let slot = this.#slotOf(hash)
    if (this.#slots[slot + FIRST] === 0 && (this.#hashes + 1) * WORDS * 2 > this.#slots.length) {
      this.#grow()
      slot = this.#slotOf(hash)
    }
    const slots = this.#slots
    const entries = this.#entries
    const at = entry * WORDS
    entries[at + ID] = id
    entries[at + NEXT] = 0
    entries[at + HASH_OF] = hash
    if (slots[slot + FIRST] === 0) {
      entries[at + BEFORE] = 0
      slots[slot + HASH] = hash
      slots[slot + FIRST] = entry + 1
      slots[slot + COUNT] = 1
      this.#hashes++
    } else {
      const last = slots[slot + LAST]!
      entries[last * WORDS + NEXT] = entry + 1
      entries[at + BEFORE] = last + 1
      slots[slot + COUNT]!++
    }
    slots[slot + LAST] = entry
    return entry
  }

  remove(entry: number): void {
    const entries = this.#entries
    const at = entry * WORDS
    const slot = this.#slotOf(entries[at + HASH_OF]!)
    const slots = this.#slots
    const next = entries[at + NEXT]!
    const before = entries[at + BEFORE]!
    if (before > 0) entries[(before - 1) * WORDS + NEXT] = next
    else slots[slot + FIRST] = next
    if (next > 0) entries[(next - 1) * WORDS + BEFORE] = before
    else slots[slot + LAST] = before - 1
    if (--slots[slot + COUNT]! === 0) this.#freeSlot(slot)
    entries[at + NEXT] = this.#free
    this.#free = entry + 1
  }

  count(hash: number): number {
    const slot = this.#slotOf(hash)
    return this.#slots[slot + FIRST] === 0 ? 0 : this.#slots[slot + COUNT]!
  }

  /** The ids of a hash, the oldest first. */
  idsOf(hash: number): number[] {
    const ids: number[] = []
    for (let entry = this.#slots[this.#slotOf(hash) + FIRST]!; entry !== 0; entry = this.#entries[(entry - 1) * WORDS + NEXT]!) {
      ids.push(this.#entries[(entry - 1) * WORDS + ID]!)
    }
    return ids
  }

  #newEntry(): number {
    if (this.#free > 0) {
      const entry = this.#free - 1
      this.#free = this.#entries[entry * WORDS + NEXT]!
      return entry
    }
    if ((this.#used + 1) * WORDS > this.#entries.length) {
      const larger = new Int32Array(this.#entries.length * 2)
      larger.set(this.#entries)
      this.#entries = larger
    }
    return this.#used++
  }

  /** The slot of a hash, or the free one where it would go. */
  #slotOf(hash: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hash >>> this.#shift << 2
    while (slots[slot + FIRST] !== 0 && slots[slot + HASH] !== hash) slot = slot + WORDS & mask
    return slot
  }

  #freeSlot(hole: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    // Those behind it move up, as far as none comes before the slot of its hash.
    for (let next = hole + WORDS & mask; slots[next + FIRST] !== 0; next = next + WORDS & mask) {
      const home = slots[next + HASH]! >>> this.#shift << 2
      if ((next - home & mask) < (next - hole & mask)) continue
      slots.copyWithin(hole, next, next + WORDS)
      hole = next
    }
    slots[hole + FIRST] = 0
    this.#hashes--
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Int32Array(old.length * 2)
    this.#shift--
    for (let from = 0; from < old.length; from += WORDS) {
      if (old[from + FIRST] === 0) continue
      const slot = this.#slotOf(old[from + HASH]!)
      for (let i = 0; i < WORDS; i++) this.#slots[slot + i] = old[from + i]!
    }
  }
}
