// JSON documents in shared memory. Both ends are in one process here to keep it short; two processes do the same.
import { connect, fast, serve } from 'rpcool'
import { Filed, handlers, more, type Order, Orders } from './service.js'

await using server = await serve('demo/orders', Orders, handlers)
await using orders = await connect(server.channel, Orders)

// Straight from its text into shared memory, or from a plain value. The document is ours until it is freed.
const order = orders.heap.parseJson<Order>('{"id": 1, "customer": {"name": "Ada", "city": "Paris"}, "items": [{"title": "book", "price": 12}]}')
order.items.push({ title: 'pen', price: 3 })
console.log(await orders.check(order))
console.log(Object.keys(order).join(), order.paid, { ...order.customer })

// Plain values are written by the library, like every argument.
console.log(await orders.count({ city: 'Paris', orders: more }))

const filed = orders.heap.new(Filed, { key: 'first', order: { ...more[1]!, id: 7 } })
filed.order.customer.city = 'Oslo'
console.log(await orders.file(filed), fast(filed.order).id)
orders.heap.free(filed)
orders.heap.free(order)
