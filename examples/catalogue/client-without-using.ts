// The same writer, under another name, without `using`.
import { connect, plain, RpcError } from 'rpcool'
import { Shop } from './service.js'

const me = 'bob'
const shop = await connect('demo/catalogue', Shop)
try {
  const root = await shop.root()
  const notice = await shop.notice()
  if (root === null || notice === null) throw new Error('the server has just started')

  for (let i = 1; i <= 100; i++) {
    root.catalogue.write(({ products, byPrice }) => {
      const key = `${me}-${i}`
      products.set(key, { name: `No. ${i}`, cents: 10 * i, tags: [me] })
      byPrice.set([10 * i, key], key)
    })
  }

  const found = root.catalogue.read(({ products, byPrice }) => [...byPrice.values({ from: [20], to: [30] })]
    .map((key) => plain(products.get(key)!)).filter(({ tags }) => tags.includes(me)))
  console.log(`${me}: ${found.map(({ name, cents }) => `${name} for ${cents}`).join(', ')}`)

  try {
    notice.title = 'Nothing for sale'
  } catch (error) {
    if (RpcError.is(error)) console.log(`${notice.title}: ${error.code}`)
  }

  notice[Symbol.dispose]()
  root[Symbol.dispose]()
} finally {
  await shop.close()
}
