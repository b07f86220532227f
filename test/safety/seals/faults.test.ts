// What becomes of seals when somebody dies, forks, writes all the same, or asks for too much.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { makeAddress, PAGE_BYTES } from '../../../src/base/numbers.js'
import { releaseNow, sealNow, type SealAuthority } from '../../../src/safety/seals/authority.js'
import { runtimeDirectory } from '../../../src/control/index.js'
import { connectOrStart } from '../../../src/control/place/launch.js'
import { SealerSession } from '../../../src/safety/seals/sealer-session.js'
import { SEALER } from '../../../src/safety/seals/sealer/sealer-service.js'
import { SealClient } from '../../../src/safety/seals/seal-client.js'
import { refused } from '../../conformance/seal-authority.js'
import { Commanded, errorOf } from '../../support/ground.js'
import { isAlive } from '../../support/leaks.js'
import { PlainHeap } from '../../support/plain-heap.js'
import { writable } from '../../support/writable.js'
import { leakCheck, openUserfaultfd } from './ground.js'
import { isKnownHolder, isReplaced, serviceProcess } from './services.js'

async function actor(t: TestContext): Promise<Commanded> {
  const child = await Commanded.start('seal-actor-main.js')
  t.after(() => child.kill())
  return child
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 10) {
    assert.ok(waited < 30_000, `waited in vain for: ${what}`)
    await sleep(10)
  }
}

const seal = (authority: SealAuthority, base: number, page: number, pages = 1): number =>
  sealNow(authority, [{ address: base + page * PAGE_BYTES, byteLength: pages * PAGE_BYTES }])[0]!

test('a receiver dies holding seals: its sender gets the pages back, and is told', async (t) => {
  const check = leakCheck()
  const heap = PlainHeap.create(64)
  const client = SealClient.ofDirectory()
  const receiver = await actor(t)
  const [authority, received] = await Promise.all([
    client.attachSender({ token: heap.token, address: heap.mapping.address, byteLength: heap.byteLength }), receiver.ask('receive', heap.of),
  ])
  assert.equal(received, null)
  const index = seal(authority, heap.mapping.address, 5, 3)
  assert.equal(await receiver.ask('verify', { index, page: 5 }), true)
  assert.equal(writable(heap.mapping.address + 5 * PAGE_BYTES), false)
  // Whoever has its link to the sealer beside it is not the receiver.
  const holder = await receiver.ask('share') as number
  t.after(() => process.kill(holder))
  await receiver.kill()
  await until('the pages to come back', () => writable(heap.mapping.address + 5 * PAGE_BYTES))
  await until('the news', () => {
    try {
      authority.queueSeal(heap.mapping.address, PAGE_BYTES)
      return false
    } catch (error) {
      assert.match(String(error), /UNAVAILABLE/)
      return true
    }
  })
  authority.close()
  client.close()
  heap[Symbol.dispose]()
  await check()
})

test('a sender dies sealed: the receiver reads on what it had verified, and can complete', async (t) => {
  const heap = PlainHeap.create(64)
  const client = SealClient.ofDirectory()
  const sender = await actor(t)
  const [receiving, sent] = await Promise.all([
    client.attachReceiver({ token: heap.token, address: heap.mapping.address, byteLength: heap.byteLength, file: heap.file }), sender.ask('send', heap.of),
  ])
  assert.equal(sent, null)
  await sender.ask('write', 9)
  const index = await sender.ask('seal', 2) as number
  assert.ok(receiving.verifier.verify(index, 2, 1))
  await sender.kill()
  await sleep(50)
  assert.ok(receiving.verifier.held(index))
  assert.ok(new Uint8Array(heap.mapping.buffer, 2 * PAGE_BYTES, PAGE_BYTES).every((byte) => byte === 9))
  receiving.verifier.complete(index)
  receiving.close()
  client.close()
  heap[Symbol.dispose]()
})

