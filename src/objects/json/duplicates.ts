import { randomInt } from 'node:crypto'
import type { JsonBuilder } from './builder.js'
import { RUN_MAX } from './index-table.js'
import { nextSequence } from './intern.js'

/** Up to so many keys, comparing all with all is faster than a table. */
const FEW = 16
/** Words of a table that is kept for the next object. */
const KEPT_WORDS = 1 << 16

/** Of no use to anybody who could choose keys by it: it never leaves this isolate. */
const SECRET = [randomInt(2 ** 32) | 0, randomInt(2 ** 32) | 0] as const

/**
 * Of equal keys the last one's value counts, in the place of the first, as for JSON.parse. Returns the sequence of the keys
 * that are left, or undefined when no two were equal.
 */
export function dropDuplicates(builder: JsonBuilder, start: number, keyStart: number): number | undefined {
  const count = builder.kp - keyStart >>> 1
  const suspicious = count <= FEW ? hasEqual(builder, keyStart, count) : hasAlike(builder, keyStart, count)
  return suspicious ? drop(builder, start, keyStart, count) : undefined
}

function hasEqual(builder: JsonBuilder, keyStart: number, count: number): boolean {
  const { hashes } = builder
  const first = keyStart >>> 1
  for (let i = 1; i < count; i++) {
    for (let k = 0; k < i; k++) {
      if (hashes[first + i] === hashes[first + k] && builder.sameKeys(keyStart + i * 2, keyStart + k * 2)) return true
    }
  }
  return false
}

/** Whether two have the same hash, or many hashes lie close together: the keys themselves are not looked at. */
function hasAlike(builder: JsonBuilder, keyStart: number, count: number): boolean {
  const { hashes } = builder
  const first = keyStart >>> 1
  const bits = bitsFor(count)
  const table = tableOf(bits)
  const mask = (1 << bits) - 1
  for (let i = 0; i < count; i++) {
    const hash = hashes[first + i]!
    let place = hash >>> 32 - bits
    for (let run = 0; table[place] !== 0; run++) {
      if (run === RUN_MAX || hashes[first + table[place]! - 1] === hash) return true
      place = place + 1 & mask
    }
    table[place] = i + 1
  }
  return false
}

function bitsFor(count: number): number {
  return 32 - Math.clz32(count * 2 - 1)
}

let kept = new Int32Array(1 << 8)

/** Zeros. */
function tableOf(bits: number): Int32Array {
  const words = 1 << bits
  if (words > KEPT_WORDS) return new Int32Array(words)
  if (words > kept.length) kept = new Int32Array(words)
  return kept.fill(0, 0, words)
}

// The hash that texts have anyway is no help where keys may have been chosen by it.
function drop(builder: JsonBuilder, start: number, keyStart: number, count: number): number | undefined {
  const { keys, stack, hashes } = builder
  const first = keyStart >>> 1
  const bits = bitsFor(count)
  const mask = (1 << bits) - 1
  const table = tableOf(bits)
  const secret = new Int32Array(count)
  let left = 0
  let sequence = 0
  for (let i = 0; i < count; i++) {
    const from = keyStart + i * 2
    const hash = builder.keyedHash(from, ...SECRET)
    let at = hash >>> 32 - bits
    while (table[at] !== 0 && !(secret[table[at]! - 1] === hash && builder.sameKeys(from, keyStart + (table[at]! - 1) * 2))) at = at + 1 & mask
    const isNew = table[at] === 0
    const place = isNew ? left++ : table[at]! - 1
    stack[start + place * 2] = stack[start + i * 2]!
    stack[start + place * 2 + 1] = stack[start + i * 2 + 1]!
    if (!isNew) continue
    table[at] = place + 1
    secret[place] = hash
    keys[keyStart + place * 2] = keys[from]!
    keys[keyStart + place * 2 + 1] = keys[from + 1]!
    hashes[first + place] = hashes[first + i]!
    sequence = nextSequence(sequence, hashes[first + i]!)
  }
  if (left === count) return undefined
  // Dropped down to the first, and taken again as far as they go: what has moved is not where it was when the stage was emptied last.
  builder.pop(start)
  builder.popKeys(keyStart)
  builder.sp = start + left * 2
  builder.kp = keyStart + left * 2
  return sequence
}
