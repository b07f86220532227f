// What a hostile process may send: any bytes are either a checked message or a ProtocolError, never anything else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodeHello, decodeNotice, decodeRequest, encode, type Request } from '../../src/control/protocol/messages.js'
import { ProtocolError } from '../../src/control/protocol/validate.js'
import type { HeapId } from '../../src/control/protocol/types.js'

const register: Request = { type: 'register', id: 1, channel: 'a/b', info: '{}', sharedBytes: 4096, publishedBytes: 0 }

function refuses(value: unknown, decode: (bytes: Uint8Array) => unknown = decodeRequest): void {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value))
  assert.throws(() => decode(bytes), ProtocolError, Buffer.from(bytes.slice(0, 100)).toString())
}

test('messages survive the way unchanged', () => {
  const requests: Request[] = [
    register,
    { type: 'open', id: 2, channel: 'a', heapBytes: 4096, controlBytes: 4096, info: '"\u0000ü\ud800"', timeoutMs: 1 },
    { type: 'release', heap: 2 ** 52 as HeapId, member: 1023 },
    { type: 'cancel', request: 0xffff_ffff },
  ]
  for (const request of requests) assert.deepEqual(decodeRequest(encode(request)), request)
})

test('unknown, missing, wrong and oversize fields are refused', () => {
  refuses({ ...register, extra: 1 })
  refuses({ ...register, __proto__: null, constructor: 1 })
  refuses({ ...register, type: 'constructor' })
  refuses({ ...register, type: undefined })
  refuses({ ...register, id: 0 })
  refuses({ ...register, id: 1.5 })
  refuses({ ...register, id: '1' })
  refuses({ ...register, channel: 'x'.repeat(256) })
  refuses({ ...register, channel: ['a'] })
  refuses({ ...register, info: 'x'.repeat(8193) })
  refuses({ ...register, sharedBytes: 4097 })
  refuses({ ...register, sharedBytes: 2 ** 32 + 4096 })
  refuses({ ...register, sharedBytes: -4096 })
  refuses({ type: 'register', id: 1, channel: 'a', info: '{}' })
  refuses('{"type":"ping","id":1,"__proto__":{}}')
  refuses('{"type":"ping","id":1e400}')
  for (const text of ['', 'null', '[]', '1', '"x"', '{', '{}', '[{"type":"ping","id":1}]']) refuses(text)
  refuses(new Uint8Array([0x7b, 0xff, 0x7d]))
  refuses('['.repeat(100_000))
  refuses(`{"type":"ping","id":${'['.repeat(60_000)}${']'.repeat(60_000)}}`)
})

test('a hello of another version is understood as far as its version, whatever else it says', () => {
  assert.deepEqual(decodeHello(Buffer.from('{"type":"hello","version":77,"new":{"things":[]}}')), { type: 'hello', version: 77 })
  refuses('{"type":"ping","id":1}', decodeHello)
  refuses('{"type":"hello"}', decodeHello)
})

test('random JSON and random bytes give a message or a ProtocolError', () => {
  const types = ['ping', 'register', 'open', 'accept', 'claimHeap', 'claimChannel', 'claimConnection', 'grow', 'opened', 'incoming', 'livingMembers']
  const fields = ['id', 'channel', 'info', 'heap', 'heaps', 'member', 'connection', 'end', 'address', 'byteLength', 'token', 'control', 'living']
  const value = fc.oneof(fc.json().map((text): unknown => JSON.parse(text)), fc.integer(), fc.double(), fc.string(), fc.constantFrom(null, [], {}, 4096, 'client'))
  const message = fc.tuple(fc.constantFrom(...types), fc.dictionary(fc.constantFrom(...fields), value)).map(([type, rest]) => JSON.stringify({ type, ...rest }))
  const bytes = fc.oneof(message.map((text) => Buffer.from(text)), fc.uint8Array(), fc.json().map((text) => Buffer.from(text)))
  fc.assert(fc.property(bytes, (packet) => {
    for (const decode of [decodeRequest, decodeNotice, decodeHello]) {
      try {
        decode(packet)
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error))
      }
    }
  }), { numRuns: 5000 })
})
