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

function attempt(): CampaignReport {
  const target = make!()
  const place = openSync(path, 'r+')
  const end = performance.now() + Number(ms)
  for (let cases = 0; ; ) {
    const seed = (Number(first) + cases) >>> 0
    writeSync(place, placeBytes(seed, cases + 1), 0, 8, 0)
    try {
      target.tryCase(new Random(seed))
    } catch (error) {
      return { error: inspect(error) }
    }
    cases++
    if ((cases % 16 === 0 || Number(ms) === 0) && performance.now() >= end) return { cases }
  }
}

process.send!(attempt(), undefined, undefined, () => process.exit(0))
