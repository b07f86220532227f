// The shapes of a heap that several members write to: made once, used by all, whatever somebody writes into their list.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SHAPES_WORD } from '../../../src/layout/heap-layout.js'
import { SHAPE_BEFORE } from '../../../src/layout/json-layout.js'
import { Heap, HeapSet } from '../../../src/memory/index.js'
import { buildJson, locationOf, plain, release } from '../../../src/objects/index.js'
import { internOf } from '../../../src/objects/json/intern.js'
import { MAX_SHAPES_MADE } from '../../../src/objects/json/limits.js'
import { HEAPS_BASE } from '../../../src/sys/index.js'

const BYTES = 8 << 20

function member(buffer: ArrayBuffer, number: number): HeapSet {
  return new HeapSet((space) => new Heap(buffer, HEAPS_BASE, number, space))
}

function document(kind: number, value: number): Record<string, unknown> {
  return { [`id${kind}`]: value, name: `document ${value}`, tags: ['a', 'b'], nested: { [`deep${kind}`]: value, flag: true } }
}

/** Builds, reads back and frees documents of so many kinds, each thrice: at the third time they have shapes. */
function write(heaps: HeapSet, kinds: number): void {
  for (let round = 0; round < 3; round++) {
    for (let kind = 0; kind < kinds; kind++) {
      const value = document(kind, round)
      const built = buildJson(heaps, value) as object
      assert.deepEqual(plain(built), value)
      release(heaps, built)
    }
  }
}

const shapesOf = (heaps: HeapSet): number => internOf(heaps)!.shapes

test('a member uses the shapes that others made, those made later too', () => {
  const buffer = new ArrayBuffer(BYTES)
  const first = member(buffer, 1)
  write(first, 20)
  const made = shapesOf(first)
  // Of two lists of keys that are remembered in one place none is met again.
  assert.ok(made > 30 && made <= 40, `${made} shapes`)
  assert.equal(first.stats().liveBlocks, made, 'nothing stays but shapes')
  const second = member(buffer, 2)
  write(second, 20)
  assert.equal(second.stats().liveBlocks, 0, 'the second member made none')
  write(second, 30)
  const more = second.stats().liveBlocks
  assert.ok(more > 10 && more <= 20, `${more} more shapes`)
  write(first, 30)
  assert.equal(first.stats().liveBlocks, made)
  assert.equal(shapesOf(first), made + more)
})

test('3000 members in a row leave the shapes of one', () => {
  const buffer = new ArrayBuffer(BYTES)
  const watcher = new Heap(buffer, HEAPS_BASE, 1023)
  const freeBytes: number[] = []
  for (let i = 0; i < 3000; i++) {
    const number = i % 1000 + 1
    const heaps = member(buffer, number)
    const [once, twice] = [buildJson(heaps, document(1, i)), buildJson(heaps, document(1, i))] as [object, object]
    const used = buildJson(heaps, document(1, i)) as object
    // A document without a shape has its keys in it.
    if (i > 0) assert.ok(heaps.stats().sizes.every(({ blockBytes }) => blockBytes < 200), JSON.stringify(heaps.stats().sizes))
    for (const one of [once, twice, used]) release(heaps, one)
    watcher.memberDied(number)
    watcher.collect()
    freeBytes.push(watcher.stats().freeBytes)
  }
  assert.equal(watcher.stats().liveBlocks, 2)
  assert.equal(freeBytes.at(-1), freeBytes[0])
})

test('all members together make no more shapes than one may', () => {
  const buffer = new ArrayBuffer(BYTES * 4)
  const kinds = MAX_SHAPES_MADE / 2
  const [first, second] = [member(buffer, 1), member(buffer, 2)]
  write(first, kinds / 2)
  for (let kind = kinds; kind < kinds * 2; kind++) {
    for (let round = 0; round < 3; round++) release(second, buildJson(second, document(kind, round)) as object)
  }
  assert.ok(first.stats().liveBlocks + second.stats().liveBlocks <= MAX_SHAPES_MADE)
  assert.equal(shapesOf(second), MAX_SHAPES_MADE)
})

test('what is written into the list makes members use fewer shapes, and nothing worse', () => {
  for (const spoil of [
    (words: Int32Array) => void (words[SHAPES_WORD] = -1),
    (words: Int32Array) => void (words[SHAPES_WORD] = 0x3fff_fffc),
    (words: Int32Array) => void (words[SHAPES_WORD]! += 1),
    (words: Int32Array) => void (words[words[SHAPES_WORD]! + SHAPE_BEFORE] = words[SHAPES_WORD]!),
    (words: Int32Array) => void (words[words[SHAPES_WORD]! + 1] = 0x7fff_ffff),
    (words: Int32Array) => words.fill(-1, words[SHAPES_WORD], words[SHAPES_WORD]! + 20),
  ]) {
    const buffer = new ArrayBuffer(BYTES)
    write(member(buffer, 1), 20)
    spoil(new Int32Array(buffer))
    const second = member(buffer, 2)
    write(second, 30)
    const built = buildJson(second, document(3, 1)) as object
    assert.ok(locationOf(built).word > 0)
    assert.deepEqual(plain(built), document(3, 1))
  }
})
