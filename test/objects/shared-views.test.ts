// What read and write of something shared hand out: read-only in read, dead after both.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RpcError } from '../../src/base/errors.js'
import {
  addressOf, array, assign, build, copyGraph, list, locationOf, map, plain, ref, release, same, shared, struct, text, u32, unsafeBytes, unsafeNumbers, viewAt, type View,
} from '../../src/objects/index.js'
import { Heap, HeapSet } from '../../src/memory/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'
import { Arena, FRESH_WORD } from '../support/arena.js'
import { All, everyField, Inner, writes } from './every-write.js'

const Holder = struct('VisitedHolder', { all: shared(All), other: shared(list(u32)), inside: shared(struct('Outer', { inner: shared(list(u32)) })) })
type Value = View<typeof All>

function made(byteLength = 1 << 18): { readonly arena: Arena, readonly holder: View<typeof Holder>, readonly bytes: () => Buffer } {
  const arena = new Arena(byteLength)
  arena.region.membership = { member: 1, isGone: () => false, attend: () => undefined, inquire: () => undefined }
  const holder = build(Holder, arena, { all: everyField, other: [1, 2, 3], inside: { inner: [] } })
  return { arena, holder, bytes: () => Buffer.from(arena.region.u8) }
}

/** Every view that a value leads to, by name, and a use of it that reads. */
const reads: Readonly<Record<string, (all: Value) => () => unknown>> = {
  'a number': (all) => () => all.small,
  'a big integer': (all) => () => all.big,
  'a text': (all) => () => all.name,
  'bytes': (all) => () => all.data,
  'numbers': (all) => () => all.samples,
  'a struct by value': ({ inner }) => () => inner.n,
  'what is behind a ref': ({ other }) => () => other!.n,
  'a list': ({ words }) => () => words.length,
  'an iterator of a list': ({ words }) => { const steps = words.values(); return () => steps.next() },
  'an array': ({ pair }) => () => pair.at(0),
  'a map': ({ counts }) => () => counts.get('a'),
  'an iterator of a map': ({ counts }) => { const steps = counts.keys(); return () => steps.next() },
  'a set': ({ tags }) => () => tags.has('x'),
  'a sorted map': ({ sorted }) => () => sorted.get(1),
  'an optional': (all) => () => all.maybe,
  'a union': (all) => () => all.either,
  'json': ({ doc }) => () => doc['n'],
  'an array of json': ({ doc }) => () => doc.list[0],
  'fast json': ({ quick }) => () => (quick as unknown as { n: number }).n,
  'plain': (all) => () => plain(all),
  'an address': (all) => () => addressOf(all),
}

const ended = { code: 'FAILED_PRECONDITION', message: /used after that has ended.*plain\(view\)/ }

test('no view that read hands out writes: each write of each kind says so, and changes nothing', () => {
  for (const [what, write] of Object.entries(writes)) {
    const { holder, bytes } = made()
    const before = bytes()
    const refused = (error: unknown): boolean => RpcError.is(error) && error.code === 'FAILED_PRECONDITION' && /inside of read.*use write\(\)/.test(error.message)
    assert.throws(() => holder.all.read((all) => write(all as Value)), refused, what)
    assert.ok(bytes().equals(before), `${what}: it changed something`)
    holder.all.write((all) => void write(all))
    assert.ok(!bytes().equals(before), `${what}: it is no write`)
  }
})

/** All words of all blocks, but those of lock, sequence and journal. */
function wordsOf(arena: Arena, holder: View<typeof Holder>): ReadonlyMap<string, Int32Array> {
  const contents = arena.contents()
  const { region, word } = locationOf(holder.all)
  const block = contents.get(`${region.high}:${locationOf(holder).word}`)!
  block.fill(0, word - locationOf(holder).word, word - locationOf(holder).word + 4)
  for (let at = word + 2; region.i32[at] !== 0;) {
    const journal = region.resolve(region.i32[at + 1]!, region.i32[at]!, 2)
    assert.ok(contents.delete(`${region.high}:${journal}`))
    at = journal
  }
  return contents
}

