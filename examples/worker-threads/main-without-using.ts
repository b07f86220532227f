// The same program without `await using`.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { connect } from 'rpcool'
import { Counting } from './service.js'

const worker = new Worker(new URL('./worker-without-using.js', import.meta.url))
await once(worker, 'message')

const counting = await connect('demo/counting', Counting)
try {
  console.log(`zeros: ${counting.sync.zeros(Uint8Array.of(1, 0, 2, 0, 0))}`)
} finally {
  await counting.close()
}

worker.postMessage('end')
await once(worker, 'exit')
console.log('the worker has ended')
