// Takes entries only from clients whose seals the kernel enforces: those that were started by "rpcool run". A client of the same user could still
// attach to the sealer as a debugger; without `except` nobody but another user's client, started by `rpcool run --user`, is served.
import { once } from 'node:events'
import { serve } from 'rpcool'
import { Bank } from './service.js'

await using server = await serve('demo/bank', Bank, {
  book: ({ account, amount }) => `${amount} booked for ${account}`,
}, { seals: { require: 'enforced', except: ['same-user'] } })
console.log(`serving ${server.channel}`)
await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
