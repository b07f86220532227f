import type { Allocator, Region } from '../../memory/region.js'
import type { Journal } from './journal.js'
import { SavedWords } from './saved-words.js'
import type { UndoLog } from './undo-log.js'

/** The write that is under way in this isolate. */
export class Write implements Journal {
  readonly #allocators = new Map<Allocator, Allocator>()
  readonly #saved = new SavedWords()

  constructor(readonly region: Region, readonly word: number, readonly log: UndoLog, readonly allocator: Allocator) {}

  isOf(region: Region, word: number): boolean {
    return this.word === word && this.region === region
  }

  save(region: Region, word: number, words: number): void {
    const low = region.lowOf(word)
    const { high } = region
    if (this.#saved.has(low, high, words) || !this.#isUndone(region.origin)) return
    this.log.save(region, word, words)
    this.#saved.add(low, high, words)
  }

  // What lies in another connection's heaps, or in one that this server publishes, cannot be undone by the members of this one.
  #isUndone(region: Region): boolean {
    return region.space === this.region.space && this.allocator.owns(region)
  }

  allocatorFor({ origin: region }: Region, allocator: Allocator): Allocator {
    if (!this.#isUndone(region)) return allocator
    let noting = this.#allocators.get(allocator)
    if (noting === undefined) this.#allocators.set(allocator, noting = new NotingAllocator(allocator, this.log))
    return noting
  }
}

class NotingAllocator implements Allocator {
  // A shape outlives the write; one that is undone must not.
  readonly transient = true
  readonly #allocator: Allocator
  readonly #log: UndoLog

  constructor(allocator: Allocator, log: UndoLog) {
    this.#allocator = allocator
    this.#log = log
  }

  get region(): Region {
    return this.#allocator.region
  }

  allocate(byteLength: number): number {
    this.#log.prepareNote()
    const word = this.#allocator.allocate(byteLength)
    const { region } = this.#allocator
    this.#log.allocated(region, word)
    return word
  }

  free(region: Region, word: number): void {
    this.#log.freed(region, word)
  }

  owns(region: Region): boolean {
    return this.#allocator.owns(region)
  }
}
