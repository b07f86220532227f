// The other side of the mapping tests, as a process or as a worker thread: does what it is told, one message at a time.
import { readFileSync } from 'node:fs'
import { isMainThread, parentPort } from 'node:worker_threads'
import type { Address } from '../../src/base/numbers.js'
import { Mapping, mappingCount } from '../../src/sys/index.js'

export type Order =
  | { readonly do: 'map'; readonly fd: number; readonly address: Address; readonly byteLength: number }
  | { readonly do: 'read' | 'spin'; readonly index: number }
  | { readonly do: 'write'; readonly index: number; readonly value: number }
  | { readonly do: 'unmap' | 'count' | 'maps' | 'exit' }

let mapping: Mapping | undefined
let words = new Int32Array(0)

function obey(order: Order): number | string {
  switch (order.do) {
    case 'map':
      mapping = Mapping.map(order.fd, order.address, order.byteLength)
      words = new Int32Array(mapping.buffer)
      return words.length
    case 'read':
      return words[order.index] ?? -1
    case 'spin': {
      // Reads and writes until the memory has gone: long enough for it to go in the middle of an access.
      let rounds = 0
      while (words[order.index] === 1 && rounds < 2 ** 31) {
        words[order.index + 1] = rounds++
        words[words.length - 1]! += 1
      }
      return words[order.index] ?? -1
    }
    case 'write':
      words[order.index] = order.value
      return 0
    case 'unmap':
      mapping?.unmap()
      return words.length
    case 'count':
      return mappingCount()
    case 'maps':
      return readFileSync('/proc/self/maps', 'latin1')
    case 'exit':
      setImmediate(() => process.exit())
  }
  return 0
}

function answer(order: Order): number | string {
  try {
    return obey(order)
  } catch (error) {
    return String(error)
  }
}

if (isMainThread) process.on('message', (order: Order) => process.send?.(answer(order)))
else parentPort?.on('message', (order: Order) => parentPort?.postMessage(answer(order)))
