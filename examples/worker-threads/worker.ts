import { once } from 'node:events'
import { parentPort } from 'node:worker_threads'
import { serve } from 'rpcool'
import { Counting } from './service.js'

await using server = await serve('demo/counting', Counting, {
  zeros: (bytes) => bytes.reduce((sum, byte) => (byte === 0 ? sum + 1 : sum), 0),
})
parentPort?.postMessage(server.channel)
if (parentPort) await once(parentPort, 'message')
parentPort?.close()
