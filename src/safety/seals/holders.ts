import { addon } from '../../sys/index.js'
import type { SealHolders } from './descriptors.js'

interface Holder {
  readonly pidfd: number
  /** When it came, on the clock of {@link PidfdHolders.now}. */
  readonly since: number
}

/** The processes that hold a heap's seals in force, each watched by a pidfd. Owns the descriptors. */
export class PidfdHolders implements SealHolders {
  #holders: Holder[] = []
  #clock = 0

  get now(): number {
    return this.#clock
  }

  /** Takes over a descriptor: its process holds the seals from now on. */
  add(pidfd: number): void {
    // The dead are of no more use; the living are few.
    this.#holders = this.#holders.filter((holder) => this.#lives(holder))
    this.#clock++
    this.#holders.push({ pidfd, since: this.#clock })
  }

  liveSince(since: number): boolean {
    for (const { pidfd, since: came } of this.#holders) {
      if (came <= since && !addon.pollReadable(pidfd, 0)) return true
    }
    return false
  }

  close(): void {
    for (const { pidfd } of this.#holders.splice(0)) addon.closeFd(pidfd)
  }

  #lives({ pidfd }: Holder): boolean {
    if (!addon.pollReadable(pidfd, 0)) return true
    addon.closeFd(pidfd)
    return false
  }
}
