// The ground that tests of seals stand on: a heap of plain pages, sealed in this process by each backend.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { PAGE_BYTES } from '../../../src/base/numbers.js'
import { sealDescriptorsBytes } from '../../../src/layout/seal-layout.js'
import { releaseNow, sealNow } from '../../../src/safety/seals/authority.js'
import { CooperativeAuthority } from '../../../src/safety/seals/sender/cooperative.js'
import { SealVerifier } from '../../../src/safety/seals/descriptors.js'
import { SealClient } from '../../../src/safety/seals/seal-client.js'
import { addon, createMemoryFile, Mapping, mappingCount } from '../../../src/sys/index.js'
import type { GroundSize, SealGround } from '../../conformance/seal-authority.js'
import { openCount } from '../../support/leaks.js'
import { PlainHeap } from '../../support/plain-heap.js'

/** Counted at the start; compared, when everything is closed, at the end. A link that was just being made takes a moment to go. */
export function leakCheck(): () => Promise<void> {
  const count = (): number[] => [openCount(), mappingCount()]
  const before = count()
  return async () => {
    for (let waited = 0; waited < SETTLE_MS && !isDeepStrictEqual(count(), before); waited += 10) await sleep(10)
    assert.deepEqual(count(), before, 'descriptors and mappings are left')
  }
}
const SETTLE_MS = 5000

export async function openCooperative({ pages, descriptors }: GroundSize): Promise<SealGround> {
  const check = leakCheck()
  const heap = PlainHeap.create(pages)
  const file = createMemoryFile('seal-descriptors', sealDescriptorsBytes(descriptors))
  const ring = Mapping.mapLocal(file, sealDescriptorsBytes(descriptors))
  const authority = new CooperativeAuthority(ring.buffer, heap.mapping.address, pages * PAGE_BYTES, descriptors)
  const verifier = new SealVerifier(ring.buffer, descriptors, pages, { now: 0, liveSince: () => true })
  return {
    authority, verifier, base: heap.mapping.address, memory: new Uint8Array(heap.mapping.buffer), of: heap.of,
    [Symbol.asyncDispose]: async () => {
      authority.close()
      ring.unmap()
      addon.closeFd(file)
      heap[Symbol.dispose]()
      await check()
    },
  }
}

export async function openUserfaultfd({ pages, descriptors }: GroundSize): Promise<SealGround> {
  const check = leakCheck()
  const heap = PlainHeap.create(pages)
  const [sending, receiving] = [SealClient.ofDirectory(), SealClient.ofDirectory()]
  const named = { token: heap.token, address: heap.mapping.address, byteLength: pages * PAGE_BYTES }
  const [authority, received] = await Promise.all([
    sending.attachSender({ ...named, descriptors }), receiving.attachReceiver({ ...named, file: heap.file }),
  ])
  return {
    authority, verifier: received.verifier, base: heap.mapping.address, memory: new Uint8Array(heap.mapping.buffer), of: heap.of,
    [Symbol.asyncDispose]: async () => {
      authority.close()
      received.close()
      sending.close()
      receiving.close()
      heap[Symbol.dispose]()
      await check()
    },
  }
}

/** A seal of one page from its request to its release. */
export function sealOnce({ authority, verifier, base }: SealGround, page: number): void {
  const [index] = sealNow(authority, [{ address: base + page * PAGE_BYTES, byteLength: PAGE_BYTES }])
  assert.ok(verifier.verify(index!, page, 1) && verifier.held(index!))
  verifier.complete(index!)
  releaseNow(authority, [index!])
}
