// Arguments that do not change under their handler. Both ends are in one process here to keep it to one file; two processes do the same.
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, method, serve, service, struct, text, u32 } from 'rpcool'

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

// What is not trusted with the memory of its calls is not trusted with its results either.
await using wary = await connect(server.channel, Shop, { isolateResults: true })
console.log(await wary.careful({ item: 'a lamp', price: 30 }))
