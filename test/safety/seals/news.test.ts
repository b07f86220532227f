// What a sealer says right behind its answer, to somebody who hears both in one turn: it is about what the answer brings.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeAddress } from '../../../src/base/numbers.js'
import { encodeMessage } from '../../../src/control/protocol/messages.js'
import { sealDescriptorsBytes, sealRequestsBytes } from '../../../src/layout/seal-layout.js'
import { DescriptorWriter } from '../../../src/safety/seals/descriptors.js'
import { Life } from '../../../src/safety/seals/life.js'
import { decodeSealerRequest, SEALER_VERSION, type SealerNotice, type SealerRequest } from '../../../src/safety/seals/messages.js'
import { SealClient } from '../../../src/safety/seals/seal-client.js'
import { SenderRequests } from '../../../src/safety/seals/sealer/sender-requests.js'
import { acceptUnix, addon, connectUnix, createMemoryFile, listenUnix, Mapping, receivePacket, sendPacket } from '../../../src/sys/index.js'
import { PlainHeap } from '../../support/plain-heap.js'
import { errorOf } from '../../support/ground.js'

const PAGES = 16
const ADDRESS = makeAddress(0x4020, 0)
const DESCRIPTORS = 16
const TOKEN = '0123456789abcdef0123456789abcdef'

function descriptorsFile(): number {
  return made('ring', sealDescriptorsBytes(DESCRIPTORS), (buffer) => new DescriptorWriter(buffer, DESCRIPTORS, PAGES))
}

function requestsFile(): number {
  return made('requests', sealRequestsBytes(DESCRIPTORS), (buffer) => new SenderRequests(buffer, DESCRIPTORS))
}

function made(name: string, byteLength: number, fill: (buffer: ArrayBuffer) => unknown): number {
  const file = createMemoryFile(name, byteLength)
  const mapping = Mapping.mapLocal(file, byteLength)
  fill(mapping.buffer)
  mapping.unmap()
  return file
}

/** A sealer that says what the test has it say. */
class Said {
  readonly client: SealClient
  readonly #listening: number
  #fd: number | undefined

