// One member among several processes and threads on one heap: allocates, stamps, hands blocks on, frees those of others.
import { Heap } from '../../src/memory/index.js'
import { RpcError } from '../../src/base/errors.js'
import { makeAddress } from '../../src/base/numbers.js'
import { HEAPS_BASE, Mapping, mappingCount } from '../../src/sys/index.js'
import { Draw, KIB, MIB } from './model.js'

export const HEAP_BYTES = 8 * MIB
export const TABLE_BYTES = 256 * KIB
export const TABLE_ADDRESS = makeAddress(0x4002, 0)
/** Blocks that one agent holds at most. */
export const HELD_MAX = 60
const MAILBOX_SLOTS = 64

/*
 * The table, in words: 0 stop; 1 number of the dead; 2 … 1025 members that died; 1100 … mailbox; from 2048 a row per member
 * with the blocks that it holds, so that those of a dead one can be freed.
 */
const STOP = 0
const DEAD_COUNT = 1
const DEAD = 2
const MAILBOX = 1100
const ROWS = 2048

export interface AgentOptions {
  readonly heapFd: number
  readonly tableFd: number
  readonly member: number
}

/** The shared words by which a test steers agents and learns what they held. */
export class Table {
  constructor(readonly words: Int32Array) {}

  stop(): void {
    Atomics.store(this.words, STOP, 1)
  }

  get isStopped(): boolean {
    return Atomics.load(this.words, STOP) !== 0
  }

  announceDeath(member: number): void {
    const count = Atomics.load(this.words, DEAD_COUNT)
    Atomics.store(this.words, DEAD + count, member)
    Atomics.store(this.words, DEAD_COUNT, count + 1)
  }

  deaths(from: number): number[] {
    return [...this.words.subarray(DEAD + from, DEAD + Atomics.load(this.words, DEAD_COUNT))]
  }

  /** Puts a block (or 0) into a mailbox slot and takes what lay there. */
  swap(slot: number, word: number): number {
    return Atomics.exchange(this.words, MAILBOX + slot, word)
  }

  mailbox(): number[] {
    return Array.from({ length: MAILBOX_SLOTS }, (_, slot) => this.swap(slot, 0)).filter((word) => word !== 0)
  }

  held(member: number, place: number): number {
    return Atomics.load(this.words, ROWS + member * HELD_MAX + place)
  }

  hold(member: number, place: number, word: number): void {
    Atomics.store(this.words, ROWS + member * HELD_MAX + place, word)
  }
}

/** Every word of a block but the first, which is its length in words, carries one stamp. */
function stamp(words: Int32Array, word: number, length: number, value: number): void {
  words[word] = length
  words.fill(value, word + 1, word + length)
}

export function checkStamp(words: Int32Array, word: number): void {
  const length = words[word]!
  const value = words[word + 1]!
  for (let at = word + 1; at < word + length; at++) {
    if (words[at] !== value) throw new Error(`block ${word} (${length} words) was written by somebody else at +${at - word}`)
  }
}

function lengthOf(draw: Draw): number {
  const roll = draw.below(100)
  return 2 + draw.below(roll < 80 ? 60 : roll < 98 ? 900 : 12_000)
}

/** Runs until the table says stop; answers how many blocks were handed on. */
export function runAgent({ heapFd, tableFd, member }: AgentOptions): number {
  const heapMapping = Mapping.map(heapFd, HEAPS_BASE, HEAP_BYTES)
  const tableMapping = Mapping.map(tableFd, TABLE_ADDRESS, TABLE_BYTES)
  const heap = new Heap(heapMapping.buffer, HEAPS_BASE, member)
  const words = heap.region.i32
  const table = new Table(new Int32Array(tableMapping.buffer))
  const draw = new Draw(member * 7919)
  let handed = 0
  let heard = 0
  const drop = (word: number): void => {
    checkStamp(words, word)
    heap.free(heap.region, word)
  }
  for (let step = 0; !table.isStopped; step++) {
    const place = draw.below(HELD_MAX)
    const held = table.held(member, place)
    if (held !== 0) {
      table.hold(member, place, 0)
      if (draw.below(2) === 0) drop(held)
      else {
        const taken = table.swap(draw.below(MAILBOX_SLOTS), held)
        if (taken !== 0) drop(taken)
        handed++
      }
    }
    const length = lengthOf(draw)
    try {
      const word = heap.allocate(length * 4)
      stamp(words, word, length, draw.bits())
      table.hold(member, place, word)
    } catch (error) {
      if (!RpcError.is(error) || error.code !== 'RESOURCE_EXHAUSTED') throw error
    }
    if (step % 64 !== 0) continue
    for (const dead of table.deaths(heard)) {
      heap.memberDied(dead)
      heard++
    }
    if (step % 1024 === 0) heap.collect()
  }
  for (let place = 0; place < HELD_MAX; place++) {
    const held = table.held(member, place)
    table.hold(member, place, 0)
    if (held !== 0) drop(held)
  }
  heap.collect()
  heapMapping.unmap()
  tableMapping.unmap()
  return handed
}

export { mappingCount }
