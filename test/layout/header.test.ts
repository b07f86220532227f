import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RpcError } from '../../src/index.js'
import { CONTROL_FINGERPRINT, CONTROL_KIND } from '../../src/layout/control-layout.js'
import { attachHeader, HEADER_BYTES } from '../../src/layout/header.js'
import { HEAP_KIND } from '../../src/layout/heap-layout.js'

const header = { kind: CONTROL_KIND, fingerprint: CONTROL_FINGERPRINT, geometry: 64 }

function attached(): Int32Array {
  const words = new Int32Array(HEADER_BYTES / 4)
  attachHeader(words, header, 'connection')
  return words
}

function refused(words: Int32Array, sentence: RegExp): void {
  const before = [...words]
  assert.throws(() => attachHeader(words, header, 'connection'),
    (error) => RpcError.is(error) && error.code === 'FAILED_PRECONDITION' && sentence.test(error.sentence))
  assert.deepEqual([...words], before)
}

test('the first attacher writes the header, and the next one of the same build accepts it', () => {
  const words = attached()
  const before = [...words]
  attachHeader(words, header, 'connection')
  assert.deepEqual([...words], before)
})

test('memory of another kind, version, layout or geometry is refused with what differs, and left as it is', () => {
  const damages: ReadonlyArray<readonly [word: number, value: number, sentence: RegExp]> = [
    [0, 0x1234, /not the memory of a connection/],
    [1, HEAP_KIND, /not the memory of a connection/],
    [2, 77, /version 77.*same version of rpcool/],
    [3, CONTROL_FINGERPRINT + 1, /same version of rpcool/],
    [4, 128, /lays out a connection in another way/],
  ]
  for (const [word, value, sentence] of damages) {
    const words = attached()
    words[word] = value
    refused(words, sentence)
  }
})
