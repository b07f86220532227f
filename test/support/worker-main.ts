// A server or a client in a worker thread.
import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { connect, serve } from '../../src/index.js'
import { Everything, everyHandler, Gates } from './everything.js'

const { role, channel } = workerData as { role: 'server' | 'client', channel: string }
const port = parentPort!
const ended = once(port, 'message')
if (role === 'server') {
  const server = await serve(channel, Everything, everyHandler(new Gates()))
  port.postMessage('ready')
  await ended
  await server.close(0)
} else {
  const conn = await connect(channel, Everything)
  let sum = 0
  for (let i = 0; i < 2000; i++) sum += conn.sync.number(i) + await conn.add({ x: i, y: 0, label: '' })
  await conn.close()
  port.postMessage(sum)
  await ended
}
port.close()
