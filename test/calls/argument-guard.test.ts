// What a handler is told of its argument, where the client rewrites its request while the server reads it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArgumentGuard } from '../../src/calls/server/argument-guard.js'
import { type CallHost, ServerCall } from '../../src/calls/server/server-call.js'
import type { ServerMethod } from '../../src/calls/service/method.js'
import { makeAddress } from '../../src/base/numbers.js'
import { Request, Slot, slotWord } from '../../src/layout/control-layout.js'
import { Heap, HeapSet, Region } from '../../src/memory/index.js'
import type { SealReader } from '../../src/safety/index.js'
import { cellOf, u32 } from '../../src/objects/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'

const [HIGH, FIRST, SECOND] = [0x4000, 0x1000, 0x9000]

test('the scope of a sealed argument is the range that was verified, not what the request says when it is read again', () => {
  const heaps = new HeapSet((space) => new Heap(new ArrayBuffer(1 << 18), HEAPS_BASE, 1, space))
  const guard = new ArgumentGuard(heaps, 2, undefined)
  const verified = Region.within(heaps.region)
  const seals: Pick<SealReader, 'take'> = {
    take: (_index, low, high, used) => {
      verified.aim(0, used >>> 2, high, low)
      return { region: verified } as ReturnType<SealReader['take']>
    },
  }
  guard.seals = seals as SealReader
  const words = new Int32Array(slotWord(1))
  const scopeAt = slotWord(0) + Slot.SCOPE
  words.set([FIRST, HIGH, 64], scopeAt)
  let looks = 0
  const shared = new Proxy(words, {
    get: (target, key) => {
      if (key === String(scopeAt)) words[scopeAt] = looks++ === 0 ? FIRST : SECOND
      return Reflect.get(target, key, target) as unknown
    },
  })
  const request = Request.HAS_SEAL | Request.HAS_SCOPE
  const call = new ServerCall({} as CallHost, 'sealed', 0, shared, request)
  guard.read({ argument: { cell: cellOf(u32) }, isolation: 'seal' } as unknown as ServerMethod, shared, slotWord(0), 0, request, 0, 0, call)
  assert.deepEqual([call.isSealed, call.scope], [true, { address: makeAddress(HIGH, verified.low), byteLength: 64 }])
})
