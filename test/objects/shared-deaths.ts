// The holder of a lock dies at every one of its stores: the memory as it left it is given to the next to come, which must find the value
// as it was before the write or as it is after it, with all of its memory accounted for; and dies itself at each of its stores.
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { RpcError } from '../../src/base/errors.js'
import { addressHigh, addressLow, type Address } from '../../src/base/numbers.js'
import { Heap, HeapSet } from '../../src/memory/index.js'
import { addressOf, build, cellOf, isView, map, plain, release, shared, struct, text, u32, type AnyType, type MapView, type Plain, type SharedView, type View } from '../../src/objects/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'
import type { Random } from '../support/random.js'
import { applyStore, StoreRecorder, type Store } from '../support/store-recorder.js'

const HEAP_BYTES = 320 << 10
/** Of each size from here on that an innocent member takes between a death and the repair. */
const INNOCENT_SIZES = [16, 32, 64, 128, 256, 512, 1024, 4096]
const INNOCENT_COUNT = 6
const READER = 9
const INNOCENT_WORD = 0x0123_4567
/** In which a write gives memory back and empties its journal. */
const LAST_STORES = 30

/** A value in `shared`, and a write to it. */
export interface Scenario {
  readonly name: string
  readonly type: AnyType
  readonly value: unknown
  readonly change: (value: unknown) => void
  readonly kind: Kind
  readonly heapBytes: number
}

/**
 * The first write of all, when there is no journal yet; one that throws in the end, and undoes itself; one that was done before, so that
 * there is room for what it adds; any other.
 */
export type Kind = 'first' | 'throws' | 'again' | 'usual'

export function scenario<T extends AnyType>(
  name: string, type: T, value: Plain<T>, change: (value: View<T>) => void, kind: Kind = 'usual', heapBytes = HEAP_BYTES,
): Scenario {
  return { name, type, value, change: change as (value: unknown) => void, kind, heapBytes }
}

/** Which of so many stores somebody dies after. */
export type Pick = (stores: number) => Iterable<number>

export interface Deaths {
  readonly stores: number
  readonly deaths: number
  readonly secondDeaths: number
}

interface Holder {
  readonly held: SharedView<unknown, unknown>
  readonly other: SharedView<View<typeof Other>, Plain<typeof Other>>
}
const Other = map(text, u32)
const OTHER = new Map([['another', 1], ['one that nobody changes', 2]])

/** Kills a writer after the stores that are picked, and whoever repairs after stores of its own. Throws where anything was lost. */
export function dieAtStores(given: Scenario, first: Pick, second: Pick): Deaths {
  const HolderType = struct('DeathHolder', { held: shared(given.type), other: shared(Other) })
  const heapOver = (buffer: ArrayBuffer, member: number, dead: readonly number[]): HeapSet => new HeapSet((space) => {
    const heap = new Heap(buffer, HEAPS_BASE, member, space)
    for (const one of dead) heap.memberDied(one)
    return heap
  })
  const holderOf = (heaps: HeapSet, address: Address): Holder =>
    cellOf(HolderType).read(heaps.region, addressLow(address) | 0, addressHigh(address)) as Holder

  const writer = new StoreRecorder(new Int32Array(given.heapBytes / 4))
  const { address, image, before, after, stores } = writer.run(() => {
    const heaps = heapOver(writer.buffer, 1, [])
    const holder = build(HolderType, heaps, { held: given.value, other: OTHER } as never) as unknown as Holder
    if (given.kind === 'again') holder.held.write(given.change)
    else if (given.kind !== 'first') failToChange(holder, given)
    const value = plain(holder.held)
    const image = writer.image()
    writer.take()
    if (given.kind === 'throws') failToChange(holder, given)
    else holder.held.write(given.change)
    const stores = writer.take()
    if (given.kind === 'throws') holder.held.write(given.change)
    return { address: addressOf(holder), image, before: value, after: plain(holder.held), stores }
  })
  assert.ok(!isDeepStrictEqual(before, after), `${given.name}: the write changes nothing`)

  /** What the next finds in the memory that the dead have left. */
  const judge = (left: Int32Array, dead: readonly number[], where: string): boolean => {
    const { buffer } = left.slice()
    const [next, innocent] = [dead.length + 1, dead.length + 2]
    const others = heapOver(buffer, innocent, dead)
    const taken = takeSome(others)
    const heaps = heapOver(buffer, next, dead)
    const holder = holderOf(heaps, address)
    try {
      const found = holder.held.read(plain)
      const isDone = isDeepStrictEqual(found, after)
      assert.ok(!isDone || given.kind !== 'throws', 'a write that throws has happened')
      if (!isDone) assert.deepStrictEqual(found, before)
      lookUp(holder.held, found, isDone ? before : after)
      assert.deepStrictEqual(holder.other.read(plain), OTHER)
      holder.held.write(given.change)
      if (!isDone) {
        assert.deepStrictEqual(holder.held.read(plain), after)
        lookUp(holder.held, after, before)
      }
      holder.other.write((values) => values.set('another', 3))
      for (const word of taken) assert.equal(others.region.i32[word], INNOCENT_WORD, 'memory of somebody else was written')
      release(heaps, holder)
      for (const word of taken) others.free(others.region, word)
      others.collect()
      heaps.collect()
      others.collect()
      const [mine, theirs] = [heaps.stats(), others.stats()]
      const lost = mine.liveBlocks + theirs.liveBlocks - keptBlocks
      assert.ok(lost >= 0 && lost <= dead.length, `${lost} blocks are lost`)
      assert.equal(mine.refusedFrees + theirs.refusedFrees, 0, 'frees were refused')
      return isDone
    } catch (error) {
      throw new Error(`${given.name}, ${where}: ${error instanceof Error ? error.stack : String(error)}`, { cause: error })
    }
  }
  /** What another member reads while the writer lives: what is there between two writes, or nothing yet. */
  const readBeside = (left: Int32Array): unknown => {
    const heaps = heapOver(left.slice().buffer, READER, [])
    try {
      return holderOf(heaps, address).held.read(plain, { timeoutMs: 0 })
    } catch (error) {
      if (RpcError.is(error) && error.code === 'DEADLINE_EXCEEDED') return undefined
      throw error
    }
  }
  // Shapes of json stay.
  let keptBlocks = 0
  keptBlocks = keptAfterRelease(image.slice(), (buffer) => heapOver(buffer, 2, [1]), (heaps) => holderOf(heaps, address))

  const count = { stores: stores.length, deaths: 0, secondDeaths: 0 }
  const kills = new Set(first(stores.length))
  let done = false
  for (let k = 0; k <= stores.length; k++) {
    if (k > 0) applyStore(image, stores[k - 1]!)
    if (!kills.has(k)) continue
    const beside = readBeside(image)
    if (beside === undefined) assert.ok(k > 0 && k < stores.length, `${given.name}: there is no write, and a read waits`)
    else assert.deepStrictEqual(beside, isDeepStrictEqual(beside, after) && given.kind !== 'throws' ? after : before, `${given.name}, store ${k}: what is read meanwhile`)
    const where = `death after store ${k} of ${stores.length}`
    const isDone = judge(image, [1], where)
    assert.ok(isDone || !done, `${given.name}, ${where}: the write was undone after it had happened`)
    done = isDone
    count.deaths++
    const repairs = repairOf(image, (buffer) => holderOf(heapOver(buffer, 2, [1]), address))
    const secondKills = new Set(second(repairs.length))
    const left = image.slice()
    for (let j = 0; j <= repairs.length; j++) {
      if (j > 0) applyStore(left, repairs[j - 1]!)
      if (!secondKills.has(j)) continue
      assert.equal(judge(left, [1, 2], `${where}, and of the next after store ${j} of ${repairs.length}`), isDone)
      count.secondDeaths++
    }
  }
  return count
}

