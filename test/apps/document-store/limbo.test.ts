// Documents that wait for their readers: until all have given them back, but no more of them than a store keeps.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Holder, Limbo } from '../../../apps/document-store/limbo.js'

/** Documents are taken over in batches of so many at most. */
const BATCH = 64
const MAX = 1000

class Reader implements Holder {
  sent = 0
  released = 0
  gone = false
}

function limbo(holders: readonly Holder[]): { readonly kept: Limbo<number>, readonly freed: number[] } {
  const freed: number[] = []
  return { kept: new Limbo<number>((document) => freed.push(document), () => holders, MAX), freed }
}

test('a client that never gives anything back keeps so many documents waiting and no more: the oldest go first', () => {
  const reader = new Reader()
  const { kept, freed } = limbo([reader])
  for (let i = 0; i < 10 * MAX; i++) {
    reader.sent++
    kept.add(i)
    assert.ok(kept.size <= MAX + BATCH, `${kept.size} wait`)
    assert.equal(kept.size + freed.length, i + 1)
  }
  assert.ok(kept.size > MAX - BATCH, `${kept.size} wait`)
  assert.deepEqual(freed, [...freed.keys()])
  // A store that is emptied at once keeps none of them beyond it either.
  kept.addAll(Array.from({ length: 3 * MAX }, (_, i) => 10 * MAX + i))
  assert.ok(kept.size <= MAX + BATCH, `${kept.size} wait`)
  reader.released = reader.sent
  kept.collect()
  assert.deepEqual([kept.size, freed.length], [0, 13 * MAX])
  kept.close()
})

test('a client that gives nothing back does not make each call of the others longer', () => {
  let looks = 0
  const reader = { sent: 1, gone: false, get released() {
    looks++
    return 0
  } }
  const { kept, freed } = limbo([reader])
  for (let i = 0; i < 2 * MAX; i++) kept.addAll([i])
  assert.ok(looks < 2 * MAX * 300, `${looks} looks at it`)
  assert.ok(kept.size > MAX / 2 && kept.size <= MAX, `${kept.size} wait`)
  assert.deepEqual(freed, [...freed.keys()])
  kept.close()
})

test('a document waits for each reader that may have seen it, and for no other', () => {
  const [early, late] = [new Reader(), new Reader()]
  const { kept, freed } = limbo([early, late])
  early.sent = 1
  kept.add(1)
  kept.collect()
  late.sent = 1
  kept.add(2)
  kept.collect()
  assert.deepEqual([kept.size, freed], [2, []])
  early.released = 1
  kept.collect()
  assert.deepEqual([kept.size, freed], [1, [1]])
  late.gone = true
  kept.collect()
  assert.deepEqual([kept.size, freed], [0, [1, 2]])
  kept.close()
})
