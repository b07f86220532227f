// Makes what is shared and what is published, and answers pointers to them. It ends on SIGTERM or Ctrl-C.
import { once } from 'node:events'
import { serve, type View } from 'rpcool'
import { Notice, Root, Shop } from './service.js'

// The heaps are the server's, so what lies there is made after it, and a handler needs its type before: TypeScript cannot infer
// that of a `const root = server.heap.new(…)` which the handlers of that server lead to (TS7022).
let root: View<typeof Root> | null = null
let notice: View<typeof Notice> | null = null

await using server = await serve('demo/catalogue', Shop, {
  root: () => root,
  notice: () => {
    if (notice !== null) notice.seen++
    return notice
  },
}, { sharedHeapBytes: 4 << 20, publishedHeapBytes: 1 << 20 })
root = server.heap.new(Root, { catalogue: { products: [], byPrice: [] } })
notice = server.published.new(Notice, { title: 'Everything must go', seen: 0 })
console.log(`serving ${server.channel}`)

await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
const [count, cheapest] = root.catalogue.read(({ products, byPrice }) => [products.size, byPrice.first()?.[1]])
console.log(`${count} products, the cheapest is ${cheapest}`)