/** What iteration has shown is found by its keys, and what is not there is not. */
function lookUp(held: Holder['held'], content: unknown, other: unknown): void {
  if (!(content instanceof Map || content instanceof Set)) return
  held.read((view) => {
    const keyed = view as MapView<unknown, unknown, unknown>
    assert.equal(keyed.size, content.size)
    for (const [key, value] of content.entries()) {
      assert.ok(keyed.has(key), `${String(key)} is not found`)
      if (content instanceof Map) assert.deepStrictEqual(isView(keyed.get(key)) ? plain(keyed.get(key)) : keyed.get(key), value)
    }
    for (const key of (other as typeof content).keys()) if (typeof key !== 'object' && !content.has(key)) assert.ok(!keyed.has(key), `${String(key)} is found`)
  })
}

class OfTheTest extends Error {}

function failToChange({ held }: Holder, { change }: Scenario): void {
  assert.throws(() => held.write((value) => {
    change(value)
    throw new OfTheTest()
  }), OfTheTest)
}

function repairOf(image: Int32Array, enter: (buffer: ArrayBuffer) => Holder): readonly Store[] {
  const recorder = new StoreRecorder(image)
  return recorder.run(() => {
    const { held } = enter(recorder.buffer)
    held.write(() => undefined)
    return recorder.take()
  })
}

function keptAfterRelease(image: Int32Array, enter: (buffer: ArrayBuffer) => HeapSet, holderOf: (heaps: HeapSet) => Holder): number {
  const heaps = enter(image.buffer as ArrayBuffer)
  release(heaps, holderOf(heaps))
  heaps.collect()
  return heaps.stats().liveBlocks
}

/** Blocks of many sizes, each full of one word: what a member does that has nothing to do with the write. */
function takeSome(heaps: HeapSet): number[] {
  const taken: number[] = []
  for (const bytes of INNOCENT_SIZES) {
    for (let i = 0; i < INNOCENT_COUNT; i++) {
      const word = heaps.allocate(bytes)
      heaps.region.i32.fill(INNOCENT_WORD, word, word + bytes / 4)
      taken.push(word)
    }
  }
  return taken
}

/** So many of the stores, half of them where the write ends. */
export function pickSome(random: Random, count: number): Pick {
  return (stores) => Array.from({ length: count }, (_, i) => i % 2 === 0 ? random.below(stores + 1) : Math.max(0, stores - random.below(LAST_STORES)))
}

/** All of them, or so many where there are more. */
export function pickMost(random: Random, count: number): Pick {
  return (stores) => stores <= count ? Array.from({ length: stores + 1 }, (_, i) => i) : pickSome(random, count)(stores)
}
