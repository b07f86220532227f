import { RpcError } from '../base/errors.js'
import { addon } from '../sys/index.js'
import { MEMBER_MAX } from '../layout/heap-layout.js'
import type { Membership, Region } from './region.js'

/** Looks at the lock before the thread yields. */
const SPINS = 200
/** Yields before it sleeps. */
const YIELDS = 50
const FIRST_SLEEP_US = 50
const LAST_SLEEP_US = 1000
/** Of the longest sleeps, between two questions whether the holder is alive. */
const SLEEPS_PER_INQUIRY = 64

/**
 * A wait without the event loop, and with an end: it spins, then yields, then sleeps up to a millisecond at a time, and lets the
 * isolate hear of deaths meanwhile.
 */
export class Patience {
  #steps = 0
  #sleepUs = FIRST_SLEEP_US
  #longSleeps = 0
  readonly #end: number

  constructor(readonly membership: Membership | null, readonly timeoutMs: number, readonly where: string) {
    this.#end = performance.now() + timeoutMs
  }

  /** Waits a little, for the given member; 0 is for nobody that is known. Throws DEADLINE_EXCEEDED at the end. */
  wait(holder = 0): void {
    const step = this.#steps++
    if (step < SPINS) return
    if (performance.now() >= this.#end) {
      const what = holder === 0 ? 'it was being changed whenever it was looked at,' : `member ${holder} of its heap held it`
      throw new RpcError('DEADLINE_EXCEEDED', `${this.where}: ${what} for more than ${this.timeoutMs} ms`)
    }
    if (step < SPINS + YIELDS) {
      addon.yieldCpu()
      return
    }
    addon.sleepMicroseconds(this.#sleepUs)
    this.#sleepUs = Math.min(LAST_SLEEP_US, this.#sleepUs * 2)
    if (this.#sleepUs < LAST_SLEEP_US || this.membership === null) return
    this.membership.attend()
    if (this.#longSleeps++ % SLEEPS_PER_INQUIRY === 0) this.membership.inquire(holder)
  }
}

/** Whether a lock's word is a number that no member can have: only a peer can have written it. */
export function isNobody(holder: number): boolean {
  return holder < 0 || holder > MEMBER_MAX
}

/**
 * A lock that survives its holder's death: the word holds the number of the member that has it, 0 for nobody. Whoever waits for
 * a member that is gone takes its place, and is told; so does whoever finds the number of nobody.
 *
 * @returns whether the holder before died in possession: what it was changing is to be repaired.
 * @throws RpcError DEADLINE_EXCEEDED when it is not free in time.
 */
export function acquireLock(region: Region, word: number, membership: Membership, patience: Patience): boolean {
  const { i32 } = region
  const { member } = membership
  for (;;) {
    const holder = Atomics.compareExchange(i32, word, 0, member)
    if (holder === 0) return false
    // This very number, although this isolate does not hold it: an earlier member that had it.
    const isDead = holder === member || isNobody(holder) || membership.isGone(holder)
    if (isDead && Atomics.compareExchange(i32, word, holder, member) === holder) return true
    patience.wait(holder)
  }
}

/** Gives the lock back. A word that somebody else wrote meanwhile is left alone. */
export function releaseLock(region: Region, word: number, membership: Membership): void {
  Atomics.compareExchange(region.i32, word, membership.member, 0)
}
