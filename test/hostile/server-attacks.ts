// What a hostile server does to its clients: a real one, whose process rewrites the shared memory behind its own back.
import { ControlWord, Line, Slot, SlotSize, slotWord, WaitingFlag } from '../../src/layout/control-layout.js'
import { Directory, heapGeometry } from '../../src/layout/heap-layout.js'
import { addon } from '../../src/sys/index.js'
import type { Random } from '../support/random.js'

export interface Victim {
  readonly ring: Int32Array
  readonly heap: Int32Array
  readonly high: number
  readonly low: number
  readonly doorbell: number
}

function wake({ ring, doorbell }: Victim): void {
  if (Atomics.compareExchange(ring, ControlWord.CLIENT_LINE + Line.WAITING, WaitingFlag.ASLEEP, 0) === WaitingFlag.ASLEEP) addon.ringDoorbell(doorbell)
}

function slots({ ring }: Victim): number {
  return Math.floor((ring.length - slotWord(0)) / SlotSize.WORDS)
}

/** Before the real server comes to it. */
function answerRequests(victim: Victim, random: Random, pointer: () => readonly [number, number]): void {
  const { ring } = victim
  for (let slot = 0; slot < slots(victim); slot++) {
    const at = slotWord(slot)
    const word = Atomics.load(ring, at)
    if ((word & 1) === 0) continue
    ring[at + Slot.ANSWER] = random.chance(3) ? random.nasty() : 0x100
    for (const offset of [0, 2]) {
      const [low, high] = pointer()
      ring[at + Slot.RESULT + offset] = low
      ring[at + Slot.RESULT + offset + 1] = high
    }
    Atomics.store(ring, at, word + 1)
    wake(victim)
  }
}

function scribble(words: Int32Array, from: number, to: number, count: number, random: Random): void {
  for (let i = 0; i < count; i++) {
    const word = from + random.below(to - from)
    words[word] = random.chance(2) ? words[word]! ^ (1 << random.below(32)) : random.nasty()
  }
}

export const serverAttacks: Readonly<Record<string, (victim: Victim, random: Random) => void>> = {
  'rewrites all words of the ring at random': ({ ring }, random) => scribble(ring, slotWord(0), ring.length, 2000, random),
  'answers with invalid statuses, wild results and wild chunks': (victim, random) => {
    answerRequests(victim, random, () => random.chance(2) ? [random.word(), random.word()] : [victim.low + random.below(victim.heap.length * 4), victim.high])
  },
  'rewrites the lines of flags': ({ ring }, random) => scribble(ring, 16, 64, 500, random),
  'floods the doorbell': ({ doorbell }) => {
    for (let i = 0; i < 300; i++) addon.ringDoorbell(doorbell)
  },
  'rewrites the tables of the allocator': ({ heap }, random) => {
    const { spanCount, spanBytes } = heapGeometry(heap.byteLength)
    scribble(heap, 0, Directory.WORD + spanCount * 2, 100, random)
    for (let i = 0; i < 100; i++) {
      const start = random.below(spanCount) * spanBytes / 4
      scribble(heap, start, start + 64, 10, random)
    }
  },
  'rewrites results and arguments while they are read': ({ heap }, random) => {
    const { firstSpan, spanBytes } = heapGeometry(heap.byteLength)
    const start = firstSpan * spanBytes / 4
    scribble(heap, start, Math.min(heap.length, start + (1 << 16)), 5000, random)
  },
}
