// A published heap is its server's alone to write: the kernel keeps clients from it, and the server does not write there for them, whatever the pointers
// and journals in the memory that they do write lead to.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressOf, json, list, map, method, nothing, ref, RpcError, type Server, serve, service, shared, sortedMap, struct, text, u32, type View } from '../../src/index.js'
import { ObjectHeap } from '../../src/calls/heaps/object-heap.js'
import type { Region } from '../../src/memory/index.js'
import { Ground } from '../support/ground.js'

const Price = struct('Price', { amount: u32, name: text, tags: list(u32) })
const Tags = struct('Tags', { of: list(u32) })
const Names = struct('Names', { of: map(text, u32) })
const Order = struct('Order', { of: sortedMap(text, u32) })
const Note = struct('Note', { of: json })
const Link = struct('Link', { of: ref(Price) })
const Tally = struct('Tally', { of: shared(map(text, u32)) })

const Shop = service('shop', {
  tags: method(1, Tags, nothing), names: method(2, Names, nothing), order: method(3, Order, nothing), note: method(4, Note, nothing), link: method(5, Link, nothing),
  tally: method(6, Tally, nothing), price: method(7, nothing, ref(Price)), passed: method(8, ref(Price), nothing),
})

/** Words of a heap, as a native program sees them. */
function wordsOf(heap: ObjectHeap): Region {
  return ObjectHeap.heapsOf(heap).region
}

