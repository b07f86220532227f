// No view of a sealed scope writes: each write of each kind of view says SealedError, and changes nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SealedError } from '../../src/base/errors.js'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { Heap, HeapScopes, HeapSet, type Scope } from '../../src/memory/index.js'
import { build } from '../../src/objects/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'
import { All, everyField, writes } from './every-write.js'

function built(): { readonly scope: Scope, readonly view: All, readonly bytes: () => Buffer } {
  const memory = new ArrayBuffer(1 << 18)
  const scope = new HeapScopes(new HeapSet((space) => new Heap(memory, HEAPS_BASE, 1, space))).create(4 * PAGE_BYTES)
  const view = build(All, scope, everyField)
  return { scope, view, bytes: () => Buffer.from(new Uint8Array(memory)) }
}

for (const [what, write] of Object.entries(writes)) {
  test(what, () => {
    const free = built()
    const before = free.bytes()
    write(free.view)
    assert.ok(!free.bytes().equals(before), 'it is no write')
    const { scope, view, bytes } = built()
    scope.sealedBy({ isInFlight: () => true, unseal: () => assert.fail('the call is in flight') }, 1)
    const sealed = bytes()
    assert.throws(() => write(view), (error: unknown) => error instanceof SealedError && /sealed: its call is in flight/.test(error.message))
    assert.ok(bytes().equals(sealed), 'it changed something')
  })
}
