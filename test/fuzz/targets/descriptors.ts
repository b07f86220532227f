// The descriptors of seals, with any bytes in them, and indexes from a hostile peer: a seal is never verified that the words do not
// say, nor twice.
import assert from 'node:assert/strict'
import { DESCRIPTOR_PAGE, DESCRIPTOR_PAGES, DESCRIPTORS_BROKEN_WORD, descriptorWord, sealDescriptorsBytes } from '../../../src/layout/seal-layout.js'
import { DescriptorWriter, SealVerifier } from '../../../src/safety/seals/descriptors.js'
import type { Random } from '../../support/random.js'
import { onlyRpcErrors, type FuzzTarget } from '../target.js'

const COUNT = 8
const PAGES = 64
const STEPS = 40

class Descriptors implements FuzzTarget {
  readonly name = 'descriptors'
  readonly #words = new Int32Array(sealDescriptorsBytes(COUNT) / 4)

  tryCase(random: Random): number {
    const words = this.#words.fill(0)
    const { buffer } = words
    const writer = new DescriptorWriter(buffer, COUNT, PAGES)
    const verifier = new SealVerifier(buffer, COUNT, PAGES, { now: 0, liveSince: () => true })
    const used = new Set<string>()
    for (let step = 0; step < STEPS; step++) {
      if (random.chance(3)) writer.publish(random.below(COUNT), random.below(6), random.below(PAGES), 1 + random.below(8))
      else if (random.chance(2)) words[random.below(words.length)] = random.nasty()
      const index = random.chance(3) ? random.nasty() >>> 0 : random.below(COUNT)
      const page = random.chance(3) ? random.nasty() : random.below(PAGES)
      const pages = random.chance(3) ? random.nasty() : 1 + random.below(8)
      onlyRpcErrors('verify', () => {
        if (!verifier.verify(index, page, pages)) return
        const at = descriptorWord(index)
        const [word, first, count] = [words[at]!, words[at + DESCRIPTOR_PAGE]! >>> 0, words[at + DESCRIPTOR_PAGES]! >>> 0]
        assert.ok(index < COUNT && page >= 0 && pages > 0 && page + pages <= PAGES, `descriptor ${index}: pages ${page} and ${pages} more are no sealable ones`)
        assert.ok((word & 1) === 1 && page >= first && page + pages <= first + count && words[DESCRIPTORS_BROKEN_WORD] === 0, 'the words do not say so')
        used.add(`${index} ${word}`)
        assert.ok(!verifier.verify(index, page, pages), 'one seal serves one call')
        verifier.held(index)
        if (random.chance(2)) verifier.complete(index)
      })
    }
    return STEPS
  }
}

export const descriptors = (): FuzzTarget => new Descriptors()