/** Throws unless a write that throws leaves everything as it was. */
function undone({ arena, holder }: ReturnType<typeof made>, what: string, write: (all: Value) => unknown): void {
  const before = plain(holder)
  const words = wordsOf(arena, holder)
  assert.throws(() => holder.all.write((value) => {
    write(value)
    assert.notDeepEqual(plain(value), before.all, `${what}: it is no write`)
    throw new RangeError('no')
  }), /no/, what)
  assert.deepEqual(plain(holder), before, what)
  const after = wordsOf(arena, holder)
  assert.deepEqual([...after.keys()], [...words.keys()], what)
  // But what nobody has written yet.
  for (const [block, was] of words) after.get(block)!.forEach((now, i) => assert.ok(now === was[i] || was[i] === FRESH_WORD, `${what}: word ${i} of ${was.length} was ${was[i]}, and is ${now}`))
}

test('each write of each kind is undone when its function throws, also one after the other', () => {
  const further: typeof writes = {
    'a ref to a new object': (view) => assign(view, { other: { n: 7 } }),
    'map: many keys': (view) => { for (let i = 0; i < 900; i++) view.counts.set(`key number ${i}`, i) },
    'sorted map: many keys': (view) => { for (let i = 0; i < 900; i++) view.sorted.set(i, `value number ${i}`) },
    'json: an element that is far away': (view) => { view.doc.list[20] = 1 },
    'json: reverse': (view) => { view.doc.list.reverse() },
    'json: length, longer': (view) => { view.doc.list.length = 9 },
  }
  const all = Object.entries({ ...writes, ...further })
  /** With a journal, which the first write makes. */
  const written = (): ReturnType<typeof made> => {
    const one = made(1 << 22)
    one.holder.all.write((value) => { value.small = 1 })
    return one
  }
  const twice = written()
  for (const [i, [what, write]] of all.entries()) {
    const once = written()
    undone(once, what, write)
    // What others left behind, room for more among it.
    undone(twice, what, write)
    twice.holder.all.write((value) => void write(value))
    if (i % 8 === 0) undone(twice, `all after ${what}`, (value) => { for (const [, other] of all) other(value) })
    twice.holder.all.write((value) => { assign(value, everyField) })
  }
})

test('what changes large containers a little, or much, is undone word by word', () => {
  const text = (i: number): string => `${i} and ${'more '.repeat(i % 7)}`
  const steps: Readonly<Record<string, (all: Value, n: number) => unknown>> = {
    'a key more': ({ counts }, n) => counts.set(`fresh ${n}`, n), 'a key less': ({ counts }, n) => counts.delete(text(n * 7 % 400)), 'many keys more': ({ counts }, n) => { for (let i = 0; i < 250; i++) counts.set(`many ${n} ${i}`, i) },
    'many keys less': ({ counts }) => { for (const key of [...counts.keys()].slice(0, 150)) counts.delete(key) }, 'keys thinned': ({ counts }) => { for (const [i, key] of [...counts.keys()].entries()) if (i % 3 !== 0) counts.delete(key) },
    'an entry more': ({ sorted }, n) => sorted.set(n * 1000 + 500, text(n)), 'an entry less': ({ sorted }, n) => sorted.delete([...sorted.keys()][n * 5] ?? 0), 'many entries less': ({ sorted }) => { for (const key of [...sorted.keys()].slice(50, 200)) sorted.delete(key) },
    'entries thinned': ({ sorted }) => { for (const [i, key] of [...sorted.keys()].entries()) if (i % 4 !== 0) sorted.delete(key) }, 'nearly all entries less': ({ sorted }) => { for (const key of [...sorted.keys()].slice(3)) sorted.delete(key) },
    'a key of json more': ({ doc }, n) => { (doc['many'] as { [key: string]: unknown })[`fresh ${n}, with memory`] = text(n) }, 'a key of json less': ({ doc }, n) => delete (doc['many'] as { [key: string]: unknown })[`key ${n}`],
    'an element of json more': ({ doc }, n) => doc.list.push(n, text(n)), 'a tag less': ({ tags }, n) => tags.delete(text(n)), 'a word in the middle': ({ words }, n) => words.splice(n, 1, text(n), text(n + 1)),
  }
  const large = made(1 << 22)
  large.holder.all.write((all) => {
    for (let i = 0; i < 400; i++) {
      all.counts.set(text(i), i)
      all.sorted.set(i, text(i))
      all.tags.add(text(i))
    }
    all.words.push(...Array.from({ length: 90 }, (_, i) => text(i)))
    all.doc['many'] = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`key ${i}`, text(i)]))
  })
  for (let n = 0; n < 4; n++) {
    for (const [what, step] of Object.entries(steps)) {
      undone(large, `${what}, ${n}`, (all) => step(all, n))
      large.holder.all.write((all) => void step(all, n))
    }
  }
})

