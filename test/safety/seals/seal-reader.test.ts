// What a server makes of the seals that a client claims: every number of a request may be a lie.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressHigh, addressLow, PAGE_BYTES } from '../../../src/base/numbers.js'
import { u32 } from '../../../src/index.js'
import { clientMethod } from '../../../src/calls/service/method.js'
import { connect, serve } from '../../../src/index.js'
import { Region } from '../../../src/memory/index.js'
import { releaseNow, sealNow } from '../../../src/safety/seals/authority.js'
import { SealReader } from '../../../src/safety/seals/receiver/seal-reader.js'
import type { SealGround } from '../../conformance/seal-authority.js'
import { refused } from '../../conformance/seal-authority.js'
import { errorOf } from '../../support/ground.js'
import { Paper, SealedService } from '../../support/sealed-service.js'
import { openCooperative } from './ground.js'

const PAGES = 16

interface Reading {
  readonly ground: SealGround
  readonly reader: SealReader
  /** Takes `used` bytes from a byte of the pages on. */
  readonly take: (index: number, from: number, used: number) => ReturnType<SealReader['take']>
  readonly seal: (page: number, pages: number) => number
}

async function reading(): Promise<Reading> {
  const ground = await openCooperative({ pages: PAGES, descriptors: 8 })
  const { authority, verifier, base, memory } = ground
  const region = new Region(memory.buffer as ArrayBuffer, base)
  const reader = new SealReader(verifier, region, authority.strength)
  return {
    ground, reader,
    take: (index, from, used) => reader.take(index, addressLow(base) + from, addressHigh(base), used),
    seal: (page, pages) => sealNow(authority, [{ address: base + page * PAGE_BYTES, byteLength: pages * PAGE_BYTES }])[0]!,
  }
}

test('a sealed range is taken once, reaches nothing else, and reaches nothing at all after its call', async () => {
  const { ground, take, seal } = await reading()
  await using _ = ground
  const index = seal(2, 2)
  const sealed = take(index, 2 * PAGE_BYTES, PAGE_BYTES + 8)
  assert.equal(sealed.region.words, (PAGE_BYTES + 8) / 4)
  assert.equal(sealed.region.readOnly, true)
  assert.equal(sealed.region.resolve(addressHigh(ground.base), addressLow(ground.base) + 4 * PAGE_BYTES, 1), -1)
  refused(() => take(index, 2 * PAGE_BYTES, 8), 'FAILED_PRECONDITION', /used by a call before/)
  assert.equal(sealed.release(), true)
  assert.equal(sealed.region.words, 0)
  assert.equal(sealed.release(), true, 'twice is once')
  refused(() => take(index, 2 * PAGE_BYTES, 8), 'FAILED_PRECONDITION', /used by a call before/)
  releaseNow(ground.authority, [index])
  refused(() => take(index, 2 * PAGE_BYTES, 8), 'FAILED_PRECONDITION', /descriptor \d seals other pages, or none/)
})

test('ranges that are not sealed, or lie nowhere, and descriptors that do not exist are refused; the seal is whose it was', async () => {
  const { ground, take, seal, reader } = await reading()
  await using _ = ground
  const index = seal(2, 2)
  for (const [from, used] of [[1 * PAGE_BYTES, 8], [2 * PAGE_BYTES, 2 * PAGE_BYTES + 8], [3 * PAGE_BYTES, PAGE_BYTES + 8], [0, PAGES * PAGE_BYTES]] as const) {
    refused(() => take(index, from, used), 'FAILED_PRECONDITION', /seals other pages/)
  }
  for (const [from, used] of [[-PAGE_BYTES, 8], [PAGES * PAGE_BYTES, 8], [2 * PAGE_BYTES, 0], [2 * PAGE_BYTES, 0xffff_ffff], [2 * PAGE_BYTES + 4, 8], [15 * PAGE_BYTES, 2 * PAGE_BYTES]] as const) {
    refused(() => take(index, from, used), 'FAILED_PRECONDITION', /does not lie in the connection's memory for sealed arguments.*createScope/)
  }
  for (const other of [index + 1, 8, 0xffff_ffff]) refused(() => take(other, 2 * PAGE_BYTES, 8), 'FAILED_PRECONDITION', /seals other pages, or none/)
  reader.dismiss(0xffff_ffff)
  assert.equal(take(index, 2 * PAGE_BYTES, 8).release(), true)
  releaseNow(ground.authority, [index])
})

test('a seal that is given back without a call is complete, and serves no call', async () => {
  const { ground, take, seal, reader } = await reading()
  await using _ = ground
  const index = seal(5, 1)
  reader.dismiss(index)
  reader.dismiss(index)
  refused(() => take(index, 5 * PAGE_BYTES, 8), 'FAILED_PRECONDITION', /used by a call before/)
  releaseNow(ground.authority, [index])
})

test('a client that lies about its service and does not seal is refused by the server, at the call', async () => {
  await using server = await serve(`sealed/${process.pid}/lies`, SealedService, { read: ({ value }) => value, hold: () => '' })
  await using conn = await connect(server.channel, SealedService)
  const open = clientMethod({ id: 1, argument: Paper, result: u32, isolation: 'none' }, 'read')
  const error = await errorOf(conn.end.call(open, { value: 1, body: 'text' }))
  assert.match(error.message, /FAILED_PRECONDITION: read demands that its argument is sealed, and this one is not/)
  assert.equal(await conn.read({ value: 1, body: 'text' }), 1)
})
