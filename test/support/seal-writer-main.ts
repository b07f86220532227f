// A thread that stores to a page: it says so before and after.
import { parentPort, workerData } from 'node:worker_threads'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { PlainHeap, type HeapOfTest } from './plain-heap.js'

const { of, page } = workerData as { of: HeapOfTest, page: number }
const heap = PlainHeap.join(of)
const bytes = new Uint8Array(heap.mapping.buffer)
parentPort?.postMessage('storing')
bytes[page * PAGE_BYTES] = 77
parentPort?.postMessage('stored')