test('of a map and a sorted map that are emptied one by one each step is undone word by word', () => {
  const few = made(1 << 20)
  few.holder.all.write((all) => {
    for (let i = 0; i < 420; i++) all.counts.set(`${i}`, i)
    for (let i = 0; i < 200; i++) all.sorted.set(i, '')
    all.data = new Uint8Array()
    assign(all, { quick: null, doc: { list: [] } })
  })
  for (let i = 0; i < 420; i++) {
    const key = i * 11 % 420
    const one = (all: Value): unknown => [all.counts.delete(`${key}`), all.sorted.delete(key)]
    undone(few, `the deletion of ${key}`, one)
    few.holder.all.write((all) => void one(all))
  }
})

test('nor is live memory handed out by read, an object freed, or a write begun inside', () => {
  const { arena, holder, bytes } = made()
  const before = bytes()
  const inRead = (work: (all: Value) => unknown): void => {
    assert.throws(() => holder.all.read((all) => work(all as Value)), { code: 'FAILED_PRECONDITION', message: /use write\(\)/ })
  }
  inRead((all) => unsafeBytes(all, 'data'))
  inRead((all) => unsafeNumbers(all, 'samples'))
  inRead((all) => release(arena, all.other!))
  assert.throws(() => holder.inside.read(({ inner }) => (inner as View<typeof Holder>['other']).write(() => 1)), /use write\(\)/)
  assert.ok(bytes().equals(before))
  assert.deepEqual(holder.inside.read(({ inner }) => inner.read((numbers) => numbers.toArray())), [])
})

test('what read and write hand out is dead when they have ended, also while a later one runs', () => {
  const { holder, bytes } = made()
  for (const form of ['read', 'write'] as const) {
    for (const [what, use] of Object.entries(reads)) {
      const kept = holder.all[form]((all) => {
        const again = use(all as Value)
        again()
        return again
      })
      assert.throws(kept, ended, `${what}, of ${form}`)
      assert.throws(() => holder.all.write(kept), ended)
      assert.throws(() => holder.all.read(kept), ended)
    }
    let all: Value | undefined
    holder.all[form]((value) => { all = value as Value })
    const before = bytes()
    for (const [what, write] of Object.entries(writes)) assert.throws(() => write(all!), ended, `${what}, of ${form}`)
    assert.ok(bytes().equals(before))
    assert.throws(() => holder.all.write((again) => { again.other = all!.other }), ended)
  }
})

test('a read inside of a write may only read, a write inside of it goes on writing, and each has its own views', () => {
  const { holder } = made()
  holder.all.write((all) => {
    all.small = 7
    let looked: Value | undefined
    assert.equal(holder.all.read((inner) => (looked = inner as Value).small), 7)
    assert.throws(() => holder.all.read((inner) => { (inner as Value).small = 8 }), /use write\(\)/)
    assert.throws(() => looked!.small, ended)
    let written: Value | undefined
    holder.all.write((inner) => { (written = inner).small = 9 })
    assert.throws(() => written!.small, ended)
    assert.equal(all.small, 9)
    all.small = 10
  })
  holder.other.read((numbers) => {
    holder.all.write((all) => { all.small = numbers.length })
    assert.equal(numbers.at(0), 1)
  })
  assert.equal(holder.all.read((all) => all.small), 3)
})

test('what is async is refused at once by read as by write, and finds its views dead', async () => {
  const { holder } = made()
  const found: unknown[] = []
  for (const form of ['read', 'write'] as const) {
    const late: (all: unknown) => unknown = async (all) => {
      await Promise.resolve()
      try {
        return (all as Value).small = 99
      } catch (error) {
        found.push(error)
        throw error
      }
    }
    assert.throws(() => holder.all[form](late), { code: 'INVALID_ARGUMENT', message: new RegExp(`given to ${form} must not be async`) })
  }
  await new Promise((resolve) => { setImmediate(resolve) })
  assert.equal(found.length, 2)
  for (const error of found) assert.match(String(error), /after that has ended/)
  assert.equal(holder.all.read((all) => all.small), 1)
})

