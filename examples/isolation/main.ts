// Arguments that do not change under their handler. Both ends are in one process here to keep it short; two processes do the same.
import { once } from 'node:events'
import { connect, RpcError, SealedError, serve } from 'rpcool'
import { Ledger, ledgerHandlers, Order, Shop, shopHandlers, till } from './service.js'

await using server = await serve('demo/shop', Shop, shopHandlers)
await using shop = await connect(server.channel, Shop)

// A scope: pages of the connection's heap for the argument of one call, used again and again.
using scope = shop.createScope(4096)
const order = scope.new(Order, { item: 'a book', price: 20 })

for (const name of ['careless', 'careful'] as const) {
  order.price = 20
  const checked = once(till, 'checked')
  const answer = shop[name](order)
  await checked
  order.price = 1
  console.log(`${name}: ${await answer}`)
}

// What is not trusted with the memory of its calls is not trusted with its results either.
await using wary = await connect(server.channel, Shop, { isolateResults: true })
console.log(await wary.careful({ item: 'a lamp', price: 30 }))

// A seal: where the system does not permit it, the call is refused and says why.
await using ledgerServer = await serve('demo/ledger', Ledger, ledgerHandlers)
await using ledger = await connect(ledgerServer.channel, Ledger, { seals: { heapBytes: 65_536 } })
using page = ledger.createScope(4096)
const entry = page.new(Order, { item: 'a chair', price: 40 })
const checked = once(till, 'checked')
const posted = ledger.post(entry)
try {
  await Promise.race([checked, posted])
  entry.price = 1
} catch (error) {
  console.log(error instanceof SealedError ? 'ledger: the client cannot write' : 'ledger: not permitted here')
}
console.log('ledger:', await posted.catch((error: unknown) => (RpcError.is(error) ? error.code : error)))
