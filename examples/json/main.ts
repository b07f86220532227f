// JSON documents in shared memory. Both ends are in one process here to keep it to one file; two processes do the same.
import { connect, fast, json, jsonPath, list, method, serve, service, struct, text, u32 } from 'rpcool'

interface Order {
  id: number
  customer: { name: string, city: string }
  items: { title: string, price: number }[]
  paid?: boolean
}

// A document in a struct is owned by it, as a text would be. `json.fast` is the same in memory, read for hot loops.
const Filed = struct('Filed', { key: text, order: json.of<Order>() })

const Orders = service('orders', {
  /** Looks at one order, where the client has it, and marks it. */
  check: method(1, json.of<Order>(), text),
  /** How many orders are from a city. */
  count: method(2, struct('Search', { city: text, orders: list(json.of<Order>().fast) }), u32),
  file: method(3, Filed, text),
})

await using server = await serve('demo/orders', Orders, {
  check: (order) => {
    order.paid = true
    return `${order.customer.name}: ${order.items.map(({ title }) => title).join(', ')}`
  },
  count: ({ city, orders }) => {
    // Compiled once for all orders; compares where the text lies, without making a string.
    const isFrom = jsonPath('customer', 'city').equals(city)
    return orders.filter(isFrom).length
  },
  file: ({ key, order }) => `${key} ${JSON.stringify(order.customer)}`,
})
await using orders = await connect(server.channel, Orders)

// Straight from its text into shared memory, or from a plain value. The document is ours until it is freed.
const order = orders.heap.parseJson<Order>('{"id": 1, "customer": {"name": "Ada", "city": "Paris"}, "items": [{"title": "book", "price": 12}]}')
order.items.push({ title: 'pen', price: 3 })
console.log(await orders.check(order))
console.log(Object.keys(order).join(), order.paid, { ...order.customer })

// Plain values are written by the library, like every argument.
const more = ['Paris', 'Rome', 'Paris'].map((city, id): Order => ({ id, customer: { name: 'Bob', city }, items: [] }))
console.log(await orders.count({ city: 'Paris', orders: more }))

const filed = orders.heap.new(Filed, { key: 'first', order: { ...more[1]!, id: 7 } })
filed.order.customer.city = 'Oslo'
console.log(await orders.file(filed), fast(filed.order).id)
orders.heap.free(filed)
orders.heap.free(order)
