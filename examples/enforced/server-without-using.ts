// The same server without `await using`.
import { serve } from 'rpcool'
import { Bank } from './service.js'

const server = await serve('demo/bank', Bank, {
  book: ({ account, amount }) => `${amount} booked for ${account}`,
}, { seals: { require: 'enforced', except: ['same-user'] } })
console.log(`serving ${server.channel}`)
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void server.close())
