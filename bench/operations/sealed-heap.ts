import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { type Address, makeAddress, PAGE_BYTES } from '../../src/base/numbers.js'
import { SealClient, type Receiving } from '../../src/safety/seals/seal-client.js'
import type { SealAuthority } from '../../src/safety/seals/authority.js'
import { createMemoryFile, Mapping } from '../../src/sys/index.js'

const HEAP_ADDRESS = makeAddress(0x4020, 0)

/** What another process needs to attach to the same pages. */
export interface HeapName {
  readonly pid: number
  readonly fd: number
  readonly token: string
  readonly byteLength: number
}

/** Plain pages that are sealed for the sender that made them. Owned by whoever makes it. */
export class BenchPages implements Disposable {
  readonly base: Address
  readonly doubles: Float64Array
  readonly #mapping: Mapping
  readonly #client = SealClient.ofDirectory()

  private constructor(readonly name: HeapName, readonly file: number) {
    this.#mapping = Mapping.map(file, HEAP_ADDRESS, name.byteLength)
    this.base = this.#mapping.address
    this.doubles = new Float64Array(this.#mapping.buffer)
  }

  static create(pages: number): BenchPages {
    const byteLength = pages * PAGE_BYTES
    const fd = createMemoryFile('bench-pages', byteLength, true)
    return new BenchPages({ pid: process.pid, fd, token: randomBytes(16).toString('hex'), byteLength }, fd)
  }

  /** The pages that another process made. */
  static join(name: HeapName): BenchPages {
    return new BenchPages(name, openSync(`/proc/${name.pid}/fd/${name.fd}`, 'r+'))
  }

  send(descriptors: number): Promise<SealAuthority> {
    const { token, byteLength } = this.name
    return this.#client.attachSender({ token, address: this.base, byteLength, descriptors })
  }

  receive(): Promise<Receiving> {
    const { token, byteLength } = this.name
    return this.#client.attachReceiver({ token, address: this.base, byteLength, file: this.file })
  }

  /** Rewrites a page, all of it. */
  rewrite(page: number, value: number): void {
    this.doubles.fill(value, page * DOUBLES, (page + 1) * DOUBLES)
  }

  [Symbol.dispose](): void {
    this.#client.close()
    this.#mapping.unmap()
    closeSync(this.file)
  }
}

export const DOUBLES = PAGE_BYTES / 8
