// The same program without `using`: a function for each connection, which closes it in `finally`.
import { once } from 'node:events'
import { connect, RpcError, SealedError, serve } from 'rpcool'
import { Ledger, ledgerHandlers, Order, Shop, shopHandlers, till } from './service.js'

const server = await serve('demo/shop', Shop, shopHandlers)
try {
  await changeWhileItIsCharged()
  await trustNoResults()
} finally {
  await server.close()
}

const ledgerServer = await serve('demo/ledger', Ledger, ledgerHandlers)
try {
  await writeWhileItIsSealed()
} finally {
  await ledgerServer.close()
}

async function changeWhileItIsCharged() {
  const shop = await connect(server.channel, Shop)
  try {
    const scope = shop.createScope(4096)
    const order = scope.new(Order, { item: 'a book', price: 20 })

    for (const name of ['careless', 'careful'] as const) {
      order.price = 20
      const checked = once(till, 'checked')
      const answer = shop[name](order)
      await checked
      order.price = 1
      console.log(`${name}: ${await answer}`)
    }
    scope.destroy()
  } finally {
    // A scope that was not destroyed goes with its connection.
    await shop.close()
  }
}

async function trustNoResults() {
  const wary = await connect(server.channel, Shop, { isolateResults: true })
  try {
    console.log(await wary.careful({ item: 'a lamp', price: 30 }))
  } finally {
    await wary.close()
  }
}

async function writeWhileItIsSealed() {
  const ledger = await connect(ledgerServer.channel, Ledger, { seals: { heapBytes: 65_536 } })
  try {
    const page = ledger.createScope(4096)
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
    page.destroy()
  } finally {
    await ledger.close()
  }
}
