import { attachHeader } from '../../../layout/header.js'
import {
  REQUEST_CODE, REQUEST_DESCRIPTOR, REQUEST_PAGE, REQUEST_PAGES, type REQUESTS_ASLEEP, type REQUESTS_AT_BELL, REQUESTS_COUNT, REQUESTS_CPU, REQUESTS_POLLING,
  REQUESTS_SEALER_WORD, REQUESTS_SENDER_WORD, REQUESTS_WAITING, requestWord, SEAL_REQUEST, SEAL_REQUESTS_KIND, SEALS_FINGERPRINT,
} from '../../../layout/seal-layout.js'
import { Batch } from './engine.js'

const POSTED_WORD = REQUESTS_SENDER_WORD + REQUESTS_COUNT
const DONE_WORD = REQUESTS_SEALER_WORD + REQUESTS_COUNT

/**
 * Pages that the seals of one batch name together, unless one alone names more: some 20 µs of looking at the table, and a millisecond of the
 * kernel's. A longer batch would keep the sealer from its other senders.
 */
export const BATCH_PAGES_MAX = 1 << 14
/**
 * Seals of one batch that do not begin where the one before ended, each of which may be a call of the kernel: 0.6 µs, or 10 where the sender runs. A batch
 * of as many scattered pages as its length allows took a quarter of a second, in which nobody else was served.
 */
export const BATCH_CALLS_MAX = 1024
/** Releases of one batch, whose pages only the table knows: what waits to be released by default, four times over. */
export const BATCH_RELEASES_MAX = 4096

/**
 * The sealer's side of a sender's ring. The sender may write any word at any time: each is read once into a private batch.
 */
export class SenderRequests {
  readonly batch: Batch
  readonly #words: Int32Array
  readonly #mask: number
  #done: number
  #cpu = -1

  /** `buffer` is the mapped file; it stays its owner's. After a restart the count of the sealer before is taken over. */
  constructor(buffer: ArrayBuffer, count: number) {
    this.#words = new Int32Array(buffer)
    this.#mask = count - 1
    this.batch = new Batch(count)
    attachHeader(this.#words, { kind: SEAL_REQUESTS_KIND, fingerprint: SEALS_FINGERPRINT, geometry: count }, 'ring of seal requests')
    this.#done = this.#words[DONE_WORD]!
  }

  /**
   * Takes the next requests of one kind into {@link batch}. False when there is none. Throws nothing: a count that makes no sense
   * is taken for none, and harms only who wrote it.
   */
  take(): boolean {
    const words = this.#words
    // Pairs with the store in RequestedAuthority.flush.
    const posted = Atomics.load(words, POSTED_WORD)
    const open = (posted - this.#done) | 0
    if (open <= 0 || open > this.#mask + 1) {
      this.#done = posted
      return false
    }
    const { batch } = this
    const { page, pages, descriptor } = batch
    const [done, mask] = [this.#done, this.#mask]
    const code = words[requestWord(done & mask) + REQUEST_CODE]!
    // A release names no pages: they were counted when they were sealed.
    let pagesLeft = code === SEAL_REQUEST ? BATCH_PAGES_MAX : Infinity
    let callsLeft = code === SEAL_REQUEST ? BATCH_CALLS_MAX : Infinity
    const most = code === SEAL_REQUEST ? open : Math.min(open, BATCH_RELEASES_MAX)
    let end = -1
    let taken = 0
    for (; taken < most; taken++) {
      const at = requestWord((done + taken) & mask)
      if (taken > 0 && words[at + REQUEST_CODE] !== code) break
      const named = words[at + REQUEST_PAGES]! >>> 0
      const first = words[at + REQUEST_PAGE]! >>> 0
      if (((pagesLeft -= named) < 0 || (first !== end && --callsLeft < 0)) && taken > 0) break
      end = first + named
      page[taken] = first
      pages[taken] = named
      descriptor[taken] = words[at + REQUEST_DESCRIPTOR]!
    }
    batch.clear(code)
    batch.length = taken
    return true
  }

  /** Writes the batch's outcomes. True when the sender sleeps and must be woken. Pairs with the load in RequestedAuthority. */
  answer(): boolean {
    const words = this.#words
    const { batch } = this
    const { outcome, length } = batch
    const [done, mask] = [this.#done, this.#mask]
    for (let i = 0; i < length; i++) words[requestWord((done + i) & mask) + REQUEST_CODE] = outcome[i]!
    this.#done = (this.#done + batch.length) | 0
    Atomics.store(words, DONE_WORD, this.#done)
    return Atomics.load(words, REQUESTS_SENDER_WORD + REQUESTS_WAITING) !== 0
  }

  /** Whether the sender says that it asks for something. */
  get isAsked(): boolean {
    return Atomics.load(this.#words, POSTED_WORD) !== this.#done
  }

  /** How many requests were dealt with, modulo 2^32. */
  get done(): number {
    return this.#done
  }

  /** The CPU that the sender last said it runs on, or -1: a hint. */
  get senderCpu(): number {
    return (this.#words[REQUESTS_SENDER_WORD + REQUESTS_CPU]! & 0xffff) - 1
  }

  /** Tells the sender how it must wake the sealer. False when requests came meanwhile: the sealer must not sleep. */
  sleep(how: typeof REQUESTS_ASLEEP | typeof REQUESTS_AT_BELL): boolean {
    Atomics.store(this.#words, REQUESTS_SEALER_WORD + REQUESTS_WAITING, how)
    // Once more, after the flag: the sender looks at the flag after it posted.
    if (Atomics.load(this.#words, POSTED_WORD) === this.#done) return true
    this.wake()
    return false
  }

  wake(): void {
    Atomics.store(this.#words, REQUESTS_SEALER_WORD + REQUESTS_WAITING, REQUESTS_POLLING)
  }

  publishCpu(cpu: number): void {
    if (cpu === this.#cpu) return
    this.#cpu = cpu
    Atomics.store(this.#words, REQUESTS_SEALER_WORD + REQUESTS_CPU, cpu + 1)
  }
}
