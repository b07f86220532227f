// npm run chaos [-- <minutes>]: documents of a hundred megabytes once; then storms for as long as one likes, each seed printed, writers that
// die after each of their stores, and the stress of waking between them.
import { tryLargeTexts } from '../objects/json/large-texts.js'
import { dieAtStores, pickMost, pickSome } from '../objects/shared-deaths.js'
import { SCENARIOS } from '../objects/shared-scenarios.js'
import { stormShared } from '../objects/shared-storm.js'
import { newSeed, Random } from '../support/random.js'
import { type Mutilation, stressWaking } from '../support/wake-stress.js'
import { Storm, type StormOptions } from './storm.js'

const MINUTES_DEFAULT = 5
const STORM_KILLS = 200
const SHARED_SECONDS = 60
/** Writes to shared containers whose holder dies after each of its stores, each round so many. */
const DYING_WRITES = 10
const DEATHS_MAX = 4000
const SECOND_DEATHS = 2
const MESSAGES = 1_000_000
/** Each loss costs a wait; these are enough to see how often one happens. */
const LOST_MAX = 20
const DELAY_ROUNDS = 2000
const MUTILATIONS: readonly Mutilation[] = ['no-fence', 'no-recheck', 'look-before-publishing']
const STORMS: readonly (Pick<StormOptions, 'sharedHeapBytes' | 'daemon'> & { readonly name: string })[] = [
  { name: 'each connection with its own heap' },
  { name: 'one shared heap', sharedHeapBytes: 64 << 20 },
  { name: 'the daemon dies too', daemon: true },
  { name: 'one shared heap, and the daemon dies too', sharedHeapBytes: 64 << 20, daemon: true },
]

const minutes = Number(process.argv[2] ?? MINUTES_DEFAULT)
if (!(minutes > 0)) throw new Error(`say for how many minutes, not "${process.argv[2]}"`)
const end = performance.now() + minutes * 60_000
const over = (): boolean => performance.now() > end
const say = (line: string): void => void process.stdout.write(`${line}\n`)

say(`json of 100 MB: ${tryLargeTexts(100 << 20).join(', ')}`)

let kills = 0
let messages = 0
for (let round = 0; !over(); round++) {
  const { name, ...kind } = STORMS[round % STORMS.length]!
  const seed = newSeed()
  say(`storm, ${name}: RPCOOL_SEED=${seed}`)
  const storm = new Storm({ ...kind, kills: STORM_KILLS, seed, over })
  await storm.run()
  kills += storm.kills
  say(`  ${storm.kills} processes killed, ${storm.told} deaths told to a server, ${storm.aborted} handlers told, ${storm.daemonKills} daemons killed`)
  const shared = await stormShared(SHARED_SECONDS, seed)
  kills += shared.kills
  say(`shared containers: ${shared.kills} processes killed, ${shared.writes} writes, none lost`)
  const random = new Random(seed)
  for (let i = 0; i < DYING_WRITES; i++) {
    const scenario = SCENARIOS[(round * DYING_WRITES + i) % SCENARIOS.length]!
    const { stores, deaths, secondDeaths } = dieAtStores(scenario, pickMost(random, DEATHS_MAX), pickSome(random, SECOND_DEATHS))
    say(`${scenario.name}: ${stores} stores, died after ${deaths} of them, and ${secondDeaths} times again while repairing`)
  }
  const whole = await stressWaking('none', MESSAGES, 1, DELAY_ROUNDS)
  messages += whole.messages
  say(`waking: ${whole.messages} messages, ${whole.lost} lost`)
  if (whole.lost > 0) throw new Error('a wake-up was lost')
  const mutilation = MUTILATIONS[round % MUTILATIONS.length]!
  const broken = await stressWaking(mutilation, MESSAGES, LOST_MAX, DELAY_ROUNDS)
  say(`waking with the fault "${mutilation}": ${broken.messages} messages, ${broken.lost} lost`)
}
say(`${kills} processes killed, ${messages} messages sent to a sleeper, nothing lost`)
