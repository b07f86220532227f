import type { JsonBuilder } from './builder.js'
import { nextSequence } from './intern.js'

/** Up to so many keys, comparing all with all is faster than a table. */
const FEW = 16

/**
 * Of equal keys the last one's value counts, in the place of the first, as for JSON.parse. Returns the sequence of the keys
 * that are left, or undefined when no two were equal.
 */
export function dropDuplicates(builder: JsonBuilder, start: number, keyStart: number): number | undefined {
  const count = builder.kp - keyStart >>> 1
  const first = keyStart >>> 1
  const { hashes } = builder
  if (count <= FEW) {
    for (let i = 1; i < count; i++) {
      for (let k = 0; k < i; k++) {
        if (hashes[first + i] === hashes[first + k] && builder.sameKeys(keyStart + i * 2, keyStart + k * 2)) return drop(builder, start, keyStart, count)
      }
    }
    return undefined
  }
  const seen = new Map<number, number>()
  for (let i = 0; i < count; i++) {
    const hash = hashes[first + i]!
    const before = seen.get(hash)
    if (before !== undefined) return drop(builder, start, keyStart, count)
    seen.set(hash, i)
  }
  return undefined
}

function drop(builder: JsonBuilder, start: number, keyStart: number, count: number): number {
  const { keys, stack, hashes } = builder
  const first = keyStart >>> 1
  const byHash = new Map<number, number[]>()
  let kept = 0
  let sequence = 0
  for (let i = 0; i < count; i++) {
    const from = keyStart + i * 2
    const hash = hashes[first + i]!
    const alike = byHash.get(hash) ?? []
    const before = alike.find((place) => builder.sameKeys(from, keyStart + place * 2))
    const place = before ?? kept++
    stack[start + place * 2] = stack[start + i * 2]!
    stack[start + place * 2 + 1] = stack[start + i * 2 + 1]!
    if (before !== undefined) continue
    keys[keyStart + place * 2] = keys[from]!
    keys[keyStart + place * 2 + 1] = keys[from + 1]!
    hashes[first + place] = hash
    alike.push(place)
    byHash.set(hash, alike)
    sequence = nextSequence(sequence, hash)
  }
  builder.pop(start + kept * 2)
  builder.popKeys(keyStart + kept * 2)
  return sequence
}
