// The same client without `await using`.
import { connect, RpcError } from 'rpcool'
import { Bank } from './service.js'

const bank = await connect('demo/bank', Bank)
try {
  console.log(`seals: ${bank.seals?.strength ?? 'none'}`)
  console.log(await bank.book({ account: 'ada', amount: 5 }))
} catch (error) {
  if (!RpcError.is(error)) throw error
  console.log(error.code)
} finally {
  await bank.close()
}