  constructor(t: TestContext) {
    const directory = mkdtempSync(join(tmpdir(), 'rpcool-news-'))
    const path = join(directory, 'sealer')
    this.#listening = listenUnix(path, 'packets', 4)
    this.client = new SealClient(() => Promise.resolve(connectUnix(path, 'packets')))
    t.after(() => {
      this.client.close()
      for (const fd of [this.#listening, this.#fd]) if (fd !== undefined) addon.closeFd(fd)
      rmSync(directory, { recursive: true, force: true })
    })
  }

  async heard(): Promise<SealerRequest> {
    while ((this.#fd ??= acceptUnix(this.#listening)) === undefined) await sleep(1)
    for (;;) {
      const packet = receivePacket(this.#fd)
      for (const fd of packet?.fds ?? []) addon.closeFd(fd)
      if (packet !== undefined) return decodeSealerRequest(packet.bytes)
      await sleep(1)
    }
  }

  /** The request of this kind that comes next, which it must be; its number. */
  async asked(type: SealerRequest['type']): Promise<number> {
    const request = await this.heard()
    assert.equal(request.type, type)
    return 'id' in request ? request.id : 0
  }

  say(notice: SealerNotice, fds: readonly number[] = []): void {
    sendPacket(this.#fd!, encodeMessage(notice), fds)
  }

  /** Dies, as far as others can see; who comes again finds another one. */
  die(): void {
    addon.closeFd(this.#fd!)
    this.#fd = undefined
  }

  async greet(): Promise<void> {
    assert.equal((await this.heard()).type, 'hello')
    this.say({ type: 'welcome', version: SEALER_VERSION, pid: process.pid })
  }
}

test('a keeper that takes hold of the seals in the moment in which a receiver attaches counts for it', async (t) => {
  const sealer = new Said(t)
  const heap = PlainHeap.create(PAGES, true, ADDRESS)
  const ring = descriptorsFile()
  // Nobody's life: who counts only this one has no seal that held.
  const [dead, living] = [createMemoryFile('life', 4096, true), new Life().open()]
  t.after(() => {
    heap[Symbol.dispose]()
    for (const fd of [ring, dead, living]) addon.closeFd(fd)
  })
  const receiving = sealer.client.attachReceiver({ token: TOKEN, address: ADDRESS, byteLength: heap.byteLength, file: heap.file })
  await sealer.greet()
  const request = await sealer.heard()
  assert.equal(request.type, 'attachReceiver')
  sealer.say({ type: 'receiving', id: 'id' in request ? request.id : 0, except: [], descriptors: DESCRIPTORS, holders: 1 }, [ring, dead])
  sealer.say({ type: 'holder' }, [living])
  const { verifier } = await receiving
  await sleep(1)
  const { holders } = verifier
  assert.equal(holders.liveSince(holders.now), true)
})

test('a keeper counts for those heaps only that its sealer has: what no sealer took over nobody holds', async (t) => {
  const sealer = new Said(t)
  const heaps = [ADDRESS, makeAddress(0x4021, 0)].map((address) => PlainHeap.create(PAGES, true, address))
  const ring = descriptorsFile()
  const [dead, living] = [createMemoryFile('life', 4096, true), new Life().open()]
  t.after(() => {
    for (const heap of heaps) heap[Symbol.dispose]()
    for (const fd of [ring, dead, living]) addon.closeFd(fd)
  })
  const receive = ({ mapping: { address }, byteLength, file }: PlainHeap) => sealer.client.attachReceiver({ token: TOKEN, address, byteLength, file })
  const attach = async (): Promise<void> => {
    sealer.say({ type: 'receiving', id: await sealer.asked('attachReceiver'), except: [], descriptors: DESCRIPTORS, holders: 1 }, [ring, dead])
  }
  const [first] = await Promise.all([receive(heaps[0]!), sealer.greet().then(attach)])
  sealer.die()
  await sealer.greet()
  sealer.say({ type: 'error', id: await sealer.asked('resume'), code: 'NOT_FOUND', message: 'no seals of this heap were kept' })
  const [second] = await Promise.all([receive(heaps[1]!), attach()])
  sealer.say({ type: 'holder' }, [living])
  const counts = ({ verifier: { holders } }: typeof first): boolean => holders.liveSince(holders.now)
  while (!counts(second)) await sleep(1)
  assert.equal(counts(first), false)
})

test('an end whose sealer dies right behind its answer comes back to the next one', async (t) => {
  const sealer = new Said(t)
  const heap = PlainHeap.create(PAGES, true, ADDRESS)
  const [ring, dead] = [descriptorsFile(), createMemoryFile('life', 4096, true)]
  t.after(() => {
    heap[Symbol.dispose]()
    for (const fd of [ring, dead]) addon.closeFd(fd)
  })
  const receiving = sealer.client.attachReceiver({ token: TOKEN, address: ADDRESS, byteLength: heap.byteLength, file: heap.file })
  await sealer.greet()
  sealer.say({ type: 'receiving', id: await sealer.asked('attachReceiver'), except: [], descriptors: DESCRIPTORS, holders: 1 }, [ring, dead])
  sealer.die()
  await receiving
  await sealer.greet()
  await sealer.asked('resume')
})

test('a sender whose receiver has gone in the moment in which it attaches is told so', async (t) => {
  const sealer = new Said(t)
  const heap = PlainHeap.create(PAGES, true, ADDRESS)
  const [requests, ring, bell] = [requestsFile(), descriptorsFile(), addon.createBell()]
  t.after(() => {
    heap[Symbol.dispose]()
    for (const fd of [requests, ring, bell]) addon.closeFd(fd)
  })
  const sending = sealer.client.attachSender({ token: TOKEN, address: ADDRESS, byteLength: heap.byteLength, descriptors: DESCRIPTORS, requests: DESCRIPTORS })
  await sealer.greet()
  const device = await sealer.heard()
  sealer.say({ type: 'device', id: 'id' in device ? device.id : 0, granted: 'none' })
  const request = await sealer.heard()
  assert.equal(request.type, 'attachSender')
  sealer.say({ type: 'sending', id: 'id' in request ? request.id : 0, except: [] }, [requests, ring, bell])
  sealer.say({ type: 'ended', token: TOKEN, address: ADDRESS })
  const authority = await sending
  await sleep(1)
  assert.equal((await errorOf(() => authority.queueSeal(ADDRESS, 4096))).code, 'UNAVAILABLE')
  authority.close()
})
