// Releases that nobody waits for: they come after answers and by a timer, where an error would end the process.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { RpcError, type StatusName } from '../../../src/base/errors.js'
import { PAGE_BYTES } from '../../../src/base/numbers.js'
import { Heap, HeapSet, PageHeap } from '../../../src/memory/index.js'
import type { SealAuthority, SealTicket } from '../../../src/safety/seals/authority.js'
import { ArgumentSeals, type SealedArgument } from '../../../src/safety/seals/sender/argument-seals.js'
import { HEAPS_BASE } from '../../../src/sys/index.js'

/** Seals and releases at once, and refuses releases beyond so many at a time with the given code. */
class Pretended implements SealAuthority {
  readonly backend = 'userfaultfd'
  readonly strength = { kind: 'cooperative', except: [] } as const
  readonly capacity = 2048
  readonly released: number[] = []
  /** How many each flush released. */
  readonly batches: number[] = []
  room = Infinity
  code: StatusName = 'RESOURCE_EXHAUSTED'
  #next = 0
  readonly #taken = new Set<number>()
  readonly #queued: number[] = []

  get inFlight(): number {
    return this.#taken.size
  }

  queueSeal(): number {
    this.#taken.add(this.#next)
    return this.#next++
  }

  queueRelease(index: number): void {
    if (this.#queued.length >= this.room) throw new RpcError(this.code, 'as pretended')
    this.#queued.push(index)
  }

  flush(): SealTicket {
    if (this.#queued.length > 0) this.batches.push(this.#queued.length)
    for (const index of this.#queued.splice(0)) {
      this.released.push(index)
      this.#taken.delete(index)
    }
    return 0 as SealTicket
  }

  isDone(): boolean {
    return true
  }

  isTaken(index: number): boolean {
    return this.#taken.has(index)
  }

  wait(): void {}
  close(): void {}
  [Symbol.dispose](): void {}
}

/** Arguments of so many calls, of so many bytes, sealed and answered. */
function answered(authority: Pretended, count: number, bytes = 16): { readonly seals: ArgumentSeals, readonly all: readonly SealedArgument[] } {
  const set = new HeapSet((space) => new Heap(new ArrayBuffer(1 << 20), HEAPS_BASE, 1, space))
  const seals = new ArgumentSeals(authority, new PageHeap(new ArrayBuffer(Math.max(64, 2 * count) * PAGE_BYTES), HEAPS_BASE, set), 0)
  const all = Array.from({ length: count }, () => {
    const scope = seals.take()
    scope.allocate(bytes)
    const argument = seals.argument(scope, true)
    seals.ask(argument)
    return argument
  })
  for (const argument of all) argument.end()
  return { seals, all }
}

test('1024 answered calls release their seals together, at once; fewer wait for more, and not for ever', async () => {
  const authority = new Pretended()
  // Longer than a page: the kernel is asked nothing about those, which are no memory of a connection here.
  const { seals } = answered(authority, 1500, PAGE_BYTES + 8)
  assert.deepEqual(authority.batches, [1024])
  assert.equal(seals.inFlight, 1500 - 1024)
  for (let waited = 0; seals.inFlight > 0; waited++) {
    assert.ok(waited < 1000, 'the rest is released')
    await sleep(5)
  }
  assert.deepEqual(authority.batches, [1024, 1500 - 1024])
  seals.close()
})

test('a full queue holds releases up, and loses none', async () => {
  const authority = new Pretended()
  authority.room = 3
  const { seals, all } = answered(authority, 8)
  for (let waited = 0; authority.released.length < 8; waited++) {
    assert.ok(waited < 1000, 'the releases went on')
    await sleep(5)
  }
  assert.deepEqual(authority.released, all.map(({ index }) => index))
  assert.equal(seals.inFlight, 0)
  seals.close()
})

test('the other end goes before the release: it is forgotten, and the process lives', async () => {
  const authority = new Pretended()
  authority.room = 3
  authority.code = 'UNAVAILABLE'
  const { seals } = answered(authority, 8)
  // Longer than answered calls wait for each other; an error of the timer would be this test's.
  await sleep(100)
  assert.deepEqual(authority.released, [])
  seals.releaseAll()
  seals.close()
})
