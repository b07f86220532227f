import { openSync } from 'node:fs'
import { PAGE_BYTES } from '../../base/numbers.js'
import { addon, createMemoryFile, Mapping, publishMemoryFile } from '../../sys/index.js'
import type { SealHolders } from './descriptors.js'

/*
 * A life file is one page: a robust mutex that its maker holds as long as it lives. Its first word is the maker's lock; the
 * kernel changes it when the maker dies, before it closes the maker's descriptors, and with them the userfaultfds. A pidfd tells
 * of a death only after that: a handler that ended in between would be told that its seal had held.
 */

/** This process's own life, for others to watch. */
export class Life {
  readonly #mapping: Mapping
  readonly #fd: number

  constructor() {
    this.#fd = createMemoryFile('life', PAGE_BYTES, true)
    this.#mapping = Mapping.mapLocal(this.#fd, PAGE_BYTES)
    const error = addon.holdLife(this.#mapping.buffer)
    if (error !== 0) throw new Error(`rpcool: the mutex of a life file cannot be held (errno ${error})`)
    publishMemoryFile(this.#fd)
  }

  /** A descriptor that can only read; the caller's to close. */
  open(): number {
    return openSync(`/proc/self/fd/${this.#fd}`, 'r')
  }
}

interface Holder {
  readonly mapping: Mapping
  readonly words: Int32Array
  /** The first word while the holder lives. */
  readonly alive: number
  /** Since when seals have been in force that it holds now, on the clock of {@link LifeHolders.now}. */
  readonly since: number
}

/** The processes that hold a heap's seals in force, each watched by its life file. Owns the mappings. */
export class LifeHolders implements SealHolders {
  #holders: Holder[] = []
  #clock = 0

  get now(): number {
    return this.#clock
  }

  /** Takes over the descriptor of a life file: its process holds the seals by now. */
  add(fd: number): void {
    // The dead are of no more use; the living are few.
    this.#holders = this.#holders.filter((holder) => this.#keepIfAlive(holder))
    this.#clock++
    // One that lives still has held them until the new one did.
    const since = this.#holders.reduce((first, holder) => Math.min(first, holder.since), this.#clock)
    const mapping = mapOnce(fd)
    const words = new Int32Array(mapping.buffer)
    this.#holders.push({ mapping, words, alive: Atomics.load(words, 0), since })
  }

  liveSince(since: number): boolean {
    const holders = this.#holders
    for (let i = 0; i < holders.length; i++) {
      const { words, alive, since: first } = holders[i]!
      if (first <= since && isAlive(words, alive)) return true
    }
    return false
  }

  close(): void {
    for (const { mapping } of this.#holders.splice(0)) mapping.unmap()
  }

  #keepIfAlive({ mapping, words, alive }: Holder): boolean {
    if (isAlive(words, alive)) return true
    mapping.unmap()
    return false
  }
}

/** An unheld mutex (zero) is nobody's life, and a dead one has the kernel's mark in place of its holder. */
function isAlive(words: Int32Array, alive: number): boolean {
  return alive > 0 && alive < OWNER_DIED && Atomics.load(words, 0) === alive
}
const OWNER_DIED = 0x4000_0000

function mapOnce(fd: number): Mapping {
  try {
    return Mapping.mapLocal(fd, PAGE_BYTES, false)
  } finally {
    addon.closeFd(fd)
  }
}
