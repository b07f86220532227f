import { PAGE_BYTES } from '../../src/base/numbers.js'
import type { SealAuthority } from '../../src/safety/seals/authority.js'
import { crossoverPages } from '../../src/safety/seals/sender/crossover.js'
import { SealClient } from '../../src/safety/seals/seal-client.js'
import type { SealVerifier } from '../../src/safety/seals/descriptors.js'
import { nowNs } from '../support/clock.js'
import { program } from '../support/program.js'
import { median } from '../support/statistics.js'
import { CURVE, roundsOf } from './copy-costs.js'
import { BenchPages, DOUBLES } from './sealed-heap.js'

const PAGES = 1024

export interface CurvePoint {
  readonly pages: number
  readonly seal_ns: number
  readonly release_ns: number
  /** The sender's next first store to each page, all of them. */
  readonly store_ns: number
}

export interface SealCosts {
  /** 1024 scopes of one page each, sealed in one call and released in one, per scope. */
  readonly batchedSealNs: number
  readonly batchedReleaseNs: number
  /** The sender's next first store to each page: the kernel's fault. */
  readonly firstStoreNs: number
  /** One scope of so many pages, all rewritten before. */
  readonly curve: readonly CurvePoint[]
  /** Where the library's `auto` changes over, as it measures for itself in this process; Infinity for never. */
  readonly autoPages: number
}

/** Both ends in this process, which waits while the sealer works, as senders do. */
export const measureSealCosts = program<{ readonly rounds: number }, void, SealCosts>(import.meta.url, 'measureSealCosts', async ({ rounds }) => {
  using pages = BenchPages.create(CURVE.at(-1)!)
  const [authority, receiving] = await Promise.all([pages.send(PAGES), pages.receive()])
  const cost = new CostMeter(pages, authority, receiving.verifier)
  const batched = cost.batched(rounds)
  const curve = CURVE.map((length) => cost.scope(length, roundsOf(rounds, length)))
  authority.close()
  receiving.close()
  const client = SealClient.ofDirectory()
  try {
    return { ...batched, curve, autoPages: await crossoverPages(client) }
  } finally {
    client.close()
  }
})

class CostMeter {
  constructor(readonly pages: BenchPages, readonly authority: SealAuthority, readonly verifier: SealVerifier) {}

  batched(rounds: number): Omit<SealCosts, 'curve' | 'autoPages'> {
    const [seal, release, store]: [number[], number[], number[]] = [[], [], []]
    const indexes = new Uint32Array(PAGES)
    this.#rewrite(PAGES)
    for (let round = -2; round < rounds; round++) {
      const start = nowNs()
      for (let page = 0; page < PAGES; page++) indexes[page] = this.authority.queueSeal(this.pages.base + page * PAGE_BYTES, PAGE_BYTES)
      this.authority.wait(this.authority.flush())
      const sealed = nowNs()
      for (let page = 0; page < PAGES; page++) this.#complete(indexes[page]!, page, 1)
      const completed = nowNs()
      for (let page = 0; page < PAGES; page++) this.authority.queueRelease(indexes[page]!)
      this.authority.wait(this.authority.flush())
      const released = nowNs()
      for (let page = 0; page < PAGES; page++) this.pages.doubles[page * DOUBLES] = round
      const stored = nowNs()
      this.#rewrite(PAGES)
      if (round < 0) continue
      seal.push(sealed - start)
      release.push(released - completed)
      store.push(stored - released)
    }
    return { batchedSealNs: median(seal) / PAGES, batchedReleaseNs: median(release) / PAGES, firstStoreNs: median(store) / PAGES }
  }

  scope(length: number, rounds: number): CurvePoint {
    const [seal, release, store]: [number[], number[], number[]] = [[], [], []]
    for (let round = -2; round < rounds; round++) {
      this.#rewrite(length)
      const start = nowNs()
      const index = this.authority.queueSeal(this.pages.base, length * PAGE_BYTES)
      this.authority.wait(this.authority.flush())
      const sealed = nowNs()
      this.#complete(index, 0, length)
      const completed = nowNs()
      this.authority.queueRelease(index)
      this.authority.wait(this.authority.flush())
      const released = nowNs()
      for (let page = 0; page < length; page++) this.pages.doubles[page * DOUBLES] = round
      const stored = nowNs()
      if (round < 0) continue
      seal.push(sealed - start)
      release.push(released - completed)
      store.push(stored - released)
    }
    return { pages: length, seal_ns: median(seal), release_ns: median(release), store_ns: median(store) }
  }

  #rewrite(pages: number): void {
    for (let page = 0; page < pages; page++) this.pages.rewrite(page, page)
  }

  #complete(index: number, page: number, pages: number): void {
    if (!this.verifier.verify(index, page, pages)) throw new Error('a seal is missing')
    this.verifier.complete(index)
  }
}
