// One of several processes that read and change the same things in one heap, until somebody kills it or says stop.
import assert from 'node:assert/strict'
import { Heap, HeapSet } from '../../src/memory/index.js'
import { bytes, cellOf, f64, i32, json, list, map, numbers, optional, shared, sortedMap, struct, text, u32, set, union, plain, assign, type Plain, type ReadonlyView, type View } from '../../src/objects/index.js'
import { addressHigh, addressLow, type Address } from '../../src/base/numbers.js'
import { HEAPS_BASE, Mapping } from '../../src/sys/index.js'
import { Random } from '../support/random.js'

export const HEAP_BYTES = 16 << 20
export const TABLE_BYTES = 1 << 16
export const TABLE_ADDRESS = 0x4002_0000_0000 as Address

const Mark = struct('Mark', { total: u32, name: text })
const Any = union({ text, mark: Mark, words: list(text) })
export const Words = struct('Words', {
  counts: map(text, u32), order: sortedMap(text, u32), seen: set(u32), log: list(text), byMember: map(u32, i32), total: u32, document: json,
  title: text, raw: bytes, values: numbers(f64), note: optional(text), any: Any, latest: map(u32, Any),
})
export const Store = struct('Store', { words: shared(Words) })
export type Store = View<typeof Store>

/** What `document` holds: the same again, as JSON. */
export interface Document {
  total: number
  readonly counts: Record<string, number>
  readonly last: string[]
}

/** Words of the table: 0 stop, 1 count of the dead, 2 … members that died; from 1024 two a member: writes begun, writes done. */
export const STOP = 0
export const DEAD_COUNT = 1
export const DEAD = 2
export const ROWS = 1024

export interface Ground {
  readonly heap: Heap
  readonly set: HeapSet
  readonly table: Int32Array
  unmap(): void
}

/** Maps both files, as a member. */
export function enter(heapFd: number, tableFd: number, member: number): Ground {
  const heapMapping = Mapping.map(heapFd, HEAPS_BASE, HEAP_BYTES)
  const tableMapping = Mapping.map(tableFd, TABLE_ADDRESS, TABLE_BYTES)
  const table = new Int32Array(tableMapping.buffer)
  const heaps: Heap[] = []
  const heapSet = new HeapSet((space) => {
    const heap = new Heap(heapMapping.buffer, HEAPS_BASE, member, space)
    heaps.push(heap)
    return heap
  })
  const [heap] = heaps as [Heap]
  let heard = 0
  // What the daemon would tell.
  heap.onAttend = () => {
    const count = Atomics.load(table, DEAD_COUNT)
    while (heard < count) heap.memberDied(Atomics.load(table, DEAD + heard++))
  }
  return {
    heap, set: heapSet, table,
    unmap() {
      heapMapping.unmap()
      tableMapping.unmap()
    },
  }
}

export function storeAt(ground: Ground, address: number): Store {
  return cellOf(Store).read(ground.set.region, addressLow(address) | 0, addressHigh(address)) as Store
}

/** The same number in values of every kind. */
export function valuesOf(total: number): Pick<Plain<typeof Words>, 'title' | 'raw' | 'values' | 'note' | 'any'> {
  return {
    title: titleOf(total), raw: new Uint8Array(total % 60).fill(total), values: Array.from({ length: total % 9 }, () => total),
    note: total % 3 === 0 ? undefined : titleOf(total), any: anyOf(total),
  }
}

function anyOf(total: number): Plain<typeof Any> {
  const name = titleOf(total)
  return total % 3 === 0 ? { kind: 'text', value: name } : total % 3 === 1 ? { kind: 'mark', value: { total, name } } : { kind: 'words', value: [name, name] }
}

function titleOf(total: number): string {
  return `${'all '.repeat(total % 7)}the words are ${total}`
}

/** What holds between all the parts, whoever died when. */
export function checkStore(words: ReadonlyView<typeof Words>): void {
  const counts = new Map(words.counts)
  assert.deepEqual([...words.order], [...counts].sort(([a], [b]) => a < b ? -1 : 1))
  assert.equal([...counts.values()].reduce((sum, count) => sum + count, 0), words.total)
  assert.equal([...words.byMember.values()].reduce((sum, count) => sum + count, 0), words.total)
  assert.equal(words.log.length, words.total % 100)
  assert.equal(words.seen.size, counts.size)
  const { title, raw, values, note, any } = plain(words)
  assert.deepEqual({ title, raw, values, note, any }, { ...valuesOf(words.total), values: new Float64Array(words.total % 9).fill(words.total) })
  for (const [member, value] of words.latest) assert.deepEqual(plain(value), anyOf(words.byMember.get(member)!))
  const { total, counts: again, last } = words.document as unknown as Document
  assert.equal(total, words.total)
  assert.deepEqual(new Map(Object.entries(again)), counts)
  assert.ok(last.length <= 20 && last.every((word) => /^the word of number \d+$/.test(word)), last.join())
}

/** Counts words until told to stop. */
export function runAgent(heapFd: number, tableFd: number, member: number, address: number): number {
  const ground = enter(heapFd, tableFd, member)
  const { table, heap } = ground
  const store = storeAt(ground, address)
  const random = new Random(member * 7919)
  let done = 0
  for (let step = 0; Atomics.load(table, STOP) === 0; step++) {
    if (step % 16 === 0) store.words.read(checkStore)
    if (step % 64 === 0) heap.attend()
    const id = random.below(random.chance(2) ? 40 : 400)
    const word = `the word of number ${id}`
    Atomics.store(table, ROWS + member * 2, done + 1)
    store.words.write((words) => {
      const document = words.document as unknown as Document
      const count = (words.counts.get(word) ?? 0) + 1
      words.counts.set(word, count)
      words.order.set(word, count)
      words.seen.add(id)
      if (words.total % 100 === 99) words.log.clear()
      else words.log.push(word)
      words.byMember.set(member, (words.byMember.get(member) ?? 0) + 1)
      words.total++
      document.total = words.total
      document.counts[word] = count
      document.last.push(word)
      if (document.last.length > 20) document.last.splice(0, 5)
      if (words.log.length > 0 && random.chance(30)) words.log.splice(0, 1, 'the first one, replaced')
      // Some words are taken out again, with all that was counted.
      if (random.chance(8) && count < 5) {
        words.counts.delete(word)
        words.order.delete(word)
        words.seen.delete(id)
        words.total -= count
        document.total -= count
        delete document.counts[word]
        words.log = Array.from({ length: words.total % 100 }, () => 'a new log') as never
        words.byMember.set(0, words.byMember.get(0)! - count)
      }
      assign(words, valuesOf(words.total))
      words.latest.set(member, anyOf(words.byMember.get(member)!))
      if (random.chance(50)) words.latest.delete(member)
    })
    done++
    Atomics.store(table, ROWS + member * 2 + 1, done)
  }
  heap.collect()
  ground.unmap()
  return done
}