test('the sealer dies and returns: no seal is lifted, none is lost, and sealing goes on', async () => {
  await using ground = await openUserfaultfd({ pages: 64, descriptors: 16 })
  const { authority, verifier, base } = ground
  const [complete, open] = [seal(authority, base, 3), seal(authority, base, 7, 2)]
  assert.ok(verifier.verify(complete, 3, 1) && verifier.verify(open, 7, 2))
  verifier.complete(complete)
  const first = serviceProcess('sealer')
  process.kill(first, 'SIGKILL')
  await until('the sealer to end', () => !isAlive(first))
  assert.deepEqual([3, 7, 8].map((page) => writable(base + page * PAGE_BYTES)), [false, false, false])
  assert.ok(verifier.held(open), 'the keeper holds it')
  authority.queueSeal(base + 20 * PAGE_BYTES, PAGE_BYTES)
  const ticket = authority.flush()
  refused(() => authority.wait(ticket), 'UNAVAILABLE', /sealer is gone/)
  await until('another sealer to seal', () => authority.isDone(ticket))
  authority.wait(ticket)
  assert.equal(writable(base + 20 * PAGE_BYTES), false)
  assert.notEqual(serviceProcess('sealer'), first)
  refused(() => releaseNow(authority, [open]), 'FAILED_PRECONDITION', /not completed/)
  releaseNow(authority, [complete])
  assert.deepEqual([3, 7].map((page) => writable(base + page * PAGE_BYTES)), [true, false])
  verifier.complete(open)
  releaseNow(authority, [open])
  assert.ok(writable(base + 7 * PAGE_BYTES))
})

test('an end that detaches while it comes back to another sealer leaves no descriptor', async () => {
  for (let pauseMs = 0; pauseMs < 160; pauseMs += 16) {
    await using ground = await openUserfaultfd({ pages: 4, descriptors: 4 })
    const sealer = serviceProcess('sealer')
    process.kill(sealer, 'SIGKILL')
    await until('the sealer to end', () => !isAlive(sealer))
    await sleep(pauseMs)
    ground.authority.close()
    // Its link stays open, so that the answer still comes.
    await sleep(200)
  }
})

test('ends that left while there was no sealer are not waited for by the next one, which waits for others', async (t) => {
  const client = SealClient.ofDirectory()
  const [awaited, left] = [PlainHeap.create(4), PlainHeap.create(4, true, makeAddress(0x4011, 0))]
  const receiver = await actor(t)
  const sending = ({ token, mapping, byteLength }: PlainHeap) => client.attachSender({ token, address: mapping.address, byteLength })
  const [waiting] = await Promise.all([sending(awaited), receiver.ask('receive', awaited.of)])
  const [authority, receiving] = await Promise.all([
    sending(left), client.attachReceiver({ token: left.token, address: left.mapping.address, byteLength: left.byteLength, file: left.file }),
  ])
  const sealer = serviceProcess('sealer')
  process.kill(receiver.pid, 'SIGSTOP')
  // Nobody hears of its death before both ends have left.
  process.kill(sealer, 'SIGKILL')
  authority.close()
  receiving.close()
  await until('another sealer', () => isReplaced('sealer', sealer))
  // Its other end is this process, which comes back, and then tells what it left.
  waiting.queueSeal(awaited.mapping.address, PAGE_BYTES)
  const ticket = waiting.flush()
  await until('this process to come back', () => waiting.isDone(ticket))
  const fd = await connectOrStart(runtimeDirectory(), () => 5000, SEALER)
  const session = await SealerSession.start(fd, { news: () => undefined, ended: () => undefined }, 5000)
  // Refused either way: a heap is attached once, and nothing was prepared here.
  const isKnown = async ({ token, mapping: { address }, byteLength }: PlainHeap): Promise<boolean> =>
    (await errorOf(session.ask({ type: 'attachSender', token, address, byteLength, descriptors: 16, requests: 16 }, 5000))).code === 'ALREADY_EXISTS'
  while (await isKnown(left)) await sleep(5)
  assert.ok(await isKnown(awaited), 'the other heap waits still for the end that does not come')
  session.close()
  process.kill(receiver.pid, 'SIGCONT')
  await receiver.kill()
  client.close()
  for (const heap of [awaited, left]) heap[Symbol.dispose]()
})

