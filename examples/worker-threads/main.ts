// Servers and clients may be worker threads: here a worker serves, and the main thread calls it as it would a process.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { connect } from 'rpcool'
import { Counting } from './service.js'

const worker = new Worker(new URL('./worker.js', import.meta.url))
await once(worker, 'message')
{
  await using counting = await connect('demo/counting', Counting)
  // `sync` works because the other end is another thread; calling oneself like this is refused, since it would never end.
  console.log(`zeros: ${counting.sync.zeros(Uint8Array.of(1, 0, 2, 0, 0))}`)
}
worker.postMessage('end')
await once(worker, 'exit')
console.log('the worker has ended')
