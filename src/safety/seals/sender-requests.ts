import { attachHeader } from '../../layout/header.js'
import {
  REQUEST_CODE, REQUEST_DESCRIPTOR, REQUEST_PAGE, REQUEST_PAGES, REQUESTS_COUNT, REQUESTS_CPU, REQUESTS_SEALER_WORD, REQUESTS_SENDER_WORD, REQUESTS_WAITING,
  requestWord, SEAL_REQUESTS_KIND, SEALS_FINGERPRINT,
} from '../../layout/seal-layout.js'
import { Batch } from './engine.js'

const POSTED_WORD = REQUESTS_SENDER_WORD + REQUESTS_COUNT
const DONE_WORD = REQUESTS_SEALER_WORD + REQUESTS_COUNT

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
    if (open > this.#mask + 1) this.#done = posted
    if (open <= 0 || open > this.#mask + 1) return false
    const { batch } = this
    const code = words[requestWord(this.#done & this.#mask) + REQUEST_CODE]!
    batch.clear(code)
    for (let i = 0; i < open; i++) {
      const at = requestWord((this.#done + i) & this.#mask)
      if (i > 0 && words[at + REQUEST_CODE] !== code) break
      batch.add(words[at + REQUEST_PAGE]! >>> 0, words[at + REQUEST_PAGES]! >>> 0, words[at + REQUEST_DESCRIPTOR]! >>> 0)
    }
    return true
  }

  /** Writes the batch's outcomes. True when the sender sleeps and must be woken. Pairs with the load in RequestedAuthority. */
  answer(): boolean {
    const words = this.#words
    const { batch } = this
    for (let i = 0; i < batch.length; i++) words[requestWord((this.#done + i) & this.#mask) + REQUEST_CODE] = batch.outcome[i]!
    this.#done = (this.#done + batch.length) | 0
    Atomics.store(words, DONE_WORD, this.#done)
    return Atomics.load(words, REQUESTS_SENDER_WORD + REQUESTS_WAITING) !== 0
  }

  /** How many requests were dealt with, modulo 2^32. */
  get done(): number {
    return this.#done
  }

  /** The CPU that the sender last said it runs on, or -1: a hint. */
  get senderCpu(): number {
    return (this.#words[REQUESTS_SENDER_WORD + REQUESTS_CPU]! & 0xffff) - 1
  }

  /** Tells the sender whether it must wake the sealer. False when requests came meanwhile: the sealer must not sleep. */
  sleep(): boolean {
    Atomics.store(this.#words, REQUESTS_SEALER_WORD + REQUESTS_WAITING, 1)
    // Once more, after the flag: the sender looks at the flag after it posted.
    if (Atomics.load(this.#words, POSTED_WORD) === this.#done) return true
    this.wake()
    return false
  }

  wake(): void {
    Atomics.store(this.#words, REQUESTS_SEALER_WORD + REQUESTS_WAITING, 0)
  }

  publishCpu(cpu: number): void {
    if (cpu === this.#cpu) return
    this.#cpu = cpu
    Atomics.store(this.#words, REQUESTS_SEALER_WORD + REQUESTS_CPU, cpu + 1)
  }
}
