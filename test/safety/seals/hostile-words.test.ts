// A sender or receiver that writes anything into what it shares with the sealer: nothing happens but to its own pages, and what the sealer
// believes is what the kernel was told.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DESCRIPTORS_WORD, RELEASE_REQUEST, REQUESTS_WORD, SEAL_REQUEST, SealOutcome, sealDescriptorsBytes, sealRequestsBytes } from '../../../src/layout/seal-layout.js'
import { DescriptorWriter, SealVerifier } from '../../../src/safety/seals/descriptors.js'
import { SealEngine } from '../../../src/safety/seals/sealer/engine.js'
import { SealTable } from '../../../src/safety/seals/sealer/seal-table.js'
import { BATCH_CALLS_MAX, BATCH_PAGES_MAX, BATCH_RELEASES_MAX, SenderRequests } from '../../../src/safety/seals/sealer/sender-requests.js'
import { Random } from '../../support/random.js'

const PAGES = 40
const DESCRIPTORS = 16
const REQUESTS = 8
const STEPS = 20_000

class World {
  readonly requests = new ArrayBuffer(sealRequestsBytes(REQUESTS))
  readonly descriptors = new ArrayBuffer(sealDescriptorsBytes(DESCRIPTORS))
  readonly words = new Int32Array(this.requests)
  readonly ring = new Int32Array(this.descriptors)
  readonly sender = new SenderRequests(this.requests, REQUESTS)
  readonly table = new SealTable(PAGES, DESCRIPTORS)
  /** What the kernel was told, page by page. */
  readonly protectedPages = new Uint8Array(PAGES)
  refuse = false
  kernelCalls = 0
  readonly engine = new SealEngine(this.table, new DescriptorWriter(this.descriptors, DESCRIPTORS, PAGES), (page, pages, protect) => {
    assert.ok(Number.isInteger(page) && Number.isInteger(pages) && page >= 0 && pages > 0 && page + pages <= PAGES, `the kernel is asked for ${page}, ${pages}`)
    this.kernelCalls++
    if (this.refuse && protect) return 14
    this.protectedPages.fill(protect ? 1 : 0, page, page + pages)
    return 0
  })

  work(): void {
    for (let batches = 0; this.sender.take(); batches++) {
      assert.ok(batches <= REQUESTS, 'a turn ends')
      this.engine.carryOut(this.sender.batch)
      this.sender.answer()
    }
    for (let page = 0; page < PAGES; page++) assert.equal(this.protectedPages[page], this.table.isSealed(page) ? 1 : 0, `page ${page}`)
  }
}

const LIKELY = [0, 1, 2, 3, PAGES - 1, PAGES, PAGES + 1, DESCRIPTORS, 0x7fff_ffff, -1, -2, 0x8000_0000 | 0]

for (const seed of [1, 2, 3, 4]) {
  test(`requests and descriptors of any words, seed ${seed}`, () => {
    const random = new Random(seed)
    const below = (limit: number): number => random.below(limit)
    const world = new World()
    for (let step = 0; step < STEPS; step++) {
      const at = REQUESTS_WORD + below(REQUESTS) * 4
      world.words[at] = below(3) === 0 ? LIKELY[below(LIKELY.length)]! : below(2) === 0 ? SEAL_REQUEST : RELEASE_REQUEST
      world.words[at + 1] = below(4) === 0 ? LIKELY[below(LIKELY.length)]! : below(PAGES)
      world.words[at + 2] = below(4) === 0 ? LIKELY[below(LIKELY.length)]! : 1 + below(4)
      world.words[at + 3] = below(4) === 0 ? LIKELY[below(LIKELY.length)]! : below(DESCRIPTORS)
      // The receiver completes, or scribbles.
      const descriptor = DESCRIPTORS_WORD + below(DESCRIPTORS) * 4
      if (below(2) === 0) world.ring[descriptor + 3] = world.ring[descriptor]!
      else if (below(8) === 0) world.ring[descriptor + below(4)] = LIKELY[below(LIKELY.length)]!
      // The count of requests: usually one more, at times any number.
      world.words[18] = below(50) === 0 ? LIKELY[below(LIKELY.length)]! : (world.sender.done + 1 + below(REQUESTS)) | 0
      world.refuse = below(20) === 0
      world.work()
    }
    assert.ok(world.table.sealed >= 0)
    world.engine.releaseAll()
    assert.ok(world.protectedPages.every((one) => one === 0))
  })
}

test('pages that the kernel does not make writable again do not keep the others from being so', () => {
  const table = new SealTable(PAGES, DESCRIPTORS)
  const asked: number[] = []
  const engine = new SealEngine(table, new DescriptorWriter(new ArrayBuffer(sealDescriptorsBytes(DESCRIPTORS)), DESCRIPTORS, PAGES), (page) => {
    asked.push(page)
    return page === 1 ? 14 : 0
  })
  for (const [descriptor, page] of [1, 4, 8].entries()) assert.equal(table.seal(descriptor, page, 1), SealOutcome.DONE)
  assert.equal(engine.releaseAll(), 14)
  assert.deepEqual(asked, [1, 4, 8])
})

