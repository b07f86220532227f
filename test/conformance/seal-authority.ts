// What every way of sealing must do, whoever makes the system call. Run against each backend.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, PAGE_BYTES } from '../../src/base/numbers.js'
import { RpcError, type StatusName } from '../../src/base/errors.js'
import { releaseNow, sealNow, type SealAuthority } from '../../src/safety/seals/authority.js'
import type { SealVerifier } from '../../src/safety/seals/descriptors.js'
import type { HeapOfTest } from '../support/plain-heap.js'
import { writable } from '../support/writable.js'

/** One sealable heap with both its ends in this process. */
export interface SealGround extends AsyncDisposable {
  readonly authority: SealAuthority
  readonly verifier: SealVerifier
  readonly base: Address
  readonly memory: Uint8Array
  readonly of: HeapOfTest
}

export interface GroundSize {
  readonly pages: number
  readonly descriptors: number
}

export type OpenGround = (size: GroundSize) => Promise<SealGround>

export function isRefusal(code: StatusName, sentence?: RegExp): (error: unknown) => boolean {
  return (error) => RpcError.is(error) && error.code === code && (sentence === undefined || sentence.test(error.sentence))
}

export function refused(action: () => unknown, code: StatusName, sentence?: RegExp): void {
  assert.throws(action, isRefusal(code, sentence))
}

const SMALL = { pages: 64, descriptors: 16 }

