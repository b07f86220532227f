import { REQUESTS_ASLEEP, REQUESTS_AT_BELL } from '../../../layout/seal-layout.js'
import { addon, BellWait, HEARD_LOOP, HEARD_TICK } from '../../../sys/index.js'
import type { SealedHeap } from './sealed-heap.js'

/** How long the loop polls after the last request: about what a wake-up costs. */
const HOT_MS = 0.1
/** A true turn of the event loop at least so often while polling, for faults and for attaching. */
const TURN_MS = 0.1
/** Polls between looks at the clock. */
const POLLS = 16
/** While it waits for bells the event loop gets a turn so often, for its timers; sockets and faults end the wait. */
const TICK_MS = 5
/** Ticks without a request after which it sleeps in the event loop, where no tick wakes it. */
const QUIET_TICKS = 10
/** Turns of the event loop before it waits for bells again: what one turn accepts the next one listens to. */
const TURNS_BEFORE_BELLS = 2

/**
 * Serves the rings of senders that ask for seals, and sleeps when none does.
 *
 * It follows its only sender to its CPU: pages of a process that does not run at that moment need no interrupt of another CPU to lose write
 * access, which in a virtual machine costs more than everything else. There it blocks until that sender rings, and does not poll: the kernel
 * divides a CPU between groups of processes (sessions, services), so that a sealer that polled and yielded would take as much of the CPU
 * as its sender does before the sender gets it back. With several senders it polls, and yields between polls.
 */
export class SealingLoop {
  readonly #hot = new Set<SealedHeap>()
  readonly #wakeSender: (heap: SealedHeap) => void
  readonly #bells = new BellWait()
  #running = false
  #lastWork = 0
  #cpu = -1
  #pinned = -1
  #turnsBeforeBells = 0
  #quietTicks = 0

  constructor(wakeSender: (heap: SealedHeap) => void) {
    this.#wakeSender = wakeSender
  }

  /** A sender rang, or just came. */
  wake(heap: SealedHeap): void {
    heap.requests.wake()
    if (!this.#hot.has(heap)) this.#bells.add(heap.bell)
    this.#hot.add(heap)
    this.#lastWork = performance.now()
    this.#turnsBeforeBells = TURNS_BEFORE_BELLS
    if (this.#running) return
    this.#running = true
    setImmediate(() => this.#turn())
  }

  /** Its sender is gone, or rests. Nobody listens to its bell: it could ring all the time, and ask for nothing. */
  remove(heap: SealedHeap): void {
    if (this.#hot.delete(heap)) this.#bells.remove(heap.bell)
  }

  close(): void {
    this.#bells.close()
  }

  #turn(): void {
    const sole = this.#soleOnThisCpu()
    if (sole === undefined) return this.#pollTurn()
    if (this.#turnsBeforeBells === 0) return this.#bellTurn(sole)
    this.#turnsBeforeBells--
    this.#poll()
    return this.#next()
  }

  /** Serves one sender, blocked between its requests, until the event loop has something to do. */
  #bellTurn(heap: SealedHeap): void {
    const { requests } = heap
    this.#bells.tick(TICK_MS)
    // As long as requests come without a pause nobody listens to the event loop: then the clock ends the turn.
    for (let end = 0; ;) {
      const worked = this.#poll()
      if (worked || !requests.sleep(REQUESTS_AT_BELL)) {
        if (worked) this.#quietTicks = 0
        this.#lastWork = performance.now()
        if (end === 0) end = this.#lastWork + TURN_MS
        if (this.#lastWork >= end || this.#soleOnThisCpu() !== heap) return this.#next()
        continue
      }
      const heard = this.#bells.wait()
      requests.wake()
      end = 0
      if ((heard & (HEARD_LOOP | HEARD_TICK)) === 0) continue
      this.#turnsBeforeBells = TURNS_BEFORE_BELLS
      if ((heard & HEARD_TICK) !== 0 && ++this.#quietTicks > QUIET_TICKS) return this.#rest()
      return this.#next()
    }
  }

  #pollTurn(): void {
    const start = performance.now()
    for (let now = start; now - start < TURN_MS; now = performance.now()) {
      if (this.#poll()) this.#lastWork = now
      else if (now - this.#lastWork > HOT_MS) return this.#rest()
      // However long that takes: who runs meanwhile is the sender, or somebody who needs the CPU more than a poll.
      else addon.yieldCpu()
    }
    return this.#next()
  }

  #next(): void {
    setImmediate(() => this.#turn())
  }

  #poll(): boolean {
    let worked = false
    let end = 0
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
      // Who asks for many pages without a pause must not keep the event loop from those who come.
      const time = performance.now()
      if (end === 0) end = time + TURN_MS
      else if (time > end) break
    }
    if (worked) this.#follow()
    return worked
  }

  /** Nobody asks: the senders are told that they must ring, unless one asked at that very moment. */
  #rest(): void {
    this.#bells.tick(0)
    this.#quietTicks = 0
    this.#running = false
    for (const heap of this.#hot) if (heap.requests.sleep(REQUESTS_ASLEEP)) this.remove(heap)
    if (this.#hot.size > 0) {
      this.#running = true
      this.#lastWork = performance.now()
      this.#next()
    }
  }

  #soleOnThisCpu(): SealedHeap | undefined {
    if (this.#hot.size !== 1 || this.#pinned < 0 || !this.#bells.isPossible) return undefined
    for (const heap of this.#hot) if (heap.requests.senderCpu === this.#pinned) return heap
    return undefined
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
