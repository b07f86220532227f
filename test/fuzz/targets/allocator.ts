// The words that processes share of a heap's allocator, changed at any time: errors for who relies on them, never the same memory
// twice for one member, never an endless loop.
import { Directory, Entry } from '../../../src/layout/heap-layout.js'
import { Heap } from '../../../src/memory/index.js'
import { HEAPS_BASE } from '../../../src/sys/index.js'
import { Draw, free, Model, someSize } from '../../memory/model.js'
import type { Random } from '../../support/random.js'
import { onlyRpcErrors, type FuzzTarget } from '../target.js'

const HEAP_BYTES = 128 * 1024
const STEPS = 60

/** Lies about who owns what. With `frees`, also the bits by which others free blocks: whoever may name a block may free it. */
function scribble(words: Int32Array, heap: Heap, frees: boolean, random: Random): void {
  const { spanCount, rowWords, allocatedWord, freedWord } = heap.geometry
  const directory = Directory.WORD + random.below(spanCount * 2)
  switch (random.below(frees ? 5 : 3)) {
    case 0: words[random.below(16)] = random.nasty(); break
    case 1: words[directory] = random.nasty() & ~Entry.REMOTE_FREED; break
    case 2: words[allocatedWord + random.below(spanCount * rowWords)] = random.nasty(); break
    case 3: words[freedWord + random.below(spanCount * rowWords)] = random.nasty(); break
    default: words[directory]! ^= Entry.REMOTE_FREED
  }
}

class AllocatorWords implements FuzzTarget {
  readonly name = 'allocator'
  readonly #words = new Int32Array(HEAP_BYTES / 4)

  tryCase(random: Random): number {
    const heap = new Heap(this.#words.fill(0).buffer, HEAPS_BASE, 1 + random.below(1023))
    const model = Model.of(heap)
    const draw = new Draw(random.word())
    const frees = random.chance(3)
    for (let step = 0; step < STEPS; step++) {
      if (random.chance(2)) scribble(heap.region.i32, heap, frees, random)
      const chunk = random.chance(4)
      onlyRpcErrors('a step of the allocator', () => {
        switch (random.below(6)) {
          case 0: case 1: case 2: {
            const size = someSize(draw, 40_000)
            const word = chunk ? heap.allocateChunk(size) : heap.allocate(size)
            // Blocks that others free behind their owner's back are handed out again.
            if (!frees) model.add(word, size, chunk)
            break
          }
          case 3: if (model.blocks.length > 0) free(heap, model.remove(random.below(model.blocks.length))); break
          case 4: if (frees) heap.free(heap.region, random.below(heap.region.words)); break
          default: if (random.chance(2)) heap.collect()
        }
      })
    }
    heap.stats()
    return STEPS
  }
}

export const allocator = (): FuzzTarget => new AllocatorWords()