export function sealAuthoritySuite(backend: string, open: OpenGround): void {
  const page = (ground: SealGround, index: number, pages = 1): { address: number, byteLength: number } =>
    ({ address: ground.base + index * PAGE_BYTES, byteLength: pages * PAGE_BYTES })
  const at = (ground: SealGround, index: number): boolean => writable(ground.base + index * PAGE_BYTES)

  test(`${backend}: a sealed page cannot be written, its neighbours can; a release gives it back`, async () => {
    await using ground = await open(SMALL)
    const { authority, verifier } = ground
    const [index] = sealNow(authority, [page(ground, 3, 2)])
    assert.deepEqual([2, 3, 4, 5].map((i) => at(ground, i)), [true, false, false, true])
    assert.ok(verifier.verify(index!, 3, 2))
    assert.ok(verifier.held(index!))
    verifier.complete(index!)
    assert.equal(at(ground, 3), false, 'completion alone gives nothing back')
    releaseNow(authority, [index!])
    assert.deepEqual([3, 4].map((i) => at(ground, i)), [true, true])
    assert.equal(verifier.held(index!), false)
  })

  test(`${backend}: a whole heap is sealed under one descriptor, and comes back whole`, async () => {
    await using ground = await open(SMALL)
    const { authority, verifier, memory } = ground
    memory.fill(9)
    const [index] = sealNow(authority, [page(ground, 0, SMALL.pages)])
    const all = Array.from({ length: SMALL.pages }, (_, i) => i)
    assert.ok(all.every((i) => !at(ground, i)))
    refused(() => sealNow(authority, [page(ground, SMALL.pages - 1)]), 'ABORTED')
    assert.ok(verifier.verify(index!, 0, SMALL.pages) && verifier.held(index!))
    assert.ok(memory.every((byte) => byte === 9))
    verifier.complete(index!)
    releaseNow(authority, [index!])
    assert.ok(all.every((i) => at(ground, i)))
    assert.equal(authority.inFlight, 0)
  })

  test(`${backend}: what was written before the seal is what the receiver reads`, async () => {
    await using ground = await open(SMALL)
    ground.memory.fill(7, 0, PAGE_BYTES)
    const [index] = sealNow(ground.authority, [page(ground, 0)])
    assert.ok(ground.memory.subarray(0, PAGE_BYTES).every((byte) => byte === 7))
    ground.verifier.verify(index!, 0, 1)
    ground.verifier.complete(index!)
    releaseNow(ground.authority, [index!])
    ground.memory[0] = 8
    assert.equal(ground.memory[0], 8)
  })

  test(`${backend}: a release before the receiver's completion is refused and changes nothing`, async () => {
    await using ground = await open(SMALL)
    const { authority, verifier } = ground
    const [index] = sealNow(authority, [page(ground, 0)])
    refused(() => releaseNow(authority, [index!]), 'FAILED_PRECONDITION', /not completed/)
    assert.equal(at(ground, 0), false)
    assert.ok(verifier.verify(index!, 0, 1), 'the seal is whole')
    refused(() => releaseNow(authority, [index!]), 'FAILED_PRECONDITION')
    verifier.complete(index!)
    releaseNow(authority, [index!])
    assert.ok(at(ground, 0))
  })

  test(`${backend}: a second release, and one of a seal that never was, are refused`, async () => {
    await using ground = await open(SMALL)
    const { authority, verifier } = ground
    const [index] = sealNow(authority, [page(ground, 0)])
    verifier.verify(index!, 0, 1)
    verifier.complete(index!)
    authority.queueRelease(index!)
    refused(() => authority.queueRelease(index!), 'INVALID_ARGUMENT', /being released/)
    authority.wait(authority.flush())
    refused(() => authority.queueRelease(index!), 'INVALID_ARGUMENT', /released before/)
    refused(() => authority.queueRelease(9999), 'INVALID_ARGUMENT')
  })

  test(`${backend}: pages that are sealed are not sealed again, and the first seal is whole`, async () => {
    await using ground = await open(SMALL)
    const { authority, verifier } = ground
    const [index] = sealNow(authority, [page(ground, 2, 3)])
    for (const overlapping of [page(ground, 2), page(ground, 4, 2), page(ground, 1, 2), page(ground, 0, 10)]) {
      refused(() => sealNow(authority, [overlapping]), 'ABORTED', /sealed for another call/)
    }
    assert.equal(authority.inFlight, 1)
    assert.ok(at(ground, 1) && at(ground, 5), 'a refused seal protects nothing')
    assert.ok(verifier.verify(index!, 2, 3))
  })

  test(`${backend}: pages that are not this heap's, and ranges that are no pages, are refused`, async () => {
    await using ground = await open(SMALL)
    const { authority, base } = ground
    const bytes = SMALL.pages * PAGE_BYTES
    for (const [address, byteLength] of [
      [base - PAGE_BYTES, PAGE_BYTES], [base + bytes, PAGE_BYTES], [base, bytes + PAGE_BYTES], [base + 1, PAGE_BYTES], [base, 100], [base, 0], [base, -PAGE_BYTES],
      [0, PAGE_BYTES], [Number.NaN, PAGE_BYTES],
    ] as const) refused(() => authority.queueSeal(address, byteLength), 'INVALID_ARGUMENT', /sealable/)
    assert.equal(authority.inFlight, 0)
  })

  test(`${backend}: when all descriptors are in flight the next seal is refused, and works after a release`, async () => {
    await using ground = await open(SMALL)
    const { authority, verifier } = ground
    const indexes = sealNow(authority, Array.from({ length: SMALL.descriptors }, (_, i) => page(ground, i)))
    refused(() => authority.queueSeal(ground.base + 40 * PAGE_BYTES, PAGE_BYTES), 'RESOURCE_EXHAUSTED', /descriptors/)
    verifier.verify(indexes[5]!, 5, 1)
    verifier.complete(indexes[5]!)
    releaseNow(authority, [indexes[5]!])
    sealNow(authority, [page(ground, 40)])
    assert.equal(at(ground, 40), false)
  })

  test(`${backend}: one seal serves one call, for the pages it names and no others`, async () => {
    await using ground = await open(SMALL)
    const { authority, verifier } = ground
    const [index] = sealNow(authority, [page(ground, 4, 2)])
    for (const [first, pages] of [[3, 1], [3, 2], [5, 2], [4, 3], [6, 1], [4, 0], [0, 64]] as const) assert.equal(verifier.verify(index!, first, pages), false)
    for (const other of [index! + 1, SMALL.descriptors, 0xffff_ffff, -1]) assert.equal(verifier.verify(other, 4, 1), false)
    assert.ok(verifier.verify(index!, 4, 1))
    assert.equal(verifier.verify(index!, 5, 1), false, 'the first completion would end the second call\'s seal')
    verifier.complete(index!)
    releaseNow(authority, [index!])
    assert.equal(verifier.verify(index!, 4, 1), false, 'a released seal')
    const [again] = sealNow(authority, [page(ground, 4, 2)])
    assert.ok(verifier.verify(again!, 4, 2), 'a descriptor that is used again')
  })

  test(`${backend}: seals and releases of many calls go together, in any order of pages`, async () => {
    await using ground = await open({ pages: 512, descriptors: 256 })
    const { authority, verifier } = ground
    const order = Array.from({ length: 256 }, (_, i) => ((i * 97) % 256) * 2)
    const indexes = sealNow(authority, order.map((i) => page(ground, i)))
    for (let i = 0; i < 512; i += 37) assert.equal(at(ground, i), i % 2 === 1)
    for (const [i, index] of indexes.entries()) {
      assert.ok(verifier.verify(index, order[i]!, 1))
      if (i % 2 === 0) verifier.complete(index)
    }
    for (const index of indexes) authority.queueRelease(index)
    const ticket = authority.flush()
    refused(() => authority.wait(ticket), 'FAILED_PRECONDITION')
    assert.equal(authority.inFlight, 128, 'those that were complete are released')
    for (const [i, first] of order.entries()) if (i % 31 === 0) assert.equal(at(ground, first), i % 2 === 0)
  })

  test(`${backend}: a closed authority seals nothing more, and can be closed again`, async () => {
    await using ground = await open(SMALL)
    ground.authority.close()
    ground.authority.close()
    refused(() => ground.authority.queueSeal(ground.base, PAGE_BYTES), 'FAILED_PRECONDITION', /closed/)
  })
}
