// Arguments that do not change under their handler. Both ends are in one process here to keep it to one file; two processes do the same.
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, method, RpcError, SealedError, serve, service, struct, text, u32 } from 'rpcool'

const Order = struct('Order', { item: text, price: u32 })

const Shop = service('shop', {
  /** Checks an order, thinks about it, and charges for it. */
  careless: method(1, Order, text),
  // The server takes a private copy before the handler runs: that is all it takes.
  careful: method(2, Order, text, { isolation: 'snapshot' }),
})

let begun: () => void = () => {}

async function charge(order: { readonly price: number }): Promise<string> {
  const checked = order.price
  begun()
  await sleep(20)
  return `checked ${checked}, charged ${order.price}`
}

await using server = await serve('demo/shop', Shop, { careless: charge, careful: charge })
await using shop = await connect(server.channel, Shop)

// A scope: pages of the connection's heap for the argument of one call, used again and again.
using scope = shop.createScope(4096)
const order = scope.new(Order, { item: 'a book', price: 20 })

for (const name of ['careless', 'careful'] as const) {
  order.price = 20
  const atWork = new Promise<void>((resolve) => {
    begun = resolve
  })
  const answer = shop[name](order)
  await atWork
  order.price = 1
  console.log(`${name}: ${await answer}`)
}

// A seal in place of a copy: the handler reads what the client wrote where it lies, and the client cannot write there until the answer. Where the
// system does not permit it, the call is refused and says why.
const Ledger = service('ledger', { post: method(1, Order, text, { isolation: 'seal' }) })
await using ledgerServer = await serve('demo/ledger', Ledger, {
  post: async (entry, call) => `${await charge(entry)}, sealed: ${String(call.isSealed)}`,
})
await using ledger = await connect(ledgerServer.channel, Ledger, { seals: { heapBytes: 65_536 } })
using page = ledger.createScope(4096)
const entry = page.new(Order, { item: 'a chair', price: 40 })
const posting = new Promise<void>((resolve) => {
  begun = resolve
})
const posted = ledger.post(entry)
try {
  await Promise.race([posting, posted])
  entry.price = 1
} catch (error) {
  console.log(error instanceof SealedError ? 'ledger: the client cannot write' : 'ledger: not permitted here')
}
console.log(`ledger: ${await posted.catch((error: unknown) => (RpcError.is(error) ? error.code : 'failed'))}`)

// What is not trusted with the memory of its calls is not trusted with its results either.
await using wary = await connect(server.channel, Shop, { isolateResults: true })
console.log(await wary.careful({ item: 'a lamp', price: 30 }))
