// A thread of a client that stores to an address of its process, round all views: it says so before and after.
import { closeSync, openSync, readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import type { Address } from '../../src/base/numbers.js'
import { Mapping } from '../../src/sys/index.js'

const { address } = workerData as { readonly address: number }
const range = readFileSync('/proc/self/maps', 'latin1').split('\n').map((line) => line.split(' ')[0]!).find((one) => {
  const [start = 0, end = 0] = one.split('-').map((text) => Number.parseInt(text, 16))
  return start <= address && address < end
})!
const [start = 0, end = 0] = range.split('-').map((text) => Number.parseInt(text, 16))
const fd = openSync(`/proc/self/map_files/${range}`, 'r+')
const mapping = Mapping.map(fd, start as Address, end - start)
closeSync(fd)
parentPort?.postMessage('storing')
new Uint8Array(mapping.buffer)[address - start] = 77
parentPort?.postMessage('stored')
mapping.unmap()
