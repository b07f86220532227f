// A sealer with more heaps than its queue to the keeper takes: a new keeper is told of all of them as it reads, and nobody is told that it
// holds what has not left yet.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { keeperSocket } from '../../../src/control/place/runtime-directory.js'
import { OUTBOX_MESSAGES_MAX } from '../../../src/control/protocol/limits.js'
import { encodeMessage } from '../../../src/control/protocol/messages.js'
import { KeeperLink } from '../../../src/safety/seals/sealer/keeper-link.js'
import { Sealer } from '../../../src/safety/seals/sealer/sealer.js'
import { decodeKeeperMessage, heapKey, type KeptHeap } from '../../../src/safety/seals/messages.js'
import { acceptUnix, addon, createMemoryFile, HEAPS_BASE, listenUnix, receivePacket, sendPacket } from '../../../src/sys/index.js'

const HEAPS = OUTBOX_MESSAGES_MAX + 500

/** A keeper that reads only when it is told to. */
class SlowKeeper {
  readonly kept = new Set<string>()
  readonly #listening: number
  #fd: number | undefined

  constructor(directory: string) {
    this.#listening = listenUnix(keeperSocket(directory), 'packets', 4)
  }

  async greet(life: number): Promise<void> {
    while ((this.#fd = acceptUnix(this.#listening)) === undefined) await sleep(1)
    let packet
    while ((packet = receivePacket(this.#fd)) === undefined) await sleep(1)
    assert.equal(decodeKeeperMessage(packet.bytes).type, 'list')
    sendPacket(this.#fd, encodeMessage({ type: 'end' }), [life])
  }

  /** Takes what has arrived; returns how much it was. */
  read(): number {
    let count = 0
    for (let packet = receivePacket(this.#fd!); packet !== undefined && packet.bytes.length > 0; packet = receivePacket(this.#fd!), count++) {
      for (const fd of packet.fds) addon.closeFd(fd)
      const message = decodeKeeperMessage(packet.bytes)
      if (message.type === 'keep') {
        assert.equal(packet.fds.length, 3)
        this.kept.add(message.key)
      } else if (message.type === 'forget') {
        this.kept.delete(message.key)
      }
    }
    return count
  }

  /** Dies, as far as its sealer can see, and listens for the next one. */
  hangUp(): void {
    if (this.#fd !== undefined) addon.closeFd(this.#fd)
    this.#fd = undefined
  }

  close(): void {
    this.hangUp()
    addon.closeFd(this.#listening)
  }
}

async function linked(t: TestContext): Promise<{ keeper: SlowKeeper, link: KeeperLink, file: number, isLost: () => boolean }> {
  const directory = mkdtempSync(join(tmpdir(), 'rpcool-keeper-'))
  const keeper = new SlowKeeper(directory)
  const file = createMemoryFile('kept', 4096)
  let lost = false
  const [{ link }] = await Promise.all([KeeperLink.open(directory, () => (lost = true)), keeper.greet(file)])
  t.after(() => {
    link.close()
    keeper.close()
    addon.closeFd(file)
    rmSync(directory, { recursive: true, force: true })
  })
  return { keeper, link, file, isLost: () => lost }
}

function heapOf(i: number, file: number): { key: string, kept: KeptHeap, files: { userfault: number, requests: number, descriptors: number } } {
  const named = { token: i.toString(16).padStart(32, '0'), address: HEAPS_BASE }
  const kept: KeptHeap = { type: 'heap', ...named, byteLength: 4096, descriptors: 16, requests: 16, except: [], events: 'yes', confined: 'no', broken: 'no', senderPid: 1, receiverPid: 2 }
  return { key: heapKey(named), kept, files: { userfault: file, requests: file, descriptors: file } }
}

test('a new keeper is told of more heaps than a queue takes, as it reads; what ended meanwhile is left out', async (t) => {
  const { keeper, link, file, isLost } = await linked(t)
  const heaps = Array.from({ length: HEAPS }, (_, i) => heapOf(i, file))
  const places = new Map(heaps.map((heap, i) => [heap, i]))
  let [told, gone] = [false, heaps.length]
  const telling = link.keepAll(heaps, (heap) => places.get(heap)! < gone).then(() => (told = true))
  await sleep(50)
  assert.ok(!told, 'nobody may be told yet that this keeper holds them')
  assert.ok(link.holds(heaps[0]!.key) && !link.holds(heaps.at(-1)!.key), 'what has not left it does not hold')
  gone = HEAPS - 10
  for (let waited = 0; !told && waited < 20_000; waited++) {
    keeper.read()
    await sleep(1)
  }
  await telling
  keeper.read()
  assert.ok(!isLost())
  assert.equal(keeper.kept.size, HEAPS - 10)
  assert.ok(link.holds(heaps[HEAPS - 11]!.key) && !link.holds(heaps.at(-1)!.key))
})

test('more heaps than a queue takes end at once: the keeper forgets each, and what comes again is kept', async (t) => {
  const { keeper, link, file, isLost } = await linked(t)
  for (let i = 0; i < 20; i++) void link.keep(heapOf(i, file).key, heapOf(i, file).kept, heapOf(i, file).files)
  for (let i = 0; i < HEAPS; i++) link.forget(heapOf(i, file).key)
  const { key, kept, files } = heapOf(HEAPS - 1, file)
  await sleep(10)
  const again = link.keep(key, kept, files)
  assert.equal(link.holds(heapOf(16, file).key), false)
  for (let idle = 0; idle < 20; idle++) {
    if (keeper.read() > 0) idle = 0
    await sleep(1)
  }
  await again
  assert.ok(!isLost())
  assert.deepEqual([...keeper.kept], [key])
  assert.ok(link.holds(key))
})

test('a heap that is kept again and ends again, before the keeper reads, is forgotten', async (t) => {
  const { keeper, link, file } = await linked(t)
  const { key, kept, files } = heapOf(100, file)
  // The queue is full of these; the next comes to its turn later.
  for (let i = 0; i < HEAPS; i++) link.forget(heapOf(i, file).key)
  for (let i = 0; i < 2; i++) {
    void link.keep(key, kept, files)
    link.forget(key)
    await sleep(1)
  }
  for (let idle = 0; idle < 20; idle++) {
    if (keeper.read() > 0) idle = 0
    await sleep(1)
  }
  assert.equal(keeper.kept.size, 0)
  assert.ok(!link.holds(key))
})

test('nobody is told that a keeper holds what it had not read when it died', async (t) => {
  const { keeper, link, file, isLost } = await linked(t)
  const telling = link.keepAll(Array.from({ length: 2000 }, (_, i) => heapOf(i, file)), () => true)
  await sleep(10)
  keeper.hangUp()
  assert.equal(await telling, false)
  assert.ok(isLost() && !link.isOpen)
})

test('a keeper that dies as soon as it has answered is replaced, by the first sealer and by one that looked for another', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'rpcool-keeper-'))
  const keeper = new SlowKeeper(directory)
  const file = createMemoryFile('kept', 4096)
  const descriptors = (): number => readdirSync('/proc/self/fd').length
  const before = descriptors()
  const starting = Sealer.start({ directory, idleMs: 60_000, users: new Set(), onEnd: () => undefined })
  for (let death = 0; death < 2; death++) {
    await keeper.greet(file)
    keeper.hangUp()
  }
  await keeper.greet(file)
  const sealer = await starting
  t.after(() => {
    addon.closeFd(file)
    rmSync(directory, { recursive: true, force: true })
  })
  await sleep(20)
  sealer!.stop()
  keeper.close()
  await sleep(20)
  // The sealer's own life ends with its process.
  assert.ok(descriptors() <= before, `${descriptors()} descriptors, ${before} before`)
})