test('nobody gives up another\'s end of a heap, or comes back as it, before and after a death of the sealer', async (t) => {
  const heap = PlainHeap.create(8)
  const { token, byteLength, mapping: { address } } = heap
  const client = SealClient.ofDirectory()
  const receiver = await actor(t)
  const [authority] = await Promise.all([client.attachSender({ token, address, byteLength }), receiver.ask('receive', heap.of)])
  const index = seal(authority, address, 2)
  assert.equal(await receiver.ask('verify', { index, page: 2 }), true)
  /** By a link of its own, of the sender's process, which knows all that is said at the heap's attaching. */
  const tryIt = async (...ends: readonly ('sender' | 'receiver')[]): Promise<void> => {
    const fd = await connectOrStart(runtimeDirectory(), () => 5000, SEALER)
    const session = await SealerSession.start(fd, { news: () => undefined, ended: () => undefined }, 5000)
    for (const end of ends) {
      assert.equal((await errorOf(session.ask({ type: 'resume', token, address, end }, 5000))).code, 'PERMISSION_DENIED', end)
      await session.ask({ type: 'detach', token, address, end }, 5000)
    }
    session.close()
    assert.equal(writable(address + 2 * PAGE_BYTES), false)
  }
  await tryIt('sender', 'receiver')
  process.kill(receiver.pid, 'SIGSTOP')
  const sealer = serviceProcess('sealer')
  process.kill(sealer, 'SIGKILL')
  await until('another sealer', () => isReplaced('sealer', sealer))
  await tryIt('receiver')
  process.kill(receiver.pid, 'SIGCONT')
  const later = authority.queueSeal(address + 3 * PAGE_BYTES, PAGE_BYTES)
  const ticket = authority.flush()
  await until('this end to come back', () => authority.isDone(ticket))
  assert.equal(await receiver.ask('verify', { index: later, page: 3 }), true)
  for (const one of [index, later]) assert.equal(await receiver.ask('held', one), true)
  assert.equal(writable(address + 2 * PAGE_BYTES), false)
  client.close()
  await receiver.kill()
  heap[Symbol.dispose]()
})

test('the keeper dies: another one takes over, and then survives the sealer', async () => {
  await using ground = await openUserfaultfd({ pages: 64, descriptors: 16 })
  const { authority, verifier, base } = ground
  const index = seal(authority, base, 1)
  assert.ok(verifier.verify(index, 1, 1))
  const keeper = serviceProcess('keeper')
  process.kill(keeper, 'SIGKILL')
  await until('the keeper to end', () => !isAlive(keeper))
  assert.ok(verifier.held(index), 'the sealer holds it')
  await until('another keeper to hold the seals, and the receiver to know it', () => isKnownHolder('keeper'))
  const later = seal(authority, base, 2)
  assert.ok(verifier.verify(later, 2, 1))
  const sealer = serviceProcess('sealer')
  process.kill(sealer, 'SIGKILL')
  await until('the sealer to end', () => !isAlive(sealer))
  assert.ok(verifier.held(later), 'a seal that the new keeper held from its start')
  assert.ok(verifier.held(index), 'the sealer held this one until the new keeper did')
  assert.deepEqual([1, 2].map((page) => writable(base + page * PAGE_BYTES)), [false, false])
})

test('keeper and sealer die by turns during one call: somebody held its seal all the time', async () => {
  await using ground = await openUserfaultfd({ pages: 64, descriptors: 16 })
  const { authority, verifier, base } = ground
  const index = seal(authority, base, 1)
  assert.ok(verifier.verify(index, 1, 1))
  for (const name of ['sealer', 'keeper', 'sealer'] as const) {
    const pid = serviceProcess(name)
    process.kill(pid, 'SIGKILL')
    await until(`the ${name} to end`, () => !isAlive(pid))
    assert.ok(verifier.held(index), `the ${name} died`)
    await until('both to hold the seals, and the receiver to know it', () => isKnownHolder('sealer') && isKnownHolder('keeper'))
    assert.ok(verifier.held(index), `another ${name} came`)
    assert.equal(writable(base + PAGE_BYTES), false)
  }
})

