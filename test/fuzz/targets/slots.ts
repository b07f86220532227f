// The ring of a connection as a hostile client writes it, to a server's real end, with seals that come and go: every request is answered, with a
// value or an error, or ends the connection; no seal is completed that is not there; nothing else happens.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { HotSet } from '../../../src/calls/server/hot-set.js'
import { passing, type ServerMethod } from '../../../src/calls/service/method.js'
import { MethodTable } from '../../../src/calls/server/method-table.js'
import { ObjectHeap } from '../../../src/calls/heaps/object-heap.js'
import { Poller } from '../../../src/calls/waiting/poller.js'
import { ServerEnd } from '../../../src/calls/server/server-end.js'
import { waitingPolicy } from '../../../src/calls/waiting/waiting.js'
import { Request, Slot, slotWord } from '../../../src/layout/control-layout.js'
import { DESCRIPTOR_COMPLETED, descriptorWord, sealDescriptorsBytes } from '../../../src/layout/seal-layout.js'
import { Heap, HeapSet, pagesOf } from '../../../src/memory/index.js'
import { bytes, list, locationOf, map, nothing, plain, ref, struct, text, u32, union, type AnyType } from '../../../src/objects/index.js'
import { type Isolation, SealReader, SealVerifier } from '../../../src/safety/index.js'
import { DescriptorWriter } from '../../../src/safety/seals/descriptors.js'
import { acceptUnix, addon, connectUnix, HEAPS_BASE, listenUnix } from '../../../src/sys/index.js'
import type { Random } from '../../support/random.js'
import type { FuzzTarget } from '../target.js'

const SLOTS = 8
const HEAP_BYTES = 256 * 1024
/** A connection costs as much as many requests. */
const STEPS = 64
const PAGES = HEAP_BYTES / 4096
const DESCRIPTORS = 8
const MAX_NODES = 200
const MAX_POINTERS = 2000

const Item = struct('SlotItem', { id: u32, name: text, tags: list(text), counts: map(text, u32), raw: bytes, any: union({ n: u32, text }), get next() { return ref(Item) } })

function methods(): MethodTable {
  const table = new MethodTable()
  let id = 1
  const add = (argument: AnyType, result: AnyType, isolation: Isolation, run: (argument: unknown) => unknown): void => {
    const method: ServerMethod = {
      id: id++, name: `m${id}`, isolation, argument: passing(argument), result: passing(result), handler: { takes: 'argument', self: undefined, run },
    }
    table.set(method)
  }
  const look = (value: unknown): number => JSON.stringify(plain(value, { maxNodes: MAX_NODES }))?.length ?? 0
  for (const isolation of ['none', 'snapshot', 'auto', 'seal'] as const) {
    add(Item, u32, isolation, look)
    add(Item, Item, isolation, (item) => item)
    add(list(Item), u32, isolation, look)
    add(text, text, isolation, (value) => value)
    add(u32, u32, isolation, (value) => value)
    add(nothing, nothing, isolation, () => undefined)
    add(map(text, Item), u32, isolation, look)
  }
  return table
}

const METHODS = 28

/** Seals as a sealer publishes them, over the pages of the heap; its descriptors in memory of this process. */
class Seals {
  readonly words: Int32Array
  readonly verifier: SealVerifier
  readonly #writer: DescriptorWriter
  readonly #word = new Int32Array(DESCRIPTORS)
  /** Every word that was ever sealed, by descriptor. */
  readonly #sealed = Array.from({ length: DESCRIPTORS }, () => new Set([0]))

  constructor() {
    const buffer = new ArrayBuffer(sealDescriptorsBytes(DESCRIPTORS))
    this.words = new Int32Array(buffer)
    this.#writer = new DescriptorWriter(buffer, DESCRIPTORS, PAGES)
    this.verifier = new SealVerifier(buffer, DESCRIPTORS, PAGES, { now: 0, liveSince: () => true })
  }

  /** Seals a descriptor anew, or gives it back, also while a call has it. */
  change(random: Random, page: number): void {
    const index = random.below(DESCRIPTORS)
    const word = ++this.#word[index]!
    if ((word & 1) === 0) return this.#writer.retract(index, word)
    this.#sealed[index]!.add(word)
    return this.#writer.publish(index, word, random.chance(3) ? random.below(PAGES) : page, 1 + random.below(4))
  }

