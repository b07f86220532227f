// What a hostile client does to its server.
import { addressOf, type View } from '../../src/index.js'
import { Directory, heapGeometry } from '../../src/layout/heap-layout.js'
import { ControlWord, SlotSize, slotWord } from '../../src/layout/control-layout.js'
import { addon } from '../../src/sys/index.js'
import { Bag, Chain, Everything, Point, Tree } from '../support/everything.js'
import type { Random } from '../support/random.js'
import { type HostileClient, type Pointer, SLOTS } from './hostile-client.js'

export interface Attack {
  readonly random: Random
  readonly over: () => boolean
  /** Where objects of another connection to the same server begin. */
  readonly secretAddresses: readonly number[]
  /** A fresh connection. */
  readonly open: () => Promise<HostileClient>
}

// Those whose handlers would wait or work as long as they are told are left out.
const methods: readonly number[] = Object.values(Everything.methods).map(({ id }) => id).filter((id) => ![9, 10, 12, 14, 15, 16].includes(id))
const { echo, copy, text, sumTree, sumChain, bag, blobLength, add, points, blob } = Everything.methods

function pointerTo(address: number): Pointer {
  return [address | 0, Math.floor(address / 2 ** 32)]
}

/** A connection at a time, again when the server ends it; a step may take a few thousand stores. */
function persistently(step: (peer: HostileClient, attack: Attack) => void | Promise<void>): (attack: Attack) => Promise<void> {
  return async (attack) => {
    while (!attack.over()) {
      const peer = await attack.open()
      while (!attack.over() && !peer.isGone) {
        await step(peer, attack)
        await peer.turn()
      }
      await peer.close()
    }
  }
}

/** Requests as long as slots are free, whatever they are answered. */
function inEverySlot(peer: HostileClient, make: () => void): void {
  for (let free = peer.collect(); free > 0 && !peer.isGone; free--) make()
}

/** A pointer of every sort that a program should not follow. */
function wild(peer: HostileClient, { random, secretAddresses }: Attack): Pointer {
  switch (random.below(8)) {
    case 0: return [random.word(), random.word()]
    case 1: return [random.word(), 0x4000 + random.below(64)]
    case 2: return pointerTo(random.one(secretAddresses) + (random.chance(2) ? 0 : random.below(64) * 8))
    case 3: return peer.pointer(random.below(peer.heap.length) + (random.chance(2) ? 0.25 : 0))
    case 4: return peer.pointer(peer.heap.length - random.below(4))
    case 5: return peer.pointer(random.below(256))
    case 6: return [random.nasty(), random.nasty()]
    default: return peer.pointer(random.below(peer.heap.length))
  }
}

const ring = persistently((peer, { random }) => {
  const end = slotWord(SLOTS)
  for (let i = 0; i < 2000; i++) {
    const word = random.chance(20) ? random.below(slotWord(0)) : slotWord(0) + random.below(end - slotWord(0))
    peer.ring[word] = random.chance(4) ? peer.ring[word]! + random.one([1, -1, 2]) : random.nasty()
  }
  peer.wake()
})

const sequences = persistently((peer, { random }) => {
  for (let i = 0; i < 500; i++) {
    const at = slotWord(random.below(SLOTS))
    for (let word = 1; word < SlotSize.WORDS; word++) peer.ring[at + word] = random.nasty()
    // What the server waits for, so that every request is taken.
    Atomics.store(peer.ring, at, Atomics.load(peer.ring, at) + 1)
    peer.wake()
  }
})

const requests = persistently((peer, attack) => {
  inEverySlot(peer, () => {
    peer.request(attack.random.chance(20) ? attack.random.nasty() | 0x100 : attack.random.one(methods), wild(peer, attack), attack.random.nasty())
  })
})

const lines = persistently((peer, { random }) => {
  for (let i = 0; i < 1000; i++) peer.ring[ControlWord.CLIENT_LINE + random.below(32)] = random.nasty()
  inEverySlot(peer, () => peer.request(add.id, peer.pointer(random.below(1000))))
})

const flood = persistently((peer) => {
  for (let i = 0; i < 300; i++) peer.ringDoorbell()
})

const garbage = persistently((peer, { random }) => {
  const bytes = Uint8Array.from({ length: 5000 }, () => random.below(256))
  for (let i = 0; i < 20 && !peer.isGone; i++) {
    try {
      addon.sendMessage(peer.doorbell, bytes)
    } catch {
      // The server has closed it already.
    }
  }
})

