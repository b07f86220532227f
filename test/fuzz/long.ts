// npm run fuzz [-- <minutes> [<part of an attack's name>]]: the attacks of test/hostile for as long as one likes, each seed printed.
import { addressOf, connect } from '../../src/index.js'
import { Commanded } from '../support/ground.js'
import { Everything } from '../support/everything.js'
import { newSeed } from '../support/random.js'
import { clientAttacks } from '../hostile/client-attacks.js'
import { callAllTheTime } from '../hostile/well-behaved.js'

const ATTACK_MS = 5000
const [minutes = '10', wanted = ''] = process.argv.slice(2)
const end = performance.now() + Number(minutes) * 60_000
const names = Object.keys(clientAttacks).filter((name) => name.includes(wanted))
if (names.length === 0) throw new Error(`no attack is called ${wanted}; there are: ${Object.keys(clientAttacks).join('; ')}`)

let round = 0
while (performance.now() < end) {
  const channel = `fuzz/${process.pid}/${round}`
  const server = await Commanded.start('./server-main.js', channel, '{}')
  const good = await connect(channel, Everything)
  const secret = good.heap.new(Everything.methods.echo.argument, { x: 1, y: 2, label: 'SECRET of another connection' })
  const name = names[round++ % names.length]!
  const seed = newSeed()
  process.stdout.write(`a client that ${name} (RPCOOL_SEED=${seed})`)
  const attacker = await Commanded.start('../hostile/attacker-main.js', name, channel, String(seed), String(ATTACK_MS), String(addressOf(secret)))
  let over = false
  const attack = attacker.ask('attack').finally(() => (over = true))
  const rounds = await callAllTheTime(good, () => over)
  await attack
  process.stdout.write(`: ${rounds} rounds of the good client\n`)
  await good.close()
  await attacker.kill()
  await server.ask('exit')
  await server.ended()
}
