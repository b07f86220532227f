// Who does not read what the sealer sends gets, when he reads at last, the files that he was meant to have: not those that took their numbers.
import assert from 'node:assert/strict'
import { fstatSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { runtimeDirectory } from '../../src/control/index.js'
import { encodeMessage } from '../../src/control/protocol/messages.js'
import { connectOrStart } from '../../src/control/place/launch.js'
import { sealDescriptorsBytes } from '../../src/layout/seal-layout.js'
import { SealClient } from '../../src/safety/seals/seal-client.js'
import { SEALER_VERSION, type SealerRequest } from '../../src/safety/seals/messages.js'
import { SEALER } from '../../src/safety/seals/sealer/sealer-service.js'
import { addon, receivePacket, sendPacket } from '../../src/sys/index.js'
import { openUserfaultfd } from '../safety/seals/ground.js'
import { PlainHeap } from '../support/plain-heap.js'

/** More answers than a socket holds that nobody reads, and fewer than the sealer keeps. */
const QUESTIONS = 2000
const PAGES = 16
const DESCRIPTORS = 256

test('an end that does not read', async () => {
  const fd = await connectOrStart(runtimeDirectory(), () => 5000, SEALER)
  using _link = { [Symbol.dispose]: () => addon.closeFd(fd) }
  const say = async (request: SealerRequest, fds: readonly number[] = []): Promise<void> => {
    while (!sendPacket(fd, encodeMessage(request), fds)) await sleep(1)
  }
  await say({ type: 'hello', version: SEALER_VERSION })
  const heap = PlainHeap.create(PAGES)
  const sending = SealClient.ofDirectory()
  const named = { token: heap.token, address: heap.mapping.address, byteLength: PAGES * PAGE_BYTES }
  for (let id = 1; id <= QUESTIONS; id++) await say({ type: 'detach', id, token: '0'.repeat(32), address: named.address, end: 'sender' })
  await say({ type: 'attachReceiver', id: QUESTIONS + 1, ...named }, [heap.file])
  const authority = await sending.attachSender({ ...named, descriptors: DESCRIPTORS })
  await say({ type: 'detach', id: QUESTIONS + 2, token: named.token, address: named.address, end: 'receiver' })
  const isOver = (): boolean => {
    try {
      authority.isDone(authority.flush())
      authority.queueSeal(named.address, PAGE_BYTES)
      return false
    } catch {
      return true
    }
  }
  while (!isOver()) await sleep(5)
  authority.close()
  sending.close()
  heap[Symbol.dispose]()
  // Somebody else's heap takes the numbers that have become free.
  await using _others = await openUserfaultfd({ pages: PAGES, descriptors: 2 * DESCRIPTORS })
  let received: readonly number[] = []
  for (let answers = 0; answers < QUESTIONS + 2;) {
    const packet = receivePacket(fd)
    if (packet === undefined) await sleep(1)
    else if (packet.fds.length > 0) received = packet.fds
    if (packet !== undefined) answers++
    assert.notEqual(packet?.bytes.length, 0, 'the sealer did not drop the link')
  }
  const [name, size] = [readlinkSync(`/proc/self/fd/${received[0]!}`), fstatSync(received[0]!).size]
  for (const one of received) addon.closeFd(one)
  assert.equal(name, '/memfd:rpcool:seal-descriptors (deleted)')
  assert.equal(size, sealDescriptorsBytes(DESCRIPTORS), 'the file is of this heap, not of another')
})