for (const kind of ['own', 'shared'] as const) {
  test(`in the ${kind} heap of a client nothing leads the server to write into what it publishes`, async (t) => {
    await using ground = await Ground.open(t)
    let work: (of: never) => void = () => undefined
    const handle = (argument: { readonly of: unknown }): void => work(argument.of as never)
    const server: Server = ground.owns(await serve(ground.channel, Shop, {
      tags: handle, names: handle, order: handle, note: handle, link: handle, tally: handle,
      price: () => price,
      passed: (one) => {
        one!.amount = 1
      },
    }, { publishedHeapBytes: 1 << 20, ...(kind === 'shared' ? { sharedHeapBytes: 4 << 20 } : {}) }))
    const { published } = server
    const entries = ['one', 'two', 'three'].map((name, i) => [name, i] as const)
    const price: View<typeof Price> = published.new(Price, { amount: 42, name: 'a published name', tags: [1, 2, 3] })
    const [tags, names, order, note] = [
      published.new(Tags, { of: [1, 2, 3] }), published.new(Names, { of: entries }), published.new(Order, { of: entries }), published.new(Note, { of: { paid: false } }),
    ]
    // What looks like an empty journal, and like a committed one with frees to do.
    const [empty, committed] = [[0, 0, 6, 8, 0, 0, 0, 0], [0, 0, 9, 10, 1, 0, 3, 0, 0, 0]].map((of) => published.new(Tags, { of }))
    const there = wordsOf(published)
    const wordOf = (heap: Region, view: object): number => heap.resolve(Math.floor(addressOf(view) / 2 ** 32), addressOf(view) | 0, 2)
    /** The two words of a published object's first pointer. */
    const pointerIn = (view: object): readonly number[] => [...there.i32.subarray(wordOf(there, view) + 2, wordOf(there, view) + 4)]
    const conn = ground.owns(await ground.connectTo(Shop))
    const here = wordsOf(conn.heap)
    const before = there.i32.slice()
    const [at] = pointerIn(names)
    const chunks = there.resolve(there.i32[there.resolve(there.high, at!, 16) + 11]!, there.i32[there.resolve(there.high, at!, 16) + 10]!, 2)
    const record = (words: readonly number[]): number => {
      const made = conn.heap.new(Tags, { of: words })
      return here.i32[wordOf(here, made) + 2]!
    }

    const attacks: ReadonlyArray<readonly [what: string, method: (argument: never) => Promise<unknown>, argument: object, aim: (word: number) => void, works: ReadonlyArray<(of: never) => void>]> = [
      ['a list', conn.tags, conn.heap.new(Tags, { of: [7, 8, 9] }), (w) => here.i32.set(pointerIn(tags), w + 2), [
        (of: number[]) => (of[0] = 666), (of: number[]) => of.fill(666), (of: number[]) => of.splice(0, 1), (of: number[] & { clear(): void }) => of.clear(),
      ]],
      ['a list with room', conn.tags, conn.heap.new(Tags, { of: [7] }), (w) => here.i32.set([...pointerIn(tags), 1, 3], w + 2), [(of: number[]) => of.push(666)]],
      ['a map', conn.names, conn.heap.new(Names, { of: [['mine', 1]] }), (w) => here.i32.set(pointerIn(names), w + 2), [
        (of: Map<string, number>) => of.set('one', 666), (of: Map<string, number>) => of.set('four', 666), (of: Map<string, number>) => of.delete('one'),
        (of: Map<string, number>) => of.clear(),
      ]],
      ['a chunk of a map', conn.names, conn.heap.new(Names, { of: [['mine', 1]] }), (w) => {
        const table = here.resolve(here.i32[w + 3]!, here.i32[w + 2]!, 16)
        here.i32.set(there.i32.subarray(chunks, chunks + 2), here.resolve(here.i32[table + 11]!, here.i32[table + 10]!, 2))
      }, [(of: Map<string, number>) => of.set('four', 666), (of: Map<string, number>) => of.set('one', 666), (of: Map<string, number>) => of.delete('one')]],
      ['a sorted map', conn.order, conn.heap.new(Order, { of: [['mine', 1]] }), (w) => here.i32.set(pointerIn(order), w + 2), [
        (of: Map<string, number>) => of.set('one', 666), (of: Map<string, number>) => of.set('four', 666), (of: Map<string, number>) => of.delete('one'),
      ]],
      ['a document', conn.note, conn.heap.new(Note, { of: { mine: 1 } }), (w) => here.i32.set(pointerIn(note), w + 2), [
        (of: { paid: boolean }) => (of.paid = true), (of: { more: number }) => (of.more = 666), (of: { paid?: boolean }) => delete of.paid,
      ]],
      ['a ref', conn.link, conn.heap.new(Link, { of: await conn.price() }), () => undefined, [
        (of: { amount: number }) => (of.amount = 666), (of: { name: string }) => (of.name = 'theirs'), (of: { tags: number[] }) => of.tags.push(666),
        (of: object) => ObjectHeap.prototype.free.call(conn.heap, of),
      ]],
      ...([
        ['a journal of saved words', () => [record([0, 0, 10, 10, 0, 0, 1 | 1 << 2, addressOf(price) + 4 | 0, there.high, 666]), here.high]],
        ['a journal that begins there', () => pointerIn(empty!)],
        ['a committed journal there', () => pointerIn(committed!)],
        ['a journal that goes on there', () => [record([...pointerIn(empty!), 6, 6, 0, 0]), here.high]],
      ] as const).map(([what, journal]) => [what, conn.tally, conn.heap.new(Tally, { of: entries }), (w: number) => here.i32.set(journal(), w + 4), [
        (of: { write(change: (tally: Map<string, number>) => unknown): void }) => of.write((tally) => tally.set('one', 666)),
      ]] as const),
    ]
    for (const [what, call, argument, aim, works] of attacks) {
      aim(wordOf(here, argument))
      for (work of works) {
        await assert.rejects(call(argument as never), (error) => RpcError.is(error) && ['FAILED_PRECONDITION', 'INVALID_ARGUMENT'].includes(error.code), `${what}: ${String(work)}`)
        assert.deepEqual(there.i32, before, `${what}: ${String(work)}`)
      }
    }
    await assert.rejects(conn.passed(await conn.price()), { code: 'FAILED_PRECONDITION' })
    assert.deepEqual(there.i32, before)
    price.amount = 43
    assert.equal((await conn.price())?.amount, 43, 'the server itself writes there')
  })
}

test('what a server publishes inside of a write stays when the write is undone, and whoever comes next does not meet it', async (t) => {
  await using ground = await Ground.open(t)
  const server: Server = ground.owns(await serve(ground.channel, service('tallies', { tally: method(1, nothing, ref(Tally)) }), { tally: () => tally }, {
    publishedHeapBytes: 1 << 20, sharedHeapBytes: 4 << 20,
  }))
  const price = server.published.new(Price, { amount: 42, name: 'a published name', tags: [1, 2, 3] })
  const tally: View<typeof Tally> = server.heap.new(Tally, { of: [['one', 1]] })
  assert.throws(() => tally.of.write((of) => {
    of.set('one', 2)
    price.amount = 43
    price.name = 'another published name'
    throw new Error('stop')
  }), /stop/)
  assert.deepEqual([price.amount, price.name, tally.of.read((of) => of.get('one'))], [43, 'another published name', 1])
  tally.of.write((of) => of.set('one', 3))
  assert.equal(tally.of.read((of) => of.get('one')), 3)
})
