// The calling side of the trial: every way stores the same documents and makes the same searches, in turn.
import { nowNs } from '../support/clock.js'
import { interleave, type BatchPlan, type BatchSummary } from '../support/batches.js'
import { tailsOf, type Tails } from '../support/statistics.js'
import type { DataSet, SearchOrder } from './mix.js'
import { ONE_AT_A_TIME, PROJECTED, type Setting, type Way } from './ways.js'

export interface Figures {
  /** For one document, of those that were timed. */
  readonly build_ns: number
  readonly build_many_ns: number
  readonly build_setting: Setting
  /** For one search of the mix, whole documents answered. */
  readonly search: BatchSummary
  readonly search_many: BatchSummary
  readonly search_setting: Setting
  /** The same where the server answers only the fields that will be read. Without a server's doing, the same as above. */
  readonly projected: BatchSummary
  readonly projected_many: BatchSummary
  readonly projected_setting: Setting
  readonly tails: Tails
}

export interface MeasurePlan {
  /** Documents that each way stores before it is another's turn. */
  readonly chunk: number
  /** One at a time is timed for one chunk in so many, all over the growing store; the others are stored in bulk. */
  readonly timedEvery: number
  /** Documents, of the first, that warm a way up and are forgotten again. */
  readonly warmup: number
  readonly searches: BatchPlan
  /** Searches, each timed by itself, for the tails. */
  readonly samples: number
}

export async function measureWays(ways: readonly Way[], data: DataSet, plan: MeasurePlan): Promise<Map<string, Figures>> {
  for (const way of ways) await warmUp(way, data, plan)
  const single = settingsOf(ways, () => ONE_AT_A_TIME)
  const build = await buildInTurn(ways, data, plan, single, plan.timedEvery)
  const search = await searchInTurn(ways, data, plan, single)
  const projected = await searchInTurn(ways, data, plan, settingsOf(ways, () => PROJECTED))
  const tails = new Map<string, Tails>()
  for (const way of ways) tails.set(way.name, await tailsOfSearches(way, data.searches, plan.samples))
  const searching = (project: boolean) => (way: Way, setting: Setting): Promise<number> => timed(() => way.search(data.searches, { ...setting, project }))
  const whole = await best(ways, searching(false))
  const searchMany = await searchInTurn(ways, data, plan, whole)
  const projecting = settingsOf(await best(ways, searching(true)), (setting) => ({ ...setting, project: true }))
  const projectedMany = await searchInTurn(ways, data, plan, projecting)
  const bulk = await best(ways, async (way, setting) => {
    await way.clear()
    return timed(() => way.build(0, plan.warmup, setting))
  }, buildSettingsOf)
  for (const way of ways) await way.clear()
  const buildMany = await buildInTurn(ways, data, plan, bulk, 1)
  return new Map(ways.map(({ name }) => [name, {
    build_ns: build.get(name)!, build_many_ns: buildMany.get(name)!, build_setting: bulk.get(name)!,
    search: search.get(name)!, search_many: searchMany.get(name)!, search_setting: whole.get(name)!,
    projected: projected.get(name)!, projected_many: projectedMany.get(name)!, projected_setting: projecting.get(name)!, tails: tails.get(name)!,
  }]))
}

type Settings = ReadonlyMap<string, Setting>

function settingsOf(ways: readonly Way[] | Settings, make: (setting: Setting) => Setting): Map<string, Setting> {
  const pairs = ways instanceof Map ? [...ways as Settings] : (ways as readonly Way[]).map(({ name }) => [name, ONE_AT_A_TIME] as const)
  return new Map(pairs.map(([name, setting]) => [name, make(setting)]))
}

/** Compiles both sides of a way; some packages run slow for their first thousands of calls. */
async function warmUp(way: Way, data: DataSet, { warmup }: MeasurePlan): Promise<void> {
  const many = buildSettingsOf(way)
  for (const [i, setting] of [ONE_AT_A_TIME, PROJECTED, ...way.settings].entries()) {
    await way.build(0, warmup, i < 2 ? setting : many[(i - 2) % many.length]!)
    await way.search(data.searches.slice(0, 300), setting)
    await way.clear()
  }
}

/** ns for one document. The store grows: so the mean over all chunks counts, and not a median. */
async function buildInTurn(ways: readonly Way[], { documents }: DataSet, { chunk }: MeasurePlan, settings: Settings, timedEvery: number): Promise<Map<string, number>> {
  const spent = new Map(ways.map(({ name }) => [name, 0]))
  let count = 0
  for (let from = 0, turn = 0; from < documents.length; from += chunk, turn++) {
    const to = Math.min(documents.length, from + chunk)
    const first = turn % ways.length
    const counts = turn % timedEvery === 0
    if (counts) count += to - from
    for (const way of [...ways.slice(first), ...ways.slice(0, first)]) {
      if (counts) spent.set(way.name, spent.get(way.name)! + await timed(() => way.build(from, to, settings.get(way.name)!)))
      else await way.build(from, to, buildSettingsOf(way).at(-1)!)
    }
  }
  return new Map([...spent].map(([name, ns]) => [name, ns / count]))
}

/** ns for one search; every way must find and read the same. */
async function searchInTurn(ways: readonly Way[], { searches }: DataSet, plan: MeasurePlan, settings: Settings): Promise<ReadonlyMap<string, BatchSummary>> {
  let expected: number | undefined
  return interleave(ways.map((way) => ({
    name: way.name,
    batch: async () => {
      const start = nowNs()
      const searching = way.search(searches, settings.get(way.name)!)
      const sum = typeof searching === 'number' ? searching : await searching
      const elapsed = nowNs() - start
      expected ??= sum
      if (sum !== expected) throw new Error(`${way.name} read other results than ${ways[0]!.name}: ${sum}, not ${expected}`)
      return elapsed / searches.length
    },
  })), plan.searches)
}

async function tailsOfSearches(way: Way, searches: readonly SearchOrder[], samples: number): Promise<Tails> {
  const times = new Float64Array(samples)
  for (let i = 0; i < samples; i++) {
    const one = [searches[i % searches.length]!]
    times[i] = await timed(() => way.search(one, ONE_AT_A_TIME))
  }
  return tailsOf(times)
}

function buildSettingsOf(way: Way): readonly Setting[] {
  return way.buildSettings ?? way.settings
}

/** Each way's fastest setting. */
async function best(
  ways: readonly Way[], run: (way: Way, setting: Setting) => Promise<number>, settingsToTry = (way: Way): readonly Setting[] => way.settings,
): Promise<Map<string, Setting>> {
  const found = new Map<string, Setting>()
  for (const way of ways) {
    let least = Infinity
    for (const setting of settingsToTry(way)) {
      const time = await run(way, setting)
      if (time >= least) continue
      least = time
      found.set(way.name, setting)
    }
  }
  return found
}

async function timed(work: () => unknown): Promise<number> {
  const start = nowNs()
  const working = work()
  // What is done already must not pay for a turn of the microtask queue.
  if (working instanceof Promise) await working
  return nowNs() - start
}
