// One of several writers. No call is made to write or read: client and server change the same memory.
import { connect, plain, RpcError } from 'rpcool'
import { Shop } from './service.js'

const me = 'ada'
await using shop = await connect('demo/catalogue', Shop)
using root = await shop.root()
using notice = await shop.notice()
if (root === null || notice === null) throw new Error('the server has just started')

// A write runs alone, and happens as a whole: nobody sees a product without its place in the index.
for (let i = 1; i <= 100; i++) {
  root.catalogue.write(({ products, byPrice }) => {
    const key = `${me}-${i}`
    products.set(key, { name: `No. ${i}`, cents: 10 * i, tags: [me] })
    byPrice.set([10 * i, key], key)
  })
}

// A read may run again when a writer came in between. What it gives back is plain, because its views end with it.
const found = root.catalogue.read(({ products, byPrice }) => [...byPrice.values({ from: [20], to: [30] })]
  .map((key) => plain(products.get(key)!)).filter(({ tags }) => tags.includes(me)))
console.log(`${me}: ${found.map(({ name, cents }) => `${name} for ${cents}`).join(', ')}`)

try {
  notice.title = 'Nothing for sale'
} catch (error) {
  if (RpcError.is(error)) console.log(`${notice.title}: ${error.code}`)
}