  check(): void {
    for (let i = 0; i < DESCRIPTORS; i++) {
      const completed = this.words[descriptorWord(i) + DESCRIPTOR_COMPLETED]!
      assert.ok(this.#sealed[i]!.has(completed), `descriptor ${i} was completed as ${completed}, which it never was`)
    }
  }
}

class Slots implements FuzzTarget {
  readonly name = 'slots'
  readonly #memory = new ArrayBuffer(HEAP_BYTES)
  readonly #heaps = new HeapSet((space) => new Heap(this.#memory, HEAPS_BASE, 1, space))
  readonly #heap = new ObjectHeap(this.#heaps)
  readonly #methods = methods()
  readonly #poller = new Poller()
  readonly #path = `@rpcool-fuzz-${randomBytes(8).toString('hex')}`
  readonly #listening = listenUnix(this.#path, 'stream', 4)
  /** An object that plausible pointers lead to. */
  readonly #item = this.#heap.new(Item, {
    id: 1, name: 'the name of an item', tags: ['a tag of some length'], counts: new Map([['a key with memory', 1]]), raw: new Uint8Array(20), any: { kind: 'text', value: 'a text of some length' },
    next: { id: 2, name: 'another', tags: [], counts: new Map(), raw: new Uint8Array(), any: { kind: 'n', value: 1 }, next: null },
  })

  readonly #pages = pagesOf(this.#memory, HEAPS_BASE, this.#heaps, 0)
  readonly #itemPage = Math.floor(locationOf(this.#item).word / 1024)
  readonly #around: Int32Array

  constructor() {
    const { region } = this.#heaps
    region.endless = false
    region.allowance = MAX_POINTERS
    this.#around = region.i32.slice()
  }

  tryCase(random: Random): number {
    this.#heaps.region.i32.set(this.#around)
    const client = connectUnix(this.#path, 'stream')
    const words = new Int32Array(1024)
    let expelled = false
    const end = new ServerEnd(words, this.#heaps, acceptUnix(this.#listening)!, this.#poller, new HotSet(this.#poller), {
      channel: 'fuzz', caller: { pid: 1, uid: 1, gid: 1 }, heap: this.#heap, slots: SLOTS, policy: waitingPolicy('spin'), methods: this.#methods, peer: undefined,
      snapshotBytes: 1 << 20, onGone: () => (expelled = true),
      onHandlerError: (error) => { throw new Error('a handler met something that is not an RpcError', { cause: error }) },
    })
    const seals = new Seals()
    if (!random.chance(8)) end.isolation.seals = new SealReader(seals.verifier, this.#pages, { kind: 'enforced', except: [] })
    try {
      const sequence = new Int32Array(SLOTS).fill(1)
      let [slot, step] = [0, 0]
      for (; step < STEPS && !expelled; step++) {
        const at = slotWord(slot)
        const next = random.chance(100) ? random.nasty() & 0xffff : (slot + 1 + random.below(SLOTS - 1)) % SLOTS
        this.#request(words, at, next, random)
        if (random.chance(3)) this.#spoilItem(random)
        if (random.chance(2)) seals.change(random, this.#itemPage)
        Atomics.store(words, at, sequence[slot]!)
        end.poll()
        if (expelled) break
        sequence[slot]! += 2
        assert.equal(words[at], sequence[slot]! - 1, 'every request is answered')
        seals.check()
        slot = next
      }
      assert.equal(end.inHandlers, 0)
      return step
    } finally {
      end.close()
      addon.closeFd(client)
    }
  }

  #request(words: Int32Array, at: number, next: number, random: Random): void {
    const { region, word } = locationOf(this.#item)
    for (let i = 1; i < 16; i++) words[at + i] = random.chance(3) ? random.nasty() : 0
    words[at + Slot.METHOD] = random.chance(20) ? random.nasty() : 1 + random.below(METHODS)
    words[at + Slot.REQUEST] = (random.chance(4) ? random.nasty() & 0xffff : random.one([0, Request.HAS_SCOPE, Request.HAS_SEAL, Request.HAS_TIMEOUT, Request.RETURNS_RESULT])) | (next << Request.NEXT_SHIFT)
    if (!random.chance(4)) {
      words[at + Slot.ARGUMENT] = region.lowOf(word)
      words[at + Slot.ARGUMENT + 1] = region.high
    }
    if (random.chance(2)) {
      words[at + Slot.SCOPE] = region.lowOf(word) & -4096
      words[at + Slot.SCOPE + 1] = region.high
      words[at + Slot.USED] = random.one([4096, 64, 8192, 200_000, 0, random.nasty()])
      if (!random.chance(4)) words[at + Slot.SEAL] = random.below(DESCRIPTORS)
    }
  }

  #spoilItem(random: Random): void {
    const { region, word } = locationOf(this.#item)
    region.i32[word + random.below(24)] = random.chance(2) ? random.nasty() : region.i32[word + random.below(24)]!
  }
}

export const slots = (): FuzzTarget => new Slots()
