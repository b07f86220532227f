import { RpcError } from '../../base/errors.js'
import { addressHigh, addressLow, FOUR_GIB, makeAddress, roundUp, type Address } from '../../base/numbers.js'
import { HEAPS_BASE, WINDOW_END } from '../../sys/window-bounds.js'
import { HEAP_ALIGNMENT } from '../protocol/limits.js'
import type { Decision, SlotRecord } from './state.js'

// Addresses are handed out by a cursor that walks through the window slot by slot (4 GiB each, which no heap crosses), so
// that a freed address rests for a whole round: a late pointer meets nothing, instead of somebody else's new heap.

const FIRST_SLOT = addressHigh(HEAPS_BASE)
/** 4 GiB slots of the window, numbered from 0. */
export const SLOT_COUNT = addressHigh(WINDOW_END) - FIRST_SLOT

type Ranges = SlotRecord['ranges']

/** Takes the next free address range of `byteLength` bytes (4 GiB at most). Throws RESOURCE_EXHAUSTED when there is none. */
export function assignAddress(decision: Decision, byteLength: number): Address {
  const start = decision.counter()
  let { slot, offset } = start
  // The first slot is looked at twice: behind the cursor first, its beginning last.
  for (let tried = 0; tried <= SLOT_COUNT; tried++) {
    const ranges = decision.slots.get(slot)?.ranges ?? []
    const at = firstGap(ranges, offset, byteLength)
    if (at !== undefined) {
      setRanges(decision, slot, insert(ranges, at, byteLength))
      decision.count({ slot, offset: at + byteLength })
      if (slot !== start.slot) decision.effects.push({ kind: 'saveSlot', slot })
      return makeAddress(FIRST_SLOT + slot, at)
    }
    slot = (slot + 1) % SLOT_COUNT
    offset = 0
  }
  throw new RpcError('RESOURCE_EXHAUSTED', `no free address range of ${byteLength} bytes is left in the window of heaps; close some`)
}

/** Takes a given range, which is in use already. False when part of it is taken. */
export function claimAddress(decision: Decision, address: Address, byteLength: number): boolean {
  const offset = addressLow(address)
  if (offset + byteLength > FOUR_GIB) return false
  const slot = addressHigh(address) - FIRST_SLOT
  const ranges = decision.slots.get(slot)?.ranges ?? []
  if (ranges.some(([from, length]) => from < offset + byteLength && offset < from + length)) return false
  setRanges(decision, slot, insert(ranges, offset, byteLength))
  return true
}

/** Gives a range back. */
export function freeAddress(decision: Decision, address: Address): void {
  const slot = addressHigh(address) - FIRST_SLOT
  const offset = addressLow(address)
  setRanges(decision, slot, (decision.slots.get(slot)?.ranges ?? []).filter(([from]) => from !== offset))
}

function firstGap(ranges: Ranges, from: number, byteLength: number): number | undefined {
  let at = roundUp(from, HEAP_ALIGNMENT)
  for (const [offset, length] of ranges) {
    if (offset + length <= at) continue
    if (offset >= at + byteLength) break
    at = roundUp(offset + length, HEAP_ALIGNMENT)
  }
  return at + byteLength <= FOUR_GIB ? at : undefined
}

function insert(ranges: Ranges, offset: number, byteLength: number): Ranges {
  const index = ranges.findIndex(([from]) => from > offset)
  return ranges.toSpliced(index < 0 ? ranges.length : index, 0, [offset, byteLength])
}

function setRanges(decision: Decision, slot: number, ranges: Ranges): void {
  if (ranges.length === 0) decision.slots.delete(slot)
  else decision.slots.set(slot, { ranges })
}
