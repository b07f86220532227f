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

  say(notice: SealerNotice, fds: readonly number[] = []): void {
    sendPacket(this.#fd!, encodeMessage(notice), fds)
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
