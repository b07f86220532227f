// The same worker without `await using`.
import { parentPort } from 'node:worker_threads'
import { serve } from 'rpcool'
import { Counting } from './service.js'

const server = await serve('demo/counting', Counting, {
  zeros: (bytes) => bytes.reduce((sum, byte) => (byte === 0 ? sum + 1 : sum), 0),
})
parentPort?.postMessage(server.channel)
parentPort?.once('message', () => {
  parentPort?.close()
  void server.close()
})
