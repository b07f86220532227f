import { once } from 'node:events'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { pinThread, threadId } from '../support/cpus.js'
import { PendingCalls } from './pending.js'
import { loadHandler, type OwnedPeer } from './peer.js'

/** A no-op is the bare call id, both ways; a look-up carries its key, its answer a structured clone. */
type Request = number | { readonly id: number; readonly key: string }
type Answer =
  | number
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }

interface Start {
  readonly workerPostmessageHandler: string
}

function isStart(data: unknown): data is Start {
  return typeof data === 'object' && data !== null && 'workerPostmessageHandler' in data
}

async function serveInWorker({ workerPostmessageHandler }: Start): Promise<void> {
  const handler = await loadHandler(workerPostmessageHandler)
  const port = parentPort
  port?.on('message', (request: Request) => {
    if (typeof request === 'number') {
      port.postMessage(request)
      return
    }
    const { id, key } = request
    try {
      port.postMessage({ id, value: handler(key) })
    } catch (error) {
      port.postMessage({ id, error: String(error) })
    }
  })
  port?.postMessage(threadId())
}

if (!isMainThread && isStart(workerData)) await serveInWorker(workerData)

export const workerPostmessage: OwnedPeer = {
  kind: 'owned',
  name: 'worker_postmessage',
  about: 'postMessage to a worker thread of the same process and back, a number each way',

  async start(handlerModule, cpu) {
    const data: Start = { workerPostmessageHandler: handlerModule }
    const worker = new Worker(new URL(import.meta.url), { workerData: data })
    const [thread] = await once(worker, 'message') as [number]
    pinThread(thread, cpu)
    const pending = new PendingCalls()
    worker.on('message', (answer: Answer) => {
      if (typeof answer === 'number') pending.resolve(answer, undefined)
      else if ('error' in answer) pending.reject(answer.id, new Error(answer.error))
      else pending.resolve(answer.id, answer.value)
    })
    worker.on('exit', () => {
      pending.rejectAll(new Error('the worker ended'))
    })
    return {
      serverPid: process.pid,
      async noop() {
        const { id, answer } = pending.begin()
        worker.postMessage(id)
        await answer
      },
      lookup(key: string) {
        const { id, answer } = pending.begin()
        worker.postMessage({ id, key })
        return answer
      },
      async [Symbol.asyncDispose]() {
        await worker.terminate()
      },
    }
  },
}
