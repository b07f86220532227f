// The same program without `await using`: what was opened is closed in `finally`, the last first.
import { connect, fast, serve } from 'rpcool'
import { Filed, handlers, more, type Order, Orders } from './service.js'

const server = await serve('demo/orders', Orders, handlers)
try {
  const orders = await connect(server.channel, Orders)
  try {
    const order = orders.heap.parseJson<Order>('{"id": 1, "customer": {"name": "Ada", "city": "Paris"}, "items": [{"title": "book", "price": 12}]}')
    order.items.push({ title: 'pen', price: 3 })
    console.log(await orders.check(order))
    console.log(Object.keys(order).join(), order.paid, { ...order.customer })

    console.log(await orders.count({ city: 'Paris', orders: more }))

    const filed = orders.heap.new(Filed, { key: 'first', order: { ...more[1]!, id: 7 } })
    filed.order.customer.city = 'Oslo'
    console.log(await orders.file(filed), fast(filed.order).id)
    orders.heap.free(filed)
    orders.heap.free(order)
  } finally {
    // What was not freed goes with its connection.
    await orders.close()
  }
} finally {
  await server.close()
}
