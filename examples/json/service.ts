// What is served, for both forms of the program.
import { type Handlers, json, jsonPath, list, method, service, struct, text, u32 } from 'rpcool'

export interface Order {
  id: number
  customer: { name: string, city: string }
  items: { title: string, price: number }[]
  paid?: boolean
}

// A document in a struct is owned by it, as a text would be. `json.fast` is the same in memory, read for hot loops.
export const Filed = struct('Filed', { key: text, order: json.of<Order>() })

export const Orders = service('orders', {
  /** Looks at one order, where the client has it, and marks it. */
  check: method(1, json.of<Order>(), text),
  /** How many orders are from a city. */
  count: method(2, struct('Search', { city: text, orders: list(json.of<Order>().fast) }), u32),
  file: method(3, Filed, text),
})

export const handlers: Handlers<typeof Orders.methods> = {
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
}

/** Orders as plain values. */
export const more = ['Paris', 'Rome', 'Paris'].map((city, id): Order => ({ id, customer: { name: 'Bob', city }, items: [] }))
