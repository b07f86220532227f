// A hostile client as a process.
import { mappingCount } from '../../src/sys/index.js'
import { Random } from '../support/random.js'
import { clientAttacks } from './client-attacks.js'
import { answers, HostileClient } from './hostile-client.js'

const [name, channel, seed, ms, ...secretAddresses] = process.argv.slice(2) as [string, string, string, string, ...string[]]
let connections = 0

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id }: { id: number }) => {
  const end = performance.now() + Number(ms)
  void clientAttacks[name]!({
    random: new Random(Number(seed)),
    over: () => performance.now() > end,
    secretAddresses: secretAddresses.map(Number),
    open: () => {
      connections++
      return HostileClient.connect(channel)
    },
  }).then(() => process.send?.({ id, result: { connections, ...answers, mappings: mappingCount() } }))
})
process.send?.({ id: 0, result: null })
