// npm run chaos [-- <minutes>]: storms for as long as one likes, each seed printed, and the stress of waking between them.
import { newSeed } from '../support/random.js'
import { type Mutilation, stressWaking } from '../support/wake-stress.js'
import { Storm } from './storm.js'

const STORM_KILLS = 200
const MESSAGES = 1_000_000
const MUTILATIONS: readonly Mutilation[] = ['no-recheck', 'look-before-publishing', 'plain-stores']
const minutes = Number(process.argv[2] ?? '10')
const end = performance.now() + minutes * 60_000
const over = (): boolean => performance.now() > end

for (let round = 0; !over(); round++) {
  const seed = newSeed()
  const shared = round % 2 === 1
  process.stdout.write(`storm over ${shared ? 'a shared heap' : 'heaps of their own'} (RPCOOL_SEED=${seed})`)
  const storm = new Storm({ kills: STORM_KILLS, seed, clients: 3, over, ...(shared ? { sharedHeapBytes: 512 << 20 } : {}) })
  await storm.run()
  process.stdout.write(`: ${storm.kills} processes killed\n`)
  const { messages, lost } = await stressWaking('none', MESSAGES, 1, 2000)
  process.stdout.write(`waking: ${messages} messages, ${lost} lost\n`)
  if (lost > 0) throw new Error('a wake-up was lost')
  const mutilation = MUTILATIONS[round % MUTILATIONS.length]!
  const broken = await stressWaking(mutilation, MESSAGES, 1, 2000)
  process.stdout.write(`waking with the fault "${mutilation}": ${broken.lost} lost in ${broken.messages}\n`)
}