test('sealer and keeper die: seals are lifted, and a receiver that asks after its handler knows', async () => {
  await using ground = await openUserfaultfd({ pages: 64, descriptors: 16 })
  const { authority, verifier, base } = ground
  const index = seal(authority, base, 1)
  assert.ok(verifier.verify(index, 1, 1))
  for (const pid of [serviceProcess('keeper'), serviceProcess('sealer')]) process.kill(pid, 'SIGKILL')
  await until('the seals to be lifted', () => writable(base + PAGE_BYTES))
  assert.equal(verifier.held(index), false)
})

test('a thread that writes during the seal waits until the release', async (t) => {
  await using ground = await openUserfaultfd({ pages: 8, descriptors: 4 })
  const { authority, verifier, base, of } = ground
  ground.memory[PAGE_BYTES] = 1
  const index = seal(authority, base, 1)
  const messages: unknown[] = []
  const writer = new Worker(new URL('../../support/seal-writer-main.js', import.meta.url), { workerData: { of, page: 1 } })
  t.after(() => writer.terminate())
  writer.on('message', (message) => messages.push(message))
  await until('the thread to store', () => messages.length > 0)
  await sleep(100)
  assert.deepEqual(messages, ['storing'])
  assert.equal(ground.memory[PAGE_BYTES], 1)
  assert.ok(verifier.verify(index, 1, 1) && verifier.held(index))
  verifier.complete(index)
  releaseNow(authority, [index])
  await until('the store to come through', () => messages.length === 2)
  assert.equal(ground.memory[PAGE_BYTES], 77)
  if (writer.threadId !== -1) await once(writer, 'exit')
})

test('a sender that starts other programs while it is sealed neither waits nor loses its seals', async () => {
  await using ground = await openUserfaultfd({ pages: 8, descriptors: 4 })
  const { authority, verifier, base } = ground
  const index = seal(authority, base, 0)
  for (let i = 0; i < 20; i++) assert.equal(spawnSync('true').status, 0)
  assert.ok(verifier.verify(index, 0, 1) && verifier.held(index))
  assert.equal(writable(base), false)
  seal(authority, base, 3)
})

test('100,000 seals in flight', async () => {
  const count = 100_000
  await using ground = await openUserfaultfd({ pages: count, descriptors: 1 << 17 })
  const { authority, verifier, base } = ground
  const indexes: number[] = []
  for (let start = 0; start < count; start += 4000) {
    for (let page = start; page < start + 4000; page++) indexes.push(authority.queueSeal(base + page * PAGE_BYTES, PAGE_BYTES))
    authority.wait(authority.flush())
  }
  assert.equal(authority.inFlight, count)
  for (let page = 0; page < count; page += 997) assert.equal(writable(base + page * PAGE_BYTES), false)
  // Each is known by its own number.
  for (const page of [0, 65_535, count - 1]) refused(() => seal(authority, base, page), 'ABORTED')
  for (const [page, index] of indexes.entries()) {
    if (!verifier.verify(index, page, 1)) assert.fail(`seal ${index} of page ${page} is missing`)
    verifier.complete(index)
  }
  for (let start = 0; start < count; start += 4000) {
    for (const index of indexes.slice(start, start + 4000)) authority.queueRelease(index)
    authority.wait(authority.flush())
  }
  assert.equal(authority.inFlight, 0)
  for (let page = 0; page < count; page += 997) assert.ok(writable(base + page * PAGE_BYTES))
})

test('an end whose other end never comes is told so', async () => {
  const heap = PlainHeap.create(8)
  const client = SealClient.ofDirectory()
  await assert.rejects(client.attachSender({ token: heap.token, address: heap.mapping.address, byteLength: heap.byteLength }), /DEADLINE_EXCEEDED.*other end/)
  client.close()
  heap[Symbol.dispose]()
})

test('a heap whose file was made final is sealed with that hole named', async () => {
  const heap = PlainHeap.create(8, false)
  const [sending, receiving] = [SealClient.ofDirectory(), SealClient.ofDirectory()]
  const named = { token: heap.token, address: heap.mapping.address, byteLength: heap.byteLength }
  const [authority] = await Promise.all([sending.attachSender(named), receiving.attachReceiver({ ...named, file: heap.file })])
  assert.ok(authority.strength.except.includes('open-file'))
  sending.close()
  receiving.close()
  heap[Symbol.dispose]()
})
