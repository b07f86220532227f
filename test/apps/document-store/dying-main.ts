// Clients that die while they hand something over, each after another number of its stores: arguments are the channel, where to write what came of
// it, of what they do every how manieth store is tried, and which of these: while documents are `building`, or from when the last one is
// `built`. All but the last are stopped there, and never run again; the last one ends the process by SIGKILL, and all of them with it.
import { dieAfter, live, storesMade } from '../../support/mortal.js'
import { writeFileSync } from 'node:fs'
import { openStore, type StoreClient } from '../../../apps/document-store/client.js'
import { before, keysOf, nameOf, type Report, works } from './hand-over.js'

const [channel, path, strides, phase] = process.argv.slice(2) as [string, string, string, 'building' | 'built']
process.once('disconnect', () => process.exit(0))

/** The last stores, by which something happens, are all tried. */
const LAST = 8

class Victim {
  /** Stores after which the last document was built: of those that are not built where they stay, none. */
  built = 0
  /** After how many of its stores it is worth dying. */
  steps: readonly number[] = []
  #documents = 0

  private constructor(readonly client: StoreClient, readonly what: string, readonly kill: number) {
    const { heap } = client
    const make = heap.new.bind(heap)
    heap.new = (...given) => {
      const made = make(...given)
      if (++this.#documents === keysOf(what, '').length) {
        this.built = storesMade()
        if (phase === 'built') dieAfter(kill)
      }
      return made
    }
  }

  static async open(what: string, kill: number): Promise<Victim> {
    return new Victim(await openStore(channel), what, kill)
  }

  /** @param die called where it dies. */
  run(die: () => void): Report {
    const { what, kill, report } = this
    const fromBuilt = phase === 'built' && what !== 'update' && this.client.mode === 'trusting'
    const { died, steps } = live(fromBuilt ? Infinity : kill, () => works[what]!(this.client.sync, nameOf(what, kill)), die)
    this.steps = steps
    return { ...report, done: !died }
  }

  get report(): Report {
    const { what, kill } = this
    return { what, kill: kill === Infinity ? null : kill, done: false }
  }
}

const victims: Victim[] = []
const other = await openStore(channel)
for (const [what, stride] of Object.entries(JSON.parse(strides) as Readonly<Record<string, number>>)) {
  const whole = await Victim.open(what, Infinity)
  prepare(other, what, Infinity)
  whole.run(() => undefined)
  const { built, steps } = whole
  const tried = phase === 'building' ? steps.filter((step) => step < built) : steps.filter((step) => step >= built).map((step) => step - built)
  for (const [i, kill] of tried.entries()) {
    if (i % stride !== 0 && (phase === 'building' || i < tried.length - LAST)) continue
    prepare(other, what, kill)
    victims.push(await Victim.open(what, kill))
  }
  await whole.client.close()
}
await other.close()
process.send?.({ id: 0, result: null })
// In one turn of the event loop: who is dead does nothing more.
const reports: Report[] = []
for (const victim of victims) {
  reports.push(victim.run(() => {
    if (victim === victims.at(-1)) end([...reports, victim.report])
  }))
}
end(reports)

/** Puts what is there before. */
function prepare({ sync }: StoreClient, what: string, kill: number): void {
  for (const key of keysOf(what, nameOf(what, kill))) {
    const body = before(what, key)
    if (body !== undefined) sync.put(key, body)
  }
}

function end(all: readonly Report[]): never {
  writeFileSync(path, JSON.stringify(all))
  process.kill(process.pid, 'SIGKILL')
  for (;;);
}
