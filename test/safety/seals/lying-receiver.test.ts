// A receiver can write its sender's descriptors, and leave at any moment: what it says costs its sender these seals, and never its process.
import assert from 'node:assert/strict'
import { closeSync, openSync, writeSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { PAGE_BYTES } from '../../../src/base/numbers.js'
import { DESCRIPTORS_BROKEN_WORD } from '../../../src/layout/seal-layout.js'
import { Heap, HeapSet, PageHeap } from '../../../src/memory/index.js'
import { sealNow } from '../../../src/safety/seals/authority.js'
import { ArgumentSeals } from '../../../src/safety/index.js'
import { SealClient } from '../../../src/safety/seals/seal-client.js'
import { HEAPS_BASE } from '../../../src/sys/index.js'
import { mappingsOf } from '../../hostile/mutation/scribblers.js'
import { refused } from '../../conformance/seal-authority.js'
import { PlainHeap } from '../../support/plain-heap.js'
import { writable } from '../../support/writable.js'
import { serviceProcess } from './services.js'

/** Longer than answered seals wait for their release. */
const LATER_MS = 80

function scribble(word: number): void {
  const fd = openSync('/proc/self/mem', 'r+')
  for (const { address } of mappingsOf('seal-descriptors')) writeSync(fd, new Uint8Array([1]), 0, 1, address + word * 4)
  closeSync(fd)
}

for (const lie of ['says that the seals are broken', 'leaves the sealer'] as const) {
  test(`a receiver that ${lie} while releases wait: pages come back, later seals are refused, nobody dies`, async () => {
    using heap = PlainHeap.create(16)
    using sending = SealClient.ofDirectory()
    using receiving = SealClient.ofDirectory()
    const named = { token: heap.token, address: heap.mapping.address, byteLength: heap.byteLength }
    const [authority, received] = await Promise.all([sending.attachSender({ ...named, descriptors: 8 }), receiving.attachReceiver({ ...named, file: heap.file })])
    const set = new HeapSet((space) => new Heap(new ArrayBuffer(1 << 20), HEAPS_BASE, 1, space))
    const seals = new ArgumentSeals(authority, new PageHeap(heap.mapping.buffer, heap.mapping.address, set), 0)
    const scope = seals.take()
    scope.allocate(100)
    const argument = seals.argument(scope, true)
    seals.ask(argument)
    assert.equal(seals.wait(seals.flush()), undefined)
    const address = scope.firstRegion.addressOf(scope.firstWord)
    assert.ok(received.verifier.verify(argument.index, (address - heap.mapping.address) / PAGE_BYTES, 1))
    assert.equal(writable(address), false)
    received.verifier.complete(argument.index)
    if (lie === 'leaves the sealer') received.close()
    else scribble(DESCRIPTORS_BROKEN_WORD)
    argument.end()
    // A throw in a timer would end this process here.
    await sleep(LATER_MS)
    assert.ok(writable(address), 'the page is back')
    refused(() => authority.queueSeal(address, PAGE_BYTES), lie === 'leaves the sealer' ? 'UNAVAILABLE' : 'FAILED_PRECONDITION')
    seals.close()
  })
}

test('what a receiver wrote makes no sense to the next sealer: its sender gets the pages back, and its seals count no more', async () => {
  using heap = PlainHeap.create(16)
  using sending = SealClient.ofDirectory()
  using receiving = SealClient.ofDirectory()
  const named = { token: heap.token, address: heap.mapping.address, byteLength: heap.byteLength }
  const [authority, received] = await Promise.all([sending.attachSender({ ...named, descriptors: 8 }), receiving.attachReceiver({ ...named, file: heap.file })])
  const [index] = sealNow(authority, [{ address: named.address, byteLength: PAGE_BYTES }])
  assert.ok(received.verifier.verify(index!, 0, 1) && received.verifier.held(index!))
  assert.equal(writable(named.address), false)
  scribble(0)
  process.kill(serviceProcess('sealer'), 'SIGKILL')
  for (let waited = 0; !writable(named.address); waited += 10) {
    assert.ok(waited < 3000, 'the page is not back')
    await sleep(10)
  }
  assert.equal(received.verifier.held(index!), false)
})
