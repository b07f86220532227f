// A store in a process of its own: arguments are the channel, the mode, the heap's bytes, and `heldMs`. Answers `stats` by message.
import { serveDocuments, type Mode } from '../../../apps/document-store/server.js'

const [channel, mode, heapBytes, heldMs] = process.argv.slice(2) as [string, Mode, string, string | undefined]
await using store = await serveDocuments(channel, { mode, heapBytes: Number(heapBytes), ...(heldMs !== undefined && { heldMs: Number(heldMs) }) })
process.on('message', ({ id }: { id: number }) => {
  store.heap.collect()
  const { liveBlocks, ownedBytes, freeBytes } = store.heap.stats()
  process.send?.({ id, result: { documents: store.store.size, liveBlocks, ownedBytes, freeBytes, awaitingRelease: store.awaitingRelease, clients: store.server.connectionCount } })
})
process.send?.({ id: 0, result: null })
await new Promise((resolve) => process.once('disconnect', resolve))
