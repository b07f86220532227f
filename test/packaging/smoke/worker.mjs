// A client in a worker thread: calls the server of the main thread.
import { parentPort, workerData } from 'node:worker_threads'
import * as rpcool from 'rpcool'
import { definitions } from './definitions.mjs'

const conn = await rpcool.connect(workerData, definitions(rpcool).Echo)
const answer = await conn.hello('worker')
await conn.close()
parentPort.postMessage(answer)
