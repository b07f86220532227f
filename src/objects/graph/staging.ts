import type { Address } from '../../base/numbers.js'
import { FOUR_GIB } from '../../base/numbers.js'
import { Region } from '../../memory/region.js'

// No process has memory here, so no pointer leads into it.
const NOWHERE = 0x10_0000 * FOUR_GIB as Address

/** Private memory in which an inline value is put together before it replaces another. */
function stagingRegion(bytes: number): Region {
  return new Region(new ArrayBuffer((bytes + 7) & -8), NOWHERE)
}

let zeros = readOnlyZeros(4096)

/** Private zeros: what fields read as that an object does not have. Zero is every type's empty value. */
export function zeroRegion(bytes: number): Region {
  if (bytes > zeros.words * 4) zeros = readOnlyZeros(bytes)
  return zeros
}

function readOnlyZeros(bytes: number): Region {
  const region = stagingRegion(bytes)
  region.readOnly = true
  return region
}

let spare: Region | null = null

/** A staging region that is used up before the next one is borrowed; give it back with {@link returnStaging}. */
export function borrowStaging(bytes: number): Region {
  const region = spare
  if (region === null || region.words * 4 < bytes) return stagingRegion(Math.max(bytes, 4096))
  spare = null
  return region
}

export function returnStaging(region: Region): void {
  spare = region
}
