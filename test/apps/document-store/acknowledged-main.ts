// A client that puts documents until it is killed, and writes down how many puts have returned: arguments are the channel, the file for
// that, and how many documents one call puts.
import { openSync, writeSync } from 'node:fs'
import { openStore } from '../../../apps/document-store/client.js'
import { bodyOf } from './churn.js'

const [channel, path, step] = process.argv.slice(2) as [string, string, string]
const client = await openStore(channel)
const file = openSync(path, 'w')
const count = new Int32Array(1)
process.once('disconnect', () => process.exit(0))
process.send?.({ id: 0, result: null })
for (let next = 0; ; next += Number(step)) {
  const keys = Array.from({ length: Number(step) }, (_, i) => `k${next + i}`)
  if (keys.length === 1) client.sync.put(keys[0]!, bodyOf(keys[0]!, next))
  else client.sync.putAll(keys.map((key, i) => [key, bodyOf(key, next + i)] as const))
  // What was written is the kernel's, also when this process ends in the next instruction.
  count[0] = next + keys.length
  writeSync(file, count, 0, 4, 0)
  if (next % 4096 < keys.length) await new Promise((resolve) => setImmediate(resolve))
}
