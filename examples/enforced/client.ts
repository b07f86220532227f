// An ordinary client. Run it by itself, and by "rpcool run -- node client.js".
import { connect, RpcError } from 'rpcool'
import { Bank } from './service.js'

await using bank = await connect('demo/bank', Bank)
console.log(`seals: ${bank.seals?.strength ?? 'none'}`)
try {
  console.log(await bank.book({ account: 'ada', amount: 5 }))
} catch (error) {
  if (!RpcError.is(error)) throw error
  console.log(error.code)
}
