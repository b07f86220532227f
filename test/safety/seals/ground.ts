// The ground that tests of seals stand on: a heap of plain pages, sealed in this process by each backend.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { makeAddress, PAGE_BYTES } from '../../../src/base/numbers.js'
import { sealDescriptorsBytes } from '../../../src/layout/seal-layout.js'
import { CooperativeAuthority } from '../../../src/safety/seals/cooperative.js'
import { SealVerifier } from '../../../src/safety/seals/descriptors.js'
import { SealClient } from '../../../src/safety/seals/seal-client.js'
import { addon, createMemoryFile, Mapping, mappingCount } from '../../../src/sys/index.js'
import type { GroundSize, SealGround } from '../../conformance/seal-authority.js'
import { openCount } from '../../support/leaks.js'

export const HEAP_ADDRESS = makeAddress(0x4010, 0)

/** A mapped heap of plain pages, whose file can still be closed to writers. */
export class PlainHeap implements Disposable {
  readonly file: number
  readonly mapping: Mapping

  constructor(readonly pages: number, toPublish = true) {
    this.file = createMemoryFile('sealed-test', pages * PAGE_BYTES, toPublish)
    this.mapping = Mapping.map(this.file, HEAP_ADDRESS, pages * PAGE_BYTES)
  }

  [Symbol.dispose](): void {
    this.mapping.unmap()
    addon.closeFd(this.file)
  }
}

export function freshToken(): string {
  return randomBytes(16).toString('hex')
}

/** Counted at the start; compared, when everything is closed, at the end. */
function leakCheck(): () => void {
  const before = [openCount(), mappingCount()]
  return () => assert.deepEqual([openCount(), mappingCount()], before, 'descriptors and mappings are left')
}

export async function openCooperative({ pages, descriptors }: GroundSize): Promise<SealGround> {
  const check = leakCheck()
  const heap = new PlainHeap(pages)
  const file = createMemoryFile('seal-descriptors', sealDescriptorsBytes(descriptors))
  const ring = Mapping.mapLocal(file, sealDescriptorsBytes(descriptors))
  const authority = new CooperativeAuthority(ring.buffer, heap.mapping.address, pages * PAGE_BYTES, descriptors)
  const verifier = new SealVerifier(ring.buffer, descriptors, pages, { now: 0, liveSince: () => true })
  return {
    authority, verifier, base: heap.mapping.address, memory: new Uint8Array(heap.mapping.buffer),
    [Symbol.asyncDispose]: async () => {
      authority.close()
      ring.unmap()
      addon.closeFd(file)
      heap[Symbol.dispose]()
      check()
    },
  }
}

export async function openUserfaultfd({ pages, descriptors }: GroundSize): Promise<SealGround> {
  const check = leakCheck()
  const heap = new PlainHeap(pages)
  const [sending, receiving] = [SealClient.ofDirectory(), SealClient.ofDirectory()]
  const named = { token: freshToken(), address: heap.mapping.address, byteLength: pages * PAGE_BYTES }
  const [authority, received] = await Promise.all([
    sending.attachSender({ ...named, descriptors }), receiving.attachReceiver({ ...named, file: heap.file }),
  ])
  return {
    authority, verifier: received.verifier, base: heap.mapping.address, memory: new Uint8Array(heap.mapping.buffer),
    [Symbol.asyncDispose]: async () => {
      authority.close()
      received.close()
      sending.close()
      receiving.close()
      heap[Symbol.dispose]()
      check()
    },
  }
}
