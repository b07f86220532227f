// The same server without `await using`.
import { serve, type View } from 'rpcool'
import { Notice, Root, Shop } from './service.js'

let root: View<typeof Root> | null = null
let notice: View<typeof Notice> | null = null

const server = await serve('demo/catalogue', Shop, {
  root: () => root,
  notice: () => {
    if (notice !== null) notice.seen++
    return notice
  },
}, { sharedHeapBytes: 4 << 20, publishedHeapBytes: 1 << 20 })
root = server.heap.new(Root, { catalogue: { products: [], byPrice: [] } })
notice = server.published.new(Notice, { title: 'Everything must go', seen: 0 })
console.log(`serving ${server.channel}`)

async function stop(): Promise<void> {
  const [count, cheapest] = root?.catalogue.read(({ products, byPrice }) => [products.size, byPrice.first()?.[1]]) ?? []
  console.log(`${count} products, the cheapest is ${cheapest}`)
  await server.close()
}
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void stop())
