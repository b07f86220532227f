/*
 * The free blocks of every kind, latest freed on top, in one array, because every further array costs each allocation and
 * free the checks of its own:
 *
 *   [kind]            index of the top entry of the kind's stack
 *   [KINDS + kind]    index of the stack's first word
 *   [2 * KINDS …]     the stacks by kind, each a word FLOOR, its entries, room for more, and a word CEILING
 *
 * An entry is a block's word in the heap. None is FLOOR or CEILING, so that who pops or pushes sees the end of the stack by
 * what it reads there.
 */

/** Kinds are below this. */
export const KINDS = 128
/** Read at the top of an empty stack. */
export const FLOOR = 0
/** Read above the top of a full stack. */
export const CEILING = -1

const LEAST_ROOM = 64
/** Words that a stack takes beside its entries. */
const ENDS = 2
const FIRST = 2 * KINDS

/** Room for a kind's entries, given the height of its stack and how many have room now. */
type Room = (kind: number, height: number, room: number) => number

/** Stacks without entries or room. */
export function emptyStacks(): Int32Array {
  const stacks = new Int32Array(FIRST + KINDS * ENDS)
  for (let kind = 0; kind < KINDS; kind++) {
    const bottom = FIRST + kind * ENDS
    stacks[kind] = bottom
    stacks[KINDS + kind] = bottom
    stacks[bottom + 1] = CEILING
  }
  return stacks
}

/** Index of the FLOOR of a kind's stack. */
export function floorOf(stacks: Int32Array, kind: number): number {
  return stacks[KINDS + kind]!
}

/** Free blocks on a kind's stack. */
export function heightOf(stacks: Int32Array, kind: number): number {
  return stacks[kind]! - stacks[KINDS + kind]!
}

/** The same stacks in a new array, with room for more of a kind: a stack is doubled, and no other loses its room. */
export function withMoreRoom(stacks: Int32Array, full: number): Int32Array {
  return layOut(stacks, (kind, _height, room) => kind === full ? Math.max(LEAST_ROOM, room * 2) : room)
}

/** The same stacks in a new array with the room of a peak that is over given back, or the same array when that is little. */
export function withoutSpareRoom(stacks: Int32Array): Int32Array {
  const room: Room = (_kind, height, room) => room === 0 ? 0 : Math.max(LEAST_ROOM, height * 2)
  return lengthWith(stacks, room) * 2 < stacks.length ? layOut(stacks, room) : stacks
}

function lengthWith(stacks: Int32Array, room: Room): number {
  let length = FIRST
  for (let kind = 0; kind < KINDS; kind++) length += room(kind, heightOf(stacks, kind), roomOf(stacks, kind)) + ENDS
  return length
}

function roomOf(stacks: Int32Array, kind: number): number {
  const end = kind + 1 < KINDS ? floorOf(stacks, kind + 1) : stacks.length
  return end - floorOf(stacks, kind) - ENDS
}

function layOut(stacks: Int32Array, room: Room): Int32Array {
  const laid = new Int32Array(lengthWith(stacks, room))
  for (let kind = 0, bottom = FIRST; kind < KINDS; kind++) {
    const height = heightOf(stacks, kind)
    laid.set(stacks.subarray(floorOf(stacks, kind), stacks[kind]! + 1), bottom)
    laid[kind] = bottom + height
    laid[KINDS + kind] = bottom
    bottom += room(kind, height, roomOf(stacks, kind)) + ENDS
    laid[bottom - 1] = CEILING
  }
  return laid
}
