// A client of the storm: one or two connections that work until they are told to pause, or their server dies.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { mappingCount } from '../../src/sys/index.js'
import { openCount } from '../support/leaks.js'
import { Random } from '../support/random.js'
import { Load } from './load.js'

export interface ClientOrder {
  readonly channel: string
  readonly seed: number
}

export class ClientRole {
  readonly #loads: Load[] = []
  #work: Promise<unknown> = Promise.resolve()
  #stop = { asked: false }

  constructor(private readonly openBefore: number) {}

  /** Makes its connections, unless it has them or is told to pause meanwhile. */
  async connect({ channel, seed }: ClientOrder, stop = { asked: false }): Promise<void> {
    if (this.#loads.length > 0) return
    const random = new Random(seed)
    await Promise.all(Array.from({ length: 1 + random.below(2) }, async () => {
      const load = await Load.connect(channel, new Random(random.word()), stop)
      if (load !== undefined) this.#loads.push(load)
    }))
  }

  work(order: ClientOrder): void {
    const stop = { asked: false }
    this.#stop = stop
    this.#work = this.connect(order, stop).then(() => Promise.all(this.#loads.map((load) => load.work(stop))))
    // Whoever tells it to pause hears of it.
    this.#work.catch(() => undefined)
  }

  /** Comes to rest. Resolves to the number of connections. */
  async pause(serverDied: boolean): Promise<number> {
    this.#stop.asked = true
    await this.#work
    if (!serverDied) return this.#loads.length
    for (const load of this.#loads.splice(0)) await load.serverDied()
    await this.#allGivenBack()
    return 0
  }

  /** Closes its connections, and proves that nothing of them is left. */
  async finish(): Promise<void> {
    for (const load of this.#loads.splice(0)) await load.close()
    await this.#allGivenBack()
  }

  async #allGivenBack(): Promise<void> {
    const end = performance.now() + 30_000
    while (mappingCount() > 0 || openCount() > this.openBefore) {
      assert.ok(performance.now() < end, `${mappingCount()} mappings and ${openCount() - this.openBefore} files are left`)
      await sleep(1)
    }
  }
}
