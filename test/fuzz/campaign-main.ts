// The process of a campaign: tries cases, and writes down the seed of each before it begins. Arguments: target, first seed, milliseconds, file.
import { openSync, writeSync } from 'node:fs'
import { inspect } from 'node:util'
import { Random } from '../support/random.js'
import { type CampaignReport, placeBytes } from './campaign.js'
import { FAILING } from './targets/failing.js'
import { TARGETS } from './targets/index.js'

const [name = '', first = '0', ms = '0', path = ''] = process.argv.slice(2)
const make = TARGETS[name] ?? FAILING[name]
if (make === undefined) throw new Error(`no target is called ${name}`)
/** Most of a case's time would go into the traces of errors that are as they should be. */
const TRACE = Error.stackTraceLimit
Error.stackTraceLimit = 0

async function attempt(): Promise<CampaignReport> {
  const target = make!()
  const place = openSync(path, 'r+')
  const end = performance.now() + Number(ms)
  for (let [cases, inputs] = [0, 0]; ;) {
    const seed = (Number(first) + cases) >>> 0
    writeSync(place, placeBytes(seed, cases + 1), 0, 8, 0)
    try {
      const tried = target.tryCase(new Random(seed))
      inputs += typeof tried === 'number' ? tried : await tried
    } catch (error) {
      await target.close?.().catch(() => undefined)
      return { error: inspect(await traced(seed) ?? error) }
    }
    cases++
    if ((cases % 16 === 0 || Number(ms) === 0) && performance.now() >= end) {
      try {
        await target.close?.()
      } catch (error) {
        return { error: inspect(error) }
      }
      return { cases, inputs }
    }
  }
}

/** The error of a case with the trace of where it was thrown, if the case alone throws it, too. */
async function traced(seed: number): Promise<unknown> {
  Error.stackTraceLimit = TRACE
  process.setSourceMapsEnabled(true)
  try {
    await make!().tryCase(new Random(seed))
    return undefined
  } catch (error) {
    return error
  }
}

const report = await attempt()
process.send!(report, undefined, undefined, () => process.exit(0))