test('a sender that asks for all of its heap again and again keeps the sealer from others for a moment at a time', () => {
  const [pages, count] = [1 << 20, 1 << 12]
  const requests = new Int32Array(sealRequestsBytes(count) / 4)
  const sender = new SenderRequests(requests.buffer, count)
  const table = new SealTable(pages, 2)
  table.seal(0, pages - 1, 1)
  const engine = new SealEngine(table, new DescriptorWriter(new ArrayBuffer(sealDescriptorsBytes(2)), 2, pages), () => 0)
  for (let i = 0; i < count; i++) requests.set([SEAL_REQUEST, 0, i % 4 === 0 ? 0xffff_ffff : pages, 1], REQUESTS_WORD + i * 4)
  requests[18] = count
  let [batches, looked] = [0, 0]
  while (sender.take()) {
    const { batch } = sender
    const sum = batch.pages.subarray(0, batch.length).reduce((total, one) => total + one, 0)
    assert.ok(batch.length === 1 || sum <= BATCH_PAGES_MAX, `${batch.length} requests of ${sum} pages in one batch`)
    batches++
    looked += batch.length
    if (batches < 100) engine.carryOut(batch)
    sender.answer()
  }
  assert.equal(looked, count, 'none is lost')
})

test('a batch asks the kernel a bounded number of times, however its pages are scattered', () => {
  const count = 16_384
  const [requests, ring] = [new Int32Array(sealRequestsBytes(count) / 4), new Int32Array(sealDescriptorsBytes(count) / 4)]
  const table = new SealTable(count * 2, count)
  let calls = 0
  const engine = new SealEngine(table, new DescriptorWriter(ring.buffer, count, count * 2), () => {
    calls++
    return 0
  })
  const sender = new SenderRequests(requests.buffer, count)
  const mostCalls = (code: number): number => {
    for (let i = 0; i < count; i++) requests.set([code, i * 2, 1, i], REQUESTS_WORD + i * 4)
    requests[18] = sender.done + count
    let most = 0
    while (sender.take()) {
      calls = 0
      engine.carryOut(sender.batch)
      most = Math.max(most, calls)
      sender.answer()
    }
    return most
  }
  assert.equal(mostCalls(SEAL_REQUEST), BATCH_CALLS_MAX)
  assert.equal(table.sealed, count)
  // The receiver is done with all of them.
  for (let at = DESCRIPTORS_WORD; at < DESCRIPTORS_WORD + count * 4; at += 4) ring[at + 3] = ring[at]!
  assert.equal(mostCalls(RELEASE_REQUEST), BATCH_RELEASES_MAX)
  assert.equal(table.sealed, 0)
})

test('a receiver that is lied to by an index, a page or a length verifies nothing', () => {
  const world = new World()
  const verifier = new SealVerifier(world.descriptors, DESCRIPTORS, PAGES, { now: 0, liveSince: () => true })
  world.table.seal(3, 10, 4)
  new DescriptorWriter(world.descriptors, DESCRIPTORS, PAGES).publish(3, world.table.wordOf(3), 10, 4)
  for (const index of LIKELY) {
    for (const page of LIKELY) {
      for (const pages of LIKELY) {
        const inside = index === 3 && page >= 10 && pages > 0 && page + pages <= 14
        assert.equal(verifier.verify(index, page, pages), inside, `${index}, ${page}, ${pages}`)
      }
    }
  }
  assert.ok(verifier.verify(3, 10, 4))
})

test('adjacent pages that are sealed, or released, together cost one kernel call', () => {
  const world = new World()
  const ask = (code: number, pages: readonly number[]): number => {
    const before = world.kernelCalls
    for (const [i, page] of pages.entries()) {
      const at = REQUESTS_WORD + ((world.sender.done + i) & (REQUESTS - 1)) * 4
      world.words.set([code, page, 1, i], at)
    }
    world.words[18] = (world.sender.done + pages.length) | 0
    world.work()
    return world.kernelCalls - before
  }
  const scattered = [5, 3, 4, 6]
  assert.equal(ask(SEAL_REQUEST, scattered), 1)
  assert.deepEqual([2, 3, 6, 7].map((page) => world.table.isSealed(page)), [false, true, true, false])
  for (let i = 0; i < scattered.length; i++) world.ring[DESCRIPTORS_WORD + i * 4 + 3] = world.ring[DESCRIPTORS_WORD + i * 4]!
  assert.equal(ask(RELEASE_REQUEST, scattered), 1)
  assert.equal(ask(SEAL_REQUEST, [1, 2, 9, 10]), 2)
})

test('after a restart the table is rebuilt from the descriptors, or the heap is given up', () => {
  const table = new SealTable(PAGES, DESCRIPTORS)
  assert.ok(table.restore(0, 4, 0, 0))
  assert.ok(table.restore(1, 7, 5, 3))
  assert.equal(table.restore(2, 9, 7, 1), false, 'a page that another descriptor seals')
  assert.equal(table.restore(3, 9, PAGES, 1), false, 'a page that there is not')
  assert.deepEqual([4, 5, 7, 8].map((page) => table.isSealed(page)), [false, true, true, false])
  assert.equal(table.wordOf(1), 7)
  assert.equal(table.wordOf(0), 4)
})