test('a function that a read runs again has the views of this time only', () => {
  const { arena, holder } = made()
  const { i32 } = arena.region
  const sequence = arena.region.resolve(arena.region.high, Number(BigInt.asIntN(32, BigInt(addressOf(holder.all)))), 2) + 1
  const seen: Value[] = []
  assert.equal(holder.all.read((all) => {
    if (seen.push(all as Value) < 3) i32[sequence]! += 2
    return all.small
  }), 1)
  assert.equal(seen.length, 3)
  for (const one of seen) assert.throws(() => one.small, ended)
})

test('pointers into another heap of the connection stay inside the visit, too', () => {
  const { arena, holder, bytes } = made()
  arena.continueElsewhere()
  const far = build(Inner, arena, { n: 5 })
  holder.all.write((all) => { all.other = far })
  const before = bytes()
  assert.equal(holder.all.read((all) => all.other!.n), 5)
  assert.throws(() => holder.all.read((all) => { (all as Value).other!.n = 6 }), /use write\(\)/)
  let kept: View<typeof Inner> | undefined
  holder.all.write((all) => { kept = all.other! })
  assert.throws(() => kept!.n, ended)
  assert.equal(far.n, 5)
  assert.ok(bytes().equals(before))
})

test('an object that a write reaches by a ref: it is kept by its address, pointed to, copied, and freed when the write has happened', () => {
  const Node = struct('KeptNode', { n: u32, name: text })
  const Index = struct('NodeIndex', { byName: shared(map(text, ref(Node))), copies: list(Node) })
  const arena = new Arena(1 << 18)
  arena.region.membership = { member: 1, isGone: () => false, attend: () => undefined, inquire: () => undefined }
  const index = build(Index, arena, { byName: [] })
  const node = build(Node, arena, { n: 1, name: 'a name that takes memory' })
  index.byName.write((byName) => { byName.set('a', node).set('again', byName.get('a')!) })
  assert.ok(index.byName.read((byName) => same(byName.get('again') ?? null, node)))
  const address = index.byName.read((byName) => addressOf(byName.get('a')!))
  assert.equal(viewAt(Node, arena.region, address).name, 'a name that takes memory')
  assert.equal(index.byName.read((byName) => copyGraph(byName.get('a')!, arena)).n, 1)
  index.byName.read((byName) => index.copies.push(byName.get('a')!))
  assert.equal(index.copies.at(0)!.n, 1)
  const { live } = arena
  assert.throws(() => index.byName.write((byName) => {
    release(arena, byName.get('a')!)
    throw new RangeError('no')
  }), /no/)
  assert.equal(arena.live, live)
  assert.equal(node.n, 1)
  index.byName.write((byName) => {
    release(arena, byName.get('a')!)
    byName.clear()
  })
  assert.throws(() => { release(arena, node) }, RpcError)
})

test('a part of another object is no object to free, inside of a write neither', () => {
  const Row = struct('FreedRow', { name: text })
  const Table = struct('FreedTable', { rows: shared(struct('FreedRows', { byName: map(text, Row), refs: list(ref(Row)), large: list(ref(struct('Large', { numbers: array(u32, 50_000) }))) })) })
  const heaps = new HeapSet((space) => {
    const heap = new Heap(new ArrayBuffer(8 << 20), HEAPS_BASE, 1, space)
    heap.region.membership = heap
    return heap
  })
  const table = build(Table, heaps, { rows: { byName: [['a', { name: 'a name that takes memory' }]], refs: [{ name: 'another name with memory' }], large: [{ numbers: Array.from({ length: 50_000 }, () => 7) }] } })
  const { liveBlocks, largeBlocks } = heaps.stats()
  assert.throws(() => { table.rows.write(({ byName }) => { release(heaps, byName.get('a')!) }) }, { code: 'INVALID_ARGUMENT', message: /FreedRow.*a part of another object/ })
  table.rows.write(({ refs, large }) => {
    release(heaps, refs.at(0)!)
    release(heaps, large.at(0)!)
    refs.clear()
    large.clear()
  })
  const after = heaps.stats()
  // The journal has come; gone are the blocks of two lists, a row, its name and the large one.
  assert.deepEqual([after.largeBlocks, after.liveBlocks - liveBlocks], [largeBlocks - 1, 1 - 5])
})

test('what is printed of something shared is all there', async () => {
  const { inspect } = await import('node:util')
  const { holder } = made()
  assert.match(inspect(holder.all, { depth: 5 }), /WrittenInner \{ n: 1 \}[^]*'one word of three'/)
  assert.doesNotMatch(inspect(holder, { depth: 9 }), /ended/)
})
