// A hostile writer changes the heap's own words at any time: an honest member may be given errors, never a crash, an
// endless loop, or the same memory twice.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Directory, Entry } from '../../src/layout/heap-layout.js'
import type { Heap } from '../../src/memory/index.js'
import { codeOf, Draw, free, KIB, member, MIB, Model, someSize } from './model.js'

type Scribble = (words: Int32Array, heap: Heap, draw: Draw) => void

/** A directory word: noise, a plausible entry of somebody, a free span, or the honest member's own number. */
const directory: Scribble = (words, heap, draw) => {
  const at = Directory.WORD + draw.below(heap.geometry.spanCount * 2)
  const lie = [draw.bits(), 0, 1 | (draw.below(128) << Entry.KIND_SHIFT), draw.below(Entry.MEMBER_MASK) | (draw.below(128) << Entry.KIND_SHIFT)]
  words[at] = lie[draw.below(lie.length)]! & ~Entry.REMOTE_FREED
}

const allocatedBits: Scribble = (words, heap, draw) => {
  const { allocatedWord, spanCount, rowWords } = heap.geometry
  words[allocatedWord + draw.below(spanCount * rowWords)] = draw.below(2) === 0 ? 0 : draw.bits()
}

/** A peer may free what it can name: these bits are frees. */
const freedBits: Scribble = (words, heap, draw) => {
  const { freedWord, spanCount, rowWords } = heap.geometry
  words[freedWord + draw.below(spanCount * rowWords)] = draw.bits()
  words[Directory.WORD + draw.below(spanCount) * 2 + 1] = draw.bits()
  words[Directory.WORD + draw.below(spanCount) * 2]! ^= Entry.REMOTE_FREED
}

const header: Scribble = (words, _heap, draw) => {
  words[draw.below(16)] = draw.bits()
}

/** What an honest member does; answers how often it was refused. */
function behave(heap: Heap, model: Model, draw: Draw, deaths: boolean): number {
  let refused = 0
  const attempt = (action: () => void): void => {
    const code = codeOf(action)
    if (code === undefined) return
    refused++
    assert.ok(code === 'RESOURCE_EXHAUSTED' || code === 'INVALID_ARGUMENT', code)
  }
  const roll = draw.below(100)
  if (roll < 50) {
    const size = someSize(draw, 40_000)
    const chunk = draw.below(4) === 0
    attempt(() => model.add(chunk ? heap.allocateChunk(size) : heap.allocate(size), size, chunk))
  } else if (roll < 92 && model.blocks.length > 0) {
    attempt(() => free(heap, model.remove(draw.below(model.blocks.length))))
  } else if (roll < 95) {
    const before = model.blocks.find(({ word }) => word === draw.below(heap.region.words))
    if (before === undefined && deaths) heap.memberDied(1 + draw.below(1023))
  } else if (roll < 98) {
    heap.collect()
  } else {
    heap.stats()
    heap.onlyLiving(new Set([heap.member, 1 + draw.below(1023)]))
  }
  return refused
}

for (const [what, scribbles] of [
  ['the directory', [directory]],
  ['the allocated bits', [allocatedBits]],
  ['the header', [header]],
  ['directory, allocated bits and header', [directory, allocatedBits, header]],
] as const) {
  test(`scribbling over ${what}: the honest member's own blocks never overlap`, () => {
    for (const seed of [1, 2, 3]) {
      const draw = new Draw(seed)
      const buffer = new ArrayBuffer(seed === 3 ? 5 * MIB : 512 * KIB)
      const heap = member(buffer, 5)
      const model = Model.of(heap)
      const words = new Int32Array(buffer)
      for (let step = 0; step < 15_000; step++) {
        scribbles[draw.below(scribbles.length)]!(words, heap, draw)
        behave(heap, model, draw, true)
      }
      for (const block of model.blocks.splice(0)) free(heap, block)
    }
  })
}

test('frees of everything by a hostile peer cost the honest member its blocks, and nothing else', () => {
  // Freeing is what a member may do, so blocks can be handed out again while their user still holds them: no overlap check.
  for (const seed of [4, 5]) {
    const draw = new Draw(seed)
    const buffer = new ArrayBuffer(MIB)
    const heap = member(buffer, 5)
    const words = new Int32Array(buffer)
    const { firstSpan, spanBytes } = heap.geometry
    const held: { readonly word: number; readonly byteLength: number; readonly chunk: boolean }[] = []
    for (let step = 0; step < 20_000; step++) {
      for (const scribble of [directory, allocatedBits, freedBits, header]) scribble(words, heap, draw)
      const size = someSize(draw, 40_000)
      const code = codeOf(() => {
        const word = heap.allocate(size)
        assert.ok(word * 4 >= firstSpan * spanBytes && word * 4 + size <= buffer.byteLength && word % 2 === 0)
        held.push({ word, byteLength: size, chunk: false })
      })
      assert.ok(code === undefined || code === 'RESOURCE_EXHAUSTED')
      if (held.length > 300 || (code !== undefined && held.length > 0)) {
        const freed = codeOf(() => free(heap, held.splice(draw.below(held.length), 1)[0]!))
        assert.ok(freed === undefined || freed === 'INVALID_ARGUMENT')
      }
      if (step % 500 === 0) heap.collect()
    }
    const { liveBlocks, liveBytes, ownedBytes } = heap.stats()
    assert.ok(liveBlocks >= 0 && liveBytes >= 0 && liveBytes <= ownedBytes)
  }
})

test('one kind of noise per word, everywhere at once: no crash and no loop', () => {
  for (const noise of [0, -1, 1, 0x7fff_ffff, 1 << 10, (62 << Entry.KIND_SHIFT) | 5, (63 << Entry.KIND_SHIFT) | 5]) {
    const buffer = new ArrayBuffer(512 * KIB)
    const heap = member(buffer, 5)
    const model = Model.of(heap)
    const draw = new Draw(8)
    const words = new Int32Array(buffer)
    for (let step = 0; step < 300; step++) {
      words.fill(noise, 0, (heap.geometry.firstSpan * heap.geometry.spanBytes) / 4)
      if ((noise & Entry.REMOTE_FREED) === 0 && noise !== 1) behave(heap, model, draw, true)
      else codeOf(() => heap.allocate(someSize(draw, 40_000)))
      if (step % 50 === 0) heap.collect()
    }
  }
})

test('property: an adopter survives any words that a dead member left', () => {
  fc.assert(fc.property(fc.array(fc.integer(), { maxLength: 600 }), fc.nat(1022), (noise, dead) => {
    const buffer = new ArrayBuffer(256 * KIB)
    const heap = member(buffer, 1023)
    const words = new Int32Array(buffer)
    words.set(noise.map((word) => (word & ~Entry.MEMBER_MASK) | (dead + 1)).slice(0, heap.geometry.spanCount * 2), Directory.WORD)
    words.set(noise, heap.geometry.allocatedWord)
    if (dead + 1 !== 1023) heap.memberDied(dead + 1)
    heap.collect()
    const model = Model.of(heap)
    while (codeOf(() => model.add(heap.allocate(100), 100)) === undefined);
    for (const block of model.blocks.splice(0)) free(heap, block)
    heap.collect()
  }), { numRuns: 150 })
})