/** No turn of the event loop: nothing ever reads the socket. */
async function deaf({ open, over }: Attack): Promise<void> {
  const peer = await open()
  while (!over()) {
    peer.claimAsleep()
    inEverySlot(peer, () => peer.request(Everything.methods.nothing.id, [0, 0]))
  }
  await peer.close()
}

const allocator = persistently((peer, { random }) => {
  const geometry = heapGeometry(peer.heap.byteLength)
  const spanWords = geometry.spanBytes / 4
  for (let i = 0; i < 1000; i++) {
    const span = random.below(geometry.spanCount)
    const word = random.chance(2) ? random.below(Directory.WORD + geometry.spanCount * 2) : span * spanWords + random.below(Math.min(64, spanWords))
    peer.heap[word] = random.chance(3) ? random.nasty() : peer.heap[word]! ^ (1 << random.below(32))
  }
  inEverySlot(peer, () => peer.request(random.one([text.id, points.id, blob.id, copy.id]), [random.below(3000), 0]))
})

/** Valid objects, rewritten at full speed while the server reads them. */
function rewriting(build: (peer: HostileClient) => readonly (readonly [method: number, view: object])[]): (attack: Attack) => Promise<void> {
  const built = new WeakMap<HostileClient, readonly (readonly [method: number, address: number])[]>()
  return persistently((peer, { random }) => {
    const targets = built.get(peer) ?? build(peer).map(([method, view]) => [method, addressOf(view)] as const)
    built.set(peer, targets)
    inEverySlot(peer, () => {
      const [method, address] = random.one(targets)
      peer.request(method, pointerTo(address))
    })
    const { region } = peer.connection.heaps.set
    const starts = targets.map(([, address]) => region.resolve(Math.floor(address / 2 ** 32), address | 0, 1))
    for (let i = 0; i < 3000; i++) {
      const word = Math.min(peer.heap.length - 1, random.one(starts) + random.below(random.one([8, 64, 4096])))
      const was = peer.heap[word]!
      peer.heap[word] = random.chance(2) ? was ^ (1 << random.below(32)) : random.nasty()
      if (random.chance(2)) peer.heap[word] = was
    }
  })
}

const long = 'a text that is long enough for a record of its own, ünd wide: '
const texts = rewriting((peer) => Array.from({ length: 20 }, (_, i) => [add.id, peer.connection.heap.new(Point, { x: i, y: i, label: (i % 2 === 0 ? long : `${long}漢字`).repeat(1 + i * 20) })]))
const containers = rewriting((peer) => Array.from({ length: 10 }, (_, i) => [bag.id, peer.connection.heap.new(Bag, {
  words: Array.from({ length: i * 10 }, (_, n) => `word ${n} ${long}`), counts: new Map(Array.from({ length: i * 20 }, (_, n) => [`key number ${n}`, n])),
  blob: new Uint8Array(i * 1000), note: long, grid: [1, 2, 3, 4], shape: { kind: 'point', value: { x: 1, y: 2, label: long } }, on: true,
})]))
const graphs = rewriting((peer) => Array.from({ length: 10 }, (_, i) => [sumTree.id, peer.connection.heap.new(Tree, {
  value: i, name: long, children: Array.from({ length: i }, (_, n) => ({ value: n, name: `${n}`, children: [{ value: 1, name: long }] })),
})]))

/** Objects that point to each other: a loop over them must end. */
const cycles = persistently((peer, { random }) => {
  const known = cyclic.get(peer)
  const chain = known ?? peer.connection.heap.new(Chain, { value: 1, next: { value: 2, next: { value: 3 } } })
  if (known === undefined) chain.next!.next!.next = chain
  cyclic.set(peer, chain)
  inEverySlot(peer, () => peer.request(random.one([sumChain.id, echo.id, copy.id, blobLength.id]), pointerTo(addressOf(chain))))
})
const cyclic = new WeakMap<HostileClient, View<typeof Chain>>()

export const clientAttacks: Readonly<Record<string, (attack: Attack) => Promise<void>>> = {
  'rewrites all words of the ring at random': ring,
  'publishes requests of random words': sequences,
  'sends wild, interior, misaligned and foreign pointers': requests,
  'rewrites its line of flags': lines,
  'floods the doorbell': flood,
  'sends garbage through the doorbell': garbage,
  'never reads its doorbell and always claims to sleep': deaf,
  'rewrites the tables of the allocator': allocator,
  'rewrites texts while they are read': texts,
  'rewrites lists, maps and unions while they are read': containers,
  'rewrites graphs and struct headers while they are walked': graphs,
  'sends endless cycles': cycles,
}
