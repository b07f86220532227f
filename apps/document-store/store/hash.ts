// Hashes of the store's tables. They start from a number of this process's own, so that nobody can choose keys that collide.
import { randomInt } from 'node:crypto'
import type { Scalar } from './values.js'

const SEED = randomInt(0x1_0000_0000) | 0
const FACTOR = 0x9e37_79b1 | 0
/** Of longer texts the first and the last units are taken. */
const UNITS_MAX = 128

const double = new Float64Array(1)
const halves = new Int32Array(double.buffer)

export function hashText(text: string): number {
  const { length } = text
  let hash = SEED ^ length
  const first = length <= UNITS_MAX ? length : UNITS_MAX
  let i = 0
  for (; i + 2 <= first; i += 2) hash = step(hash, text.charCodeAt(i) | text.charCodeAt(i + 1) << 16)
  if (i < first) hash = step(hash, text.charCodeAt(i))
  if (length > UNITS_MAX) for (i = Math.max(first, length - UNITS_MAX); i < length; i++) hash = step(hash, text.charCodeAt(i))
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

function step(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, FACTOR)
  return mixed ^ mixed >>> 15
}

function finish(hash: number): number {
  const mixed = Math.imul(hash ^ hash >>> 16, 0x85eb_ca6b)
  return mixed ^ mixed >>> 13
}
