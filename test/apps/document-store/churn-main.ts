// A client that stores, changes, finds and deletes documents, makes and drops indexes, and now and then clears the store, until it is killed:
// arguments are the channel, a seed, and after how many rounds it rests, and says that it is ready then. One that rests leaves the store's
// indexes alone; told `index` or `clear` instead, it asks for that, and is dead before any answer can come.
import { openStore } from '../../../apps/document-store/client.js'
import { bodyOf, INDEXED, KEYS, TAGS } from './churn.js'

const [channel, seed, rest = 'never'] = process.argv.slice(2) as [string, string, string?]
const client = await openStore(channel)
let state = Number(seed) | 1
function random(limit: number): number {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % limit
}

async function changeIndexes(): Promise<void> {
  const path = INDEXED[random(INDEXED.length)]!
  const what = random(40)
  if (what === 0) await client.clear()
  else if (what < 10) await client.dropIndex(path)
  else await client.createIndex(path, what % 2 === 0 ? 'hash' : 'ordered')
}

const ready = (): void => void process.send?.({ id: 0, result: null })
if (rest === 'never') ready()
process.once('disconnect', () => process.exit(0))
if (rest === 'index' || rest === 'clear') {
  for (const path of rest === 'index' ? INDEXED : []) void client.dropIndex(path)
  for (const path of rest === 'index' ? INDEXED : []) void client.createIndex(path, Number(seed) % 2 === 0 ? 'hash' : 'ordered')
  if (rest === 'clear') void client.clear()
  process.kill(process.pid, 'SIGKILL')
}
for (let round = 0; String(round) !== rest; round++) {
  if (rest === 'never' && random(200) === 0) await changeIndexes()
  const key = `k${random(KEYS)}`
  switch (random(8)) {
    case 0:
      client.sync.delete(key)
      break
    case 1:
      client.sync.update(key, 'touched', `by ${seed}, a text that takes a record, ${round}`)
      break
    case 2: {
      using results = client.sync.find({ tag: `t${random(TAGS)}` })
      for (const { body } of results) if ((body as { text: string }).text.length < 10) throw new Error('a document is damaged')
      break
    }
    case 3:
      client.sync.putAll(Array.from({ length: 100 }, () => random(KEYS)).map((k) => [`k${k}`, bodyOf(`k${k}`, random(1000))] as const))
      break
    default:
      client.sync.put(key, bodyOf(key, random(1000)))
  }
  // The channel of messages must be read, or the parent's end would not be seen.
  if (round % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
}
ready()
