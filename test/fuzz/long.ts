// npm run fuzz [-- <minutes> [<part of a name>]]: the fuzz targets, and now and then an attack of test/hostile, for as long as one likes, as many side
// by side as there are CPUs. Each seed is printed; a case that fails is kept in test/fuzz/regressions/.
import { availableParallelism } from 'node:os'
import { addressOf, connect } from '../../src/index.js'
import { Commanded } from '../support/ground.js'
import { Everything } from '../support/everything.js'
import { newSeed } from '../support/random.js'
import { clientAttacks } from '../hostile/client-attacks.js'
import { callAllTheTime } from '../hostile/well-behaved.js'
import { runCampaign } from './campaign.js'
import { TARGETS } from './targets/index.js'

/** The first seconds go slowly, until V8 has compiled what they run. */
const TURN_MS = 20_000
const ATTACK_MS = 3000
/** Target turns between two attacks. */
const TURNS_PER_ATTACK = 5
const [minutes = '10', wanted = ''] = process.argv.slice(2)
const end = performance.now() + Number(minutes) * 60_000

interface Turn {
  readonly name: string
  run(): Promise<void>
}

const targets = named(Object.keys(TARGETS), fuzz)
const attacks = named(Object.keys(clientAttacks), attack)
if (targets.length + attacks.length === 0) throw new Error(`nothing is called ${wanted}; there are: ${[...Object.keys(TARGETS), ...Object.keys(clientAttacks)].join('; ')}`)

const tried: Record<string, { cases: number, inputs: number }> = {}
const turns = everyTurn()
let failed = false
await Promise.all(Array.from({ length: availableParallelism() }, work))
let inputs = 0
for (const [name, sum] of Object.entries(tried)) {
  inputs += sum.inputs
  process.stdout.write(`${name}: ${sum.inputs} mutated inputs in ${sum.cases} cases\n`)
}
process.stdout.write(`${inputs} mutated inputs in all\n`)

function named(names: readonly string[], run: (name: string) => Promise<void>): Turn[] {
  return names.filter((name) => name.includes(wanted)).map((name) => ({ name, run: () => run(name) }))
}

function* everyTurn(): Generator<Turn, never> {
  for (let i = 0, attacked = 0; ; i++) {
    if (targets.length === 0 || (attacks.length > 0 && i % TURNS_PER_ATTACK === TURNS_PER_ATTACK - 1)) yield attacks[attacked++ % attacks.length]!
    if (targets.length > 0) yield targets[i % targets.length]!
  }
}

async function work(): Promise<void> {
  while (performance.now() < end && !failed) {
    try {
      await turns.next().value.run()
    } catch (error) {
      failed = true
      throw error
    }
  }
}

async function fuzz(name: string): Promise<void> {
  const seed = newSeed()
  // Before it begins: whatever becomes of it can be repeated.
  process.stdout.write(`${name} begins (RPCOOL_SEED=${seed})\n`)
  const { cases, inputs: count } = await runCampaign(name, { ms: TURN_MS, first: seed })
  const sum = (tried[name] ??= { cases: 0, inputs: 0 })
  sum.cases += cases
  sum.inputs += count
  process.stdout.write(`${name}: ${count} mutated inputs in ${cases} cases\n`)
}

async function attack(name: string): Promise<void> {
  const channel = `fuzz/${process.pid}/${Math.round(performance.now())}`
  const server = await Commanded.start('./server-main.js', channel, '{}')
  const good = await connect(channel, Everything)
  const secret = good.heap.new(Everything.methods.echo.argument, { x: 1, y: 2, label: 'SECRET of another connection' })
  const seed = newSeed()
  process.stdout.write(`a client that ${name} begins (RPCOOL_SEED=${seed})\n`)
  const attacker = await Commanded.start('../hostile/attacker-main.js', name, channel, String(seed), String(ATTACK_MS), String(addressOf(secret)))
  let over = false
  const attacked = attacker.ask('attack').finally(() => (over = true))
  const rounds = await callAllTheTime(good, () => over)
  await attacked
  process.stdout.write(`a client that ${name}: ${rounds} rounds of the good client\n`)
  await good.close()
  await attacker.kill()
  await server.ask('exit')
  await server.ended()
}
