// The index of a dictionary: open addressing by the upper bits of a hash, which has a seed. Seed 0 stands for the cheap hash that a text
// has anyway: it covers the text's beginning only, and whoever wants to finds texts with one hash. Where it puts too many keys into one
// place, the index is made by a hash of all of the text, under a seed by chance.
import { randomInt } from 'node:crypto'
import { RpcError } from '../../base/errors.js'
import { SEED_BITS } from '../../layout/json-layout.js'
import { keyedHash } from '../text/keyed-hash.js'

/** Places beside each other that an entry may find taken. Chance does not come near in an index that is half empty. */
export const RUN_MAX = 128
/** One is enough but for keys that another process changes meanwhile. */
const SEEDS_TRIED = 16

/** What a key hashes to: a cell's words, or a text's. */
export function seededHash(seed: number, head: number, words: Int32Array, start: number, count: number): number {
  return keyedHash(seed, Math.imul(seed, 0x9e37_79b1), head, words, start, count)
}

const pair = new Int32Array(2)

/** The same of a text that lies in its cell. */
export function seededInline(seed: number, lo: number, hi: number): number {
  pair[0] = lo
  pair[1] = hi
  return seededHash(seed, 0, pair, 0, 2)
}

/** The free place for a hash in an index of 2^bits words, or -1 when too many before it are taken. */
export function freePlace(a: Int32Array, index: number, bits: number, hash: number): number {
  const mask = (1 << bits) - 1
  let place = hash >>> 32 - bits
  for (let run = 0; a[index + place] !== 0; run++) {
    if (run === RUN_MAX) return -1
    place = place + 1 & mask
  }
  return place
}

/** Enters entries 0 to count - 1 into an index. False when there are too many in one place. */
export function fillIndex(a: Int32Array, index: number, bits: number, count: number, hashOf: (entry: number) => number): boolean {
  a.fill(0, index, index + (1 << bits))
  for (let i = 0; i < count; i++) {
    const place = freePlace(a, index, bits, hashOf(i))
    if (place < 0) return false
    a[index + place] = i + 1
  }
  return true
}

/** The same under a seed by chance, which is returned. */
export function fillSeeded(a: Int32Array, index: number, bits: number, count: number, hashOf: (entry: number, seed: number) => number): number {
  for (let tries = 0; tries < SEEDS_TRIED; tries++) {
    const seed = randomInt(1, 1 << SEED_BITS)
    if (fillIndex(a, index, bits, count, (entry) => hashOf(entry, seed))) return seed
  }
  throw new RpcError('ABORTED', 'the keys of an object changed while it was built')
}
