// npm run fuzz [-- <minutes> [<part of a name>]]: the fuzz targets, and the attacks of test/hostile, in turn for as long as one likes. Each
// seed is printed; a case that fails is kept in test/fuzz/regressions/.
import { addressOf, connect } from '../../src/index.js'
import { Commanded } from '../support/ground.js'
import { Everything } from '../support/everything.js'
import { newSeed } from '../support/random.js'
import { clientAttacks } from '../hostile/client-attacks.js'
import { callAllTheTime } from '../hostile/well-behaved.js'
import { runCampaign } from './campaign.js'
import { TARGETS } from './targets/index.js'

const TURN_MS = 5000
const [minutes = '10', wanted = ''] = process.argv.slice(2)
const end = performance.now() + Number(minutes) * 60_000

const targets = Object.keys(TARGETS).map((name) => ({ name, run: (): Promise<void> => fuzz(name) }))
const attacks = Object.keys(clientAttacks).map((name) => ({ name, run: (): Promise<void> => attack(name) }))
const turns = [...targets, ...attacks].filter(({ name }) => name.includes(wanted))
if (turns.length === 0) throw new Error(`nothing is called ${wanted}; there are: ${[...targets, ...attacks].map(({ name }) => name).join('; ')}`)

const cases: Record<string, number> = {}
for (let round = 0; performance.now() < end; round++) await turns[round % turns.length]!.run()
for (const [name, count] of Object.entries(cases)) process.stdout.write(`${name}: ${count} cases in all\n`)

async function fuzz(name: string): Promise<void> {
  const seed = newSeed()
  // Before it begins: whatever becomes of it can be repeated.
  process.stdout.write(`${name} (RPCOOL_SEED=${seed})`)
  const { cases: tried } = await runCampaign(name, { ms: TURN_MS, first: seed })
  cases[name] = (cases[name] ?? 0) + tried
  process.stdout.write(`: ${tried} cases\n`)
}

async function attack(name: string): Promise<void> {
  const channel = `fuzz/${process.pid}/${Math.round(performance.now())}`
  const server = await Commanded.start('./server-main.js', channel, '{}')
  const good = await connect(channel, Everything)
  const secret = good.heap.new(Everything.methods.echo.argument, { x: 1, y: 2, label: 'SECRET of another connection' })
  const seed = newSeed()
  process.stdout.write(`a client that ${name} (RPCOOL_SEED=${seed})`)
  const attacker = await Commanded.start('../hostile/attacker-main.js', name, channel, String(seed), String(TURN_MS), String(addressOf(secret)))
  let over = false
  const attacked = attacker.ask('attack').finally(() => (over = true))
  const rounds = await callAllTheTime(good, () => over)
  await attacked
  process.stdout.write(`: ${rounds} rounds of the good client\n`)
  await good.close()
  await attacker.kill()
  await server.ask('exit')
  await server.ended()
}
