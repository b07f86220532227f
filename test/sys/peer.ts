import { fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import assert from 'node:assert/strict'
import { type Address, makeAddress } from '../../src/base/numbers.js'
import { createMemoryFile, Mapping, mappingCount } from '../../src/sys/index.js'
import type { Order } from './mapping-peer.js'

export const BYTES = 1 << 20
export const ADDRESS = makeAddress(0x4007, 0)

const PEER = new URL('mapping-peer.js', import.meta.url)

/** Another process or thread that maps memory as it is told. */
export interface Peer extends AsyncDisposable {
  ask(order: Order): Promise<number | string>
}

export function startThread(): Peer {
  const worker = new Worker(PEER)
  const ended = once(worker, 'exit')
  return {
    async ask(order) {
      const answered = once(worker, 'message')
      worker.postMessage(order)
      const [answer] = await Promise.race([answered, ended.then(() => ['ended'])]) as [number | string]
      return answer
    },
    async [Symbol.asyncDispose]() {
      await worker.terminate()
      await ended
    },
  }
}

/** `fd` is open in the process as 4. */
export function startProcess(fd: number): Peer {
  const child = fork(fileURLToPath(PEER), { stdio: ['ignore', 'inherit', 'inherit', 'ipc', fd] })
  const ended = once(child, 'exit')
  return {
    async ask(order) {
      const answered = once(child, 'message')
      child.send(order)
      const [answer] = await Promise.race([answered, ended.then(() => ['ended'])]) as [number | string]
      return answer
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

export class File implements Disposable {
  readonly fd: number

  constructor(readonly byteLength = BYTES) {
    this.fd = createMemoryFile('test', byteLength)
  }

  map(address: Address = ADDRESS, writable = true): Mapping {
    return Mapping.map(this.fd, address, this.byteLength, writable)
  }

  [Symbol.dispose](): void {
    closeSync(this.fd)
  }
}

/** Declared first in a test, and so disposed last: proves that no mapping and no descriptor is left. */
export class LeakCheck implements Disposable {
  readonly #descriptors: number

  constructor() {
    assert.equal(mappingCount(), 0, 'the test before left a mapping')
    this.#descriptors = readdirSync('/proc/self/fd').length
  }

  [Symbol.dispose](): void {
    assert.equal(mappingCount(), 0, 'mappings are left')
    assert.equal(readdirSync('/proc/self/fd').length, this.#descriptors, 'descriptors are left')
  }
}
