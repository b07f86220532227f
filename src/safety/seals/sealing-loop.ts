import { addon } from '../../sys/index.js'
import type { SealedHeap } from './sealed-heap.js'

/** How long the loop polls after the last request: about what a wake-up costs. */
const HOT_MS = 0.1
/** A true turn of the event loop at least so often while polling, for faults and for attaching. */
const TURN_MS = 0.1
/** Polls between looks at the clock. */
const POLLS = 16

/**
 * Polls the rings of senders that ask for seals, and sleeps when none does. It yields the CPU between polls, to whoever waits
 * for it there, and follows its sender to its CPU: pages of a process that does not run at that moment need no interrupt of
 * another CPU to lose write access, which in a virtual machine costs more than everything else.
 */
export class SealingLoop {
  readonly #hot = new Set<SealedHeap>()
  readonly #wakeSender: (heap: SealedHeap) => void
  #running = false
  #lastWork = 0
  #cpu = -1
  #pinned = -1

  constructor(wakeSender: (heap: SealedHeap) => void) {
    this.#wakeSender = wakeSender
  }

  /** A sender rang, or just came. */
  wake(heap: SealedHeap): void {
    heap.requests.wake()
    this.#hot.add(heap)
    this.#lastWork = performance.now()
    if (this.#running) return
    this.#running = true
    setImmediate(() => this.#turn())
  }

  remove(heap: SealedHeap): void {
    this.#hot.delete(heap)
  }

  #turn(): void {
    const start = performance.now()
    for (let now = start; now - start < TURN_MS; now = performance.now()) {
      if (this.#poll()) this.#lastWork = now
      else if (now - this.#lastWork > HOT_MS) return this.#rest()
      // However long that takes: who runs meanwhile is the sender, or somebody who needs the CPU more than a poll.
      else addon.yieldCpu()
    }
    setImmediate(() => this.#turn())
    return undefined
  }

  #poll(): boolean {
    let worked = false
    for (let i = 0; i < POLLS; i++) {
      let now = false
      for (const heap of this.#hot) {
        const got = heap.poll()
        if (got === 0) continue
        now = true
        if (got === 2) this.#wakeSender(heap)
      }
      if (!now) break
      worked = true
    }
    if (worked) this.#follow()
    return worked
  }

  /** Nobody asks: the senders are told that they must ring, unless one asked at that very moment. */
  #rest(): void {
    this.#running = false
    for (const heap of this.#hot) if (heap.requests.sleep()) this.#hot.delete(heap)
    if (this.#hot.size > 0) {
      this.#running = true
      this.#lastWork = performance.now()
      setImmediate(() => this.#turn())
    }
  }

  /** Also asleep it stays where its only sender was last: on another CPU it would wait behind the receiver. */
  #follow(): void {
    if (this.#hot.size !== 1) return this.#pin(-1)
    for (const heap of this.#hot) {
      const cpu = heap.requests.senderCpu
      if (cpu >= 0 && cpu !== this.#pinned) this.#pin(cpu)
      heap.requests.publishCpu(this.#cpu)
    }
    return undefined
  }

  #pin(cpu: number): void {
    if (this.#pinned === cpu) return
    this.#pinned = addon.runOnCpu(cpu) === 0 ? cpu : -1
    this.#cpu = this.#pinned >= 0 ? this.#pinned : addon.currentCpu()
  }
}
