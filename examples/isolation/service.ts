// What is served, for both forms of the program.
import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Handlers, method, service, struct, text, u32 } from 'rpcool'

export const Order = struct('Order', { item: text, price: u32 })

export const Shop = service('shop', {
  /** Checks an order, thinks about it, and charges for it. */
  careless: method(1, Order, text),
  // The server takes a private copy before the handler runs: that is all it takes.
  careful: method(2, Order, text, { isolation: 'snapshot' }),
})

// A seal in place of a copy: the handler reads what the client wrote where it lies, and the client cannot write there until the answer.
export const Ledger = service('ledger', { post: method(1, Order, text, { isolation: 'seal' }) })

/** Tells when an order was checked and is not charged yet: `await once(till, 'checked')`. */
export const till = new EventEmitter()

async function charge(order: { readonly price: number }): Promise<string> {
  const checked = order.price
  till.emit('checked')
  await sleep(20)
  return `checked ${checked}, charged ${order.price}`
}

export const shopHandlers: Handlers<typeof Shop.methods> = { careless: charge, careful: charge }
export const ledgerHandlers: Handlers<typeof Ledger.methods> = {
  post: async (entry, call) => `${await charge(entry)}, sealed: ${String(call.isSealed)}`,
}
