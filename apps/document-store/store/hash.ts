// Hashes of the store's tables, under two numbers of this process's own: nobody can choose keys that collide.
import { randomInt } from 'node:crypto'
import type { Scalar } from './values.js'

const SEED = randomInt(0x1_0000_0000) | 0
const SECRET = randomInt(0x1_0000_0000) | 1
const FACTOR = 0x9e37_79b1 | 0

const double = new Float64Array(1)
const halves = new Int32Array(double.buffer)

/** All units count: of texts that only begin and end alike somebody could make any number. */
export function hashText(text: string): number {
  const { length } = text
  let hash = SEED ^ length
  let i = 0
  for (; i + 2 <= length; i += 2) hash = step(hash, text.charCodeAt(i) | text.charCodeAt(i + 1) << 16)
  if (i < length) hash = step(hash, text.charCodeAt(i))
  return finish(hash)
}

/** Equal scalars have equal hashes: also 0 and -0. */
export function hashScalar(value: Scalar): number {
  if (typeof value === 'string') return hashText(value)
  if (typeof value === 'number') {
    double[0] = value + 0
    return finish(step(step(~SEED, halves[0]!), halves[1]!))
  }
  return finish(step(~SEED, value === null ? 1 : value ? 2 : 3))
}

// Without the secret factor a change in the upper bit of one word could be taken back by the next word, whatever the seed.
function step(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, FACTOR)
  const mixed = product ^ product >>> 15
  return mixed + Math.imul(mixed << 16 | mixed >>> 16, SECRET) | 0
}

function finish(hash: number): number {
  const mixed = Math.imul(hash ^ hash >>> 16, 0x85eb_ca6b)
  return mixed ^ mixed >>> 13
}
