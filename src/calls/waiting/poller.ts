import { addon } from '../../sys/index.js'
import { CpuLoad } from './cpu-load.js'
import { YieldGuard } from '../../sys/yield-guard.js'

/**
 * One end of a connection as the poll loop sees it. Its methods are called often: they must be cheap and must not throw.
 */
export interface Pollable {
  /** Whether a message came since the loop last looked; set by the loop. */
  active: boolean
  /** Pauses between polls by CPU load, as in the paper (section 5.8), instead of ever resting. */
  readonly pausesByLoad: boolean
  /** Handles what has arrived; how many messages that were. */
  poll(): number
  /**
   * Called in every turn in which nothing came for this end: whether it leaves the loop now. It has then made sure that its
   * peer wakes it, or that nothing is to come. `now` is Infinity when waiting longer cannot help.
   */
  rest(now: number): boolean
  /** Called when messages came during a turn, with the time of its end. */
  stayHot(now: number): void
  /** The CPU the peer last ran on, or -1. */
  peerCpu(): number
  /** Tells the peer which CPU this end runs on. */
  publishCpu(cpu: number): void
}

/** Loads of each polled word in one turn without a message: about a microsecond, what a turn of the event loop costs too. */
const IDLE_ROUNDS = 200
/** Loads in a microtask before the event loop gets its turn: covers a call that is answered at once. */
const MICROTASK_ROUNDS = 400
/** Rounds without a message after which a peer on the same CPU is suspected: longer than a round trip between two CPUs. */
const SAME_CPU_ROUNDS = 48
/** Yields to a peer on the same CPU before resting. */
const YIELDS_MAX = 8
/** The event loop gets a true turn at least this often, in milliseconds, however busy the rings are. */
const TURN_MS = 0.1
/** Rounds between looks at the clock, which costs as much as several messages. */
const CLOCK_ROUNDS = 16

const settled = Promise.resolve()

/**
 * The poll loop of an isolate: it spins over a bounded set of ends, first in a microtask, then by `setImmediate`, and
 * leaves a true turn to the event loop every 100 µs. Ends that rest are woken by their doorbell.
 */
export class Poller {
  readonly #hot: Pollable[] = []
  #lastTurn = 0
  #turnScheduled = false
  #microtaskScheduled = false
  /** A handler returned a promise, or a promise was resolved: microtasks must run before polling goes on. */
  #interrupted = false
  /** The peers share this CPU and yielding to them did not help. */
  #inVain = false
  /** The peers share this CPU, and yielding has helped: it is the first thing to try. */
  #besidePeer = false
  #microtasks = 0
  /** The event loop waits for a true turn. */
  #turnOverdue = false
  #cpu = -1
  readonly #guard = new YieldGuard()
  readonly #load = new CpuLoad()
  readonly #onTurn = (): void => this.#turn()
  readonly #onMicrotask = (): void => this.#microtask()

  /** Polls an end from now on: after its doorbell rang. */
  add(end: Pollable): void {
    this.#include(end)
    this.#scheduleTurn()
  }

  /** An answer is awaited: poll as soon as the running code has finished. */
  expect(end: Pollable): void {
    this.#include(end)
    this.#scheduleMicrotask()
  }

  remove(end: Pollable): void {
    const at = this.#hot.indexOf(end)
    if (at < 0) return
    const last = this.#hot.pop()!
    if (last !== end) this.#hot[at] = last
  }

  /** Lets microtasks run before polling goes on: called by an end from within its `poll`. */
  interrupt(): void {
    this.#interrupted = true
  }

