// A second thread that writes anything anywhere into memory that the first one reads.
import { parentPort, workerData } from 'node:worker_threads'
import { HEAPS_BASE, Mapping } from '../../src/sys/index.js'
import { Random } from '../support/random.js'

const { fd, byteLength, firstWord, words, control, seed } = workerData as {
  readonly fd: number, readonly byteLength: number, readonly firstWord: number, readonly words: number, readonly control: SharedArrayBuffer, readonly seed: number
}
const mapping = Mapping.map(fd, HEAPS_BASE, byteLength)
const memory = new Int32Array(mapping.buffer)
const original = memory.slice(firstWord, firstWord + words)
const state = new Int32Array(control)
const random = new Random(seed)
parentPort!.postMessage('ready')
while (Atomics.load(state, 0) === 0) {
  for (let i = 0; i < 40; i++) {
    const at = random.below(words)
    if (random.chance(3)) memory[firstWord + at] = original[random.below(words)]!
    else if (random.chance(2)) memory[firstWord + at] = original[at]! ^ 1 << random.below(32)
    else memory[firstWord + at] = random.nasty()
  }
  // Whole again, most of the time: or nobody would get beyond the first pointer.
  for (let spin = random.below(2000); spin > 0; spin--) Atomics.load(state, 0)
  memory.set(original, firstWord)
}
mapping.unmap()
