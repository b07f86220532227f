// A server process that publishes one shelf.
import { type Server, serve, type View } from '../../src/index.js'
import { Library, Shelf } from './published.js'

const [channel] = process.argv.slice(2) as [string]
const shelves: View<typeof Shelf>[] = []
const server: Server = await serve(channel, Library, {
  shelf: () => shelves[0] ?? null,
  rename: (name) => {
    for (const shelf of shelves) shelf.name = name
  },
  countBooks: (one) => one?.books.length ?? 0,
  countNextBooks: ({ next }) => next?.books.length ?? 0,
}, { publishedHeapBytes: 4 << 20 })

const cover = Uint8Array.of(1, 2, 3)
shelves.push(server.published.new(Shelf, {
  name: 'a shelf of the server', books: [1, 2, 3], prices: [['one', 1]], cover, next: { name: 'the next', books: [4], cover },
}))

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id }: { id: number }) => {
  process.send?.({ id, result: shelves.map(({ name, books, prices }) => ({ name, books: [...books], prices: [...prices] })) })
})
process.send?.({ id: 0, result: null })