  #include(end: Pollable): void {
    if (this.#hot.includes(end)) return
    this.#hot.push(end)
    if (this.#cpu >= 0) end.publishCpu(this.#cpu)
  }

  #scheduleTurn(): void {
    if (this.#turnScheduled) return
    this.#turnScheduled = true
    setImmediate(this.#onTurn)
  }

  #scheduleMicrotask(): void {
    if (this.#microtaskScheduled) return
    this.#microtaskScheduled = true
    void settled.then(this.#onMicrotask)
  }

  #turn(): void {
    this.#turnScheduled = false
    this.#turnOverdue = false
    const start = performance.now()
    this.#lastTurn = start
    this.#lookAtCpu()
    this.#spin(IDLE_ROUNDS, start)
    this.#afterSpin(this.#inVain ? Infinity : performance.now())
  }

  #microtask(): void {
    this.#microtaskScheduled = false
    if (this.#hot.length === 0) return
    // A chain of awaits never leaves the microtask queue by itself: nothing is polled until the turn that is due has come.
    if (++this.#microtasks % CLOCK_ROUNDS === 0) this.#turnOverdue ||= performance.now() - this.#lastTurn > TURN_MS
    if (this.#turnOverdue) {
      this.#scheduleTurn()
      return
    }
    this.#spin(MICROTASK_ROUNDS, this.#lastTurn)
    if (this.#inVain) this.#afterSpin(Infinity)
    else if (this.#interrupted) this.#goOn()
    else this.#scheduleTurn()
  }

  #lookAtCpu(): void {
    const cpu = addon.currentCpu()
    if (cpu === this.#cpu) return
    this.#cpu = cpu
    for (const end of this.#hot) end.publishCpu(cpu)
  }

  #afterSpin(now: number): void {
    this.#inVain = false
    for (let i = this.#hot.length - 1; i >= 0; i--) {
      const end = this.#hot[i]
      // A handler that was told of a cancellation may have closed other connections.
      if (end === undefined) continue
      if (end.active) {
        end.active = false
        end.stayHot(now === Infinity ? performance.now() : now)
      } else if (end.rest(now)) {
        this.remove(end)
      }
    }
    if (this.#interrupted) this.#goOn()
    if (this.#hot.length > 0) this.#scheduleTurn()
  }

  /** Polling goes on behind the microtasks that are queued now. */
  #goOn(): void {
    this.#interrupted = false
    if (this.#hot.length > 0) this.#scheduleMicrotask()
  }

  /** Polls every hot end until nothing has come for `idleRounds` rounds, or it is time for something else. */
  #spin(idleRounds: number, turnStart: number): void {
    const hot = this.#hot
    let idle = 0
    let busy = 0
    while (idle < idleRounds && hot.length > 0) {
      if (this.#pollAll() === 0) {
        const isLong = ++idle === (this.#besidePeer ? 1 : SAME_CPU_ROUNDS)
        if (!isLong || !this.#waitBesidePeer()) {
          if (this.#inVain) return
          continue
        }
      }
      idle = 0
      if (this.#interrupted) return
      if (++busy % CLOCK_ROUNDS === 0 && performance.now() - turnStart > TURN_MS) return
    }
  }

  #pollAll(): number {
    const hot = this.#hot
    let handled = 0
    for (let i = 0; i < hot.length; i++) {
      const end = hot[i]!
      const count = end.poll()
      if (count > 0) {
        handled += count
        end.active = true
      }
    }
    return handled
  }

  /** When spinning cannot help: pauses or yields. True when a message came meanwhile. */
  #waitBesidePeer(): boolean {
    for (const end of this.#hot) {
      if (end.pausesByLoad) {
        this.#load.pause()
        return this.#pollAll() > 0
      }
    }
    this.#lookAtCpu()
    this.#besidePeer = this.#hot.every((end) => end.peerCpu() === this.#cpu)
    if (!this.#besidePeer) return false
    for (let yields = 0; yields < YIELDS_MAX && this.#guard.yield(); yields++) {
      if (this.#pollAll() > 0) return true
    }
    this.#inVain = true
    return false
  }
}

let shared: Poller | undefined

/** The isolate's poll loop. */
export function sharedPoller(): Poller {
  shared ??= new Poller()
  return shared
}
