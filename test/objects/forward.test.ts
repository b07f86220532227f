// The table by which a copy finds the objects that it has copied: right for every graph, and bounded by the number of objects.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeAddress } from '../../src/base/numbers.js'
import { Region } from '../../src/memory/index.js'
import { Forward } from '../../src/objects/graph/forward.js'
import { Random } from '../support/random.js'

const PAGE_WORDS = 1 << 14
const table = (): Forward<null> => new Forward(null, new Region(new ArrayBuffer(4096), makeAddress(0x4000, 0)), 0)

for (const [how, pages, objects] of [['side by side', 4, 20_000], ['scattered', 5000, 20_000], ['few', 1000, 90]] as const) {
  test(`numbers of objects that lie ${how} are found again, and no others`, () => {
    const random = new Random(1)
    const [forward, model] = [table(), new Map<number, number>()]
    for (let i = 1; i <= objects; i++) {
      const word = random.below(pages * PAGE_WORDS / 2) * 2
      assert.equal(forward.get(word), model.get(word) ?? 0)
      forward.set(word, i)
      model.set(word, i)
    }
    for (const [word, number] of model) assert.equal(forward.get(word), number)
  })
}

test('objects that lie far apart, all over a heap of 4 GiB, take no memory for what lies between them', () => {
  const objects = 8192
  const before = process.memoryUsage().arrayBuffers
  const forward = table()
  for (let i = 0; i < objects; i++) forward.set(i * 8 * PAGE_WORDS, i + 1)
  const taken = process.memoryUsage().arrayBuffers - before
  assert.ok(taken < objects * 600, `${taken} bytes for ${objects} objects`)
  assert.equal(forward.get((objects - 1) * 8 * PAGE_WORDS), objects)
})
