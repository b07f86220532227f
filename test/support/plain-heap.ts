// A heap of plain pages for tests of seals: its file can still be closed to writers, and other processes join it.
import { randomBytes } from 'node:crypto'
import { openSync } from 'node:fs'
import { type Address, makeAddress, PAGE_BYTES } from '../../src/base/numbers.js'
import { addon, createMemoryFile, Mapping } from '../../src/sys/index.js'

const HEAP_ADDRESS = makeAddress(0x4010, 0)

/** What another process needs to join. */
export interface HeapOfTest {
  readonly pid: number
  readonly fd: number
  readonly pages: number
  readonly token: string
}

export class PlainHeap implements Disposable {
  readonly mapping: Mapping
  readonly byteLength: number

  private constructor(readonly file: number, readonly pages: number, readonly token: string, address = HEAP_ADDRESS, writable = true) {
    this.byteLength = pages * PAGE_BYTES
    this.mapping = Mapping.map(file, address, this.byteLength, writable)
  }

  static create(pages: number, toPublish = true, address = HEAP_ADDRESS): PlainHeap {
    return new PlainHeap(createMemoryFile('sealed-test', pages * PAGE_BYTES, toPublish), pages, randomBytes(16).toString('hex'), address)
  }

  static join({ pid, fd, pages, token }: HeapOfTest): PlainHeap {
    return new PlainHeap(openSync(`/proc/${pid}/fd/${fd}`, 'r+'), pages, token)
  }

  /** One that a launcher prepared, which nobody but its program can write. */
  static joinPrepared({ pid, fd, pages, token }: HeapOfTest, address: Address): PlainHeap {
    return new PlainHeap(openSync(`/proc/${pid}/fd/${fd}`, 'r+'), pages, token, address, false)
  }

  get of(): HeapOfTest {
    return { pid: process.pid, fd: this.file, pages: this.pages, token: this.token }
  }

  [Symbol.dispose](): void {
    this.mapping.unmap()
    addon.closeFd(this.file)
  }
}
