import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { RpcError } from '../../src/base/errors.js'
import type { Membership } from '../../src/memory/region.js'
import { array, bytes, build, copyGraph, f64, list, locationOf, map, optional, plain, ref, release, set, shared, sortedMap, struct, text, u16, u32, u8, union } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'
import { Random } from '../support/random.js'

const Part = struct('Part', { id: u32, name: text })
const Everything = struct('Everything', {
  small: u8, half: u16, number: f64, name: text, raw: bytes, items: list(u32), texts: list(text), parts: list(Part), byName: map(text, Part), names: set(text),
  sorted: sortedMap(text, Part), note: optional(text), any: union({ text, part: Part }), link: ref(Part), three: array(text, 3),
})
const Holder = struct('Holder', { all: shared(Everything), words: shared(map(text, u32)) })

class Member implements Membership {
  readonly gone = new Set<number>()
  constructor(readonly member: number) {}
  isGone(member: number): boolean {
    return this.gone.has(member)
  }

  attend(): void {}

  inquire(): void {}
}

function holding(arena: Arena): Member {
  const member = new Member(1)
  arena.region.membership = member
  return member
}

const start = {
  all: {
    small: 1, half: 2, number: 0.5, name: 'a name with memory', raw: new Uint8Array(20).fill(7), items: [1, 2, 3], texts: ['a', 'a text with memory'],
    parts: [{ id: 1, name: 'a part with memory' }], byName: new Map([['first', { id: 1, name: 'n' }], ['a key with memory', { id: 2, name: 'a name with memory' }]]),
    names: new Set(['x', 'a name with memory']), sorted: new Map(Array.from({ length: 120 }, (_, i) => [`key number ${i}`, { id: i, name: 'a part in order' }] as const)),
    note: 'a note with memory', any: { kind: 'part' as const, value: { id: 3, name: 'a part in a union' } }, link: null, three: ['a', 'b, a text with memory', 'c'],
  },
  words: new Map([['one', 1]]),
}

type All = Parameters<Parameters<ReturnType<typeof make>['all']['write']>[0]>[0]
function make(arena: Arena): ReturnType<typeof build<typeof Holder>> {
  return build(Holder, arena, start)
}

const changes: ReadonlyArray<(all: All, n: number) => void> = [
  (all, n) => { all.small = n % 256 },
  (all, n) => { all.half = n },
  (all, n) => { all.number = n / 3 },
  (all, n) => { all.name = `name number ${n} with memory` },
  (all, n) => { all.raw = new Uint8Array(n % 40) },
  (all, n) => { all.items.push(n) },
  (all, n) => { if (all.items.length > 0) all.items.set(n % all.items.length, n) },
  (all, n) => all.items.splice(n % 5, 1, n, n),
  (all) => { all.texts.pop() },
  (all, n) => { all.texts.push(`text number ${n} with memory`, 'b') },
  (all, n) => { all.texts.splice(0, 1, `text number ${n}`) },
  (all, n) => { for (const part of all.parts) part.name = `another name ${n} with memory` },
  (all) => all.parts.clear(),
  (all, n) => { all.byName.set(`key number ${n % 30} with memory`, { id: n, name: 'a new name' }) },
  (all, n) => { all.byName.delete(`key number ${n % 30} with memory`) },
  (all, n) => { for (let i = 0; i < 40; i++) all.byName.set(`many ${i + n % 10}`, { id: i, name: 'many' }) },
  (all) => { for (const key of all.byName.keys()) if (key.startsWith('many')) all.byName.delete(key) },
  (all) => all.byName.clear(),
  (all, n) => { all.names.add(`name ${n % 9} with memory`) },
  (all, n) => { for (let i = 0; i < 60; i++) all.sorted.set(`key number ${(n + i * 7) % 300}`, { id: i, name: 'new' }) },
  (all, n) => { for (let i = 0; i < 90; i++) all.sorted.delete(`key number ${(n + i) % 300}`) },
  (all) => all.sorted.clear(),
  (all, n) => { all.note = n % 2 === 0 ? undefined : `a note of ${n} with memory` },
  (all, n) => { all.any = n % 2 === 0 ? { kind: 'text', value: `a text of ${n} with memory` } : { kind: 'part', value: { id: n, name: 'p' } } },
  (all) => { const part = all.byName.get('first'); if (part !== undefined) part.id = 99 },
  (all, n) => { all.items = [n, n] as never },
  (all, n) => { all.texts.fill(`filled with ${n}`, n % 3) },
  (all, n) => { all.parts.copyWithin(n % 3, 0) },
  (all, n) => { all.parts.push({ id: n, name: 'a part that was added' }) },
  (all, n) => { all.texts.length = Math.min(all.texts.length, n % 4) },
  (all) => { all.texts.shift() },
  (all) => { all.three.reverse() },
  (all, n) => { all.three.fill(`three times ${n}`, n % 3).sort() },
]

test('a write that throws has not happened: every container is as before, and no memory is lost or freed twice', () => {
  const step = fc.record({ change: fc.nat(changes.length - 1), n: fc.nat(60_000) })
  fc.assert(fc.property(fc.array(fc.record({ steps: fc.array(step, { minLength: 1, maxLength: 8 }), fails: fc.boolean() }), { maxLength: 12 }), (writes) => {
    const arena = new Arena(1 << 19)
    holding(arena)
    const holder = make(arena)
    const twinArena = new Arena(1 << 19)
    holding(twinArena)
    const twin = make(twinArena)
    holder.all.write((all) => { all.small = 1 })
    for (const { steps, fails } of writes) {
      const { live } = arena
      const run = (all: All): void => {
        for (const { change, n } of steps) changes[change]!(all, n)
      }
      if (fails) {
        assert.throws(() => holder.all.write((all) => {
          run(all)
          throw new RangeError('no')
        }), /no/)
        assert.equal(arena.live, live)
      } else {
        holder.all.write(run)
        twin.all.write(run)
      }
      assert.deepEqual(plain(holder), plain(twin))
    }
    release(arena, holder)
    arena.assertEmpty()
  }), { numRuns: 100 })
})

test('a write that went on after memory had run out has happened as a whole, or not at all', () => {
  for (const change of changes) {
    for (let allocations = 0, isOut = true; isOut; allocations++) {
      const arena = new Arena(1 << 19)
      holding(arena)
      const holder = make(arena)
      const before = plain(holder)
      isOut = false
      try {
        holder.all.write((all) => {
          all.texts.push('what the write did before, long enough for memory of its own')
          arena.failAfter(allocations)
          try {
            change(all, 7)
          } catch (error) {
            assert.ok(RpcError.is(error) && error.code === 'RESOURCE_EXHAUSTED', String(error))
            isOut = true
          } finally {
            arena.failAfter(Infinity)
          }
        })
      } catch (error) {
        assert.ok(RpcError.is(error) && error.code === 'RESOURCE_EXHAUSTED', String(error))
        assert.deepEqual(plain(holder), before)
      }
      const now = plain(holder)
      holder.all.read((all) => {
        assert.deepEqual([all.byName.size, all.sorted.size, all.names.size], [now.all.byName.size, now.all.sorted.size, now.all.names.size])
        for (const [key, { id }] of now.all.byName) assert.equal(all.byName.get(key)?.id, id)
        for (const key of now.all.sorted.keys()) assert.ok(all.sorted.has(key))
      })
      release(arena, holder)
      arena.assertEmpty()
    }
  }
})

test('nothing is freed inside of its own write, which needs its lock to the end', () => {
  const arena = new Arena()
  holding(arena)
  const holder = make(arena)
  for (let i = 0; i < 2; i++) {
    assert.throws(() => holder.all.write((all) => {
      all.small = 9
      release(arena, holder)
    }), { code: 'FAILED_PRECONDITION', message: /cannot be freed inside of its own write/ })
    assert.equal(plain(holder).all.small, 1)
  }
  release(arena, holder)
  arena.assertEmpty()
})

test('whoever comes after a holder that died undoes what was half done', () => {
  for (let stop = 0; stop < 400; stop += 1 + Math.floor(stop / 20)) {
    const arena = new Arena(1 << 19)
    const member = holding(arena)
    const holder = make(arena)
    holder.all.write((all) => { all.small = 1 })
    const before = plain(holder)
    const image = { words: arena.region.i32.slice() }
    let count = 0
    // The memory as it was after so many changes: what a holder that died then has left.
    const region = arena.region as { -readonly [K in keyof typeof arena.region]: (typeof arena.region)[K] }
    const real = region.i32
    try {
      holder.all.write((all) => {
        for (const change of changes) {
          change(all, 7)
          if (count++ === stop % changes.length) image.words = real.slice()
        }
        throw new RangeError('no')
      })
    } catch (error) {
      assert.ok(error instanceof RangeError)
    }
    real.set(image.words)
    member.gone.add(1)
    arena.region.membership = Object.assign(new Member(2), { isGone: (one: number) => one === 1 })
    assert.deepEqual(holder.all.read((all) => all.small), 1)
    assert.deepEqual(plain(holder), before)
  }
})

test('one write at a time; reads inside writes; nothing async', () => {
  const arena = new Arena(1 << 19)
  holding(arena)
  const holder = make(arena)
  assert.equal(holder.words.write((words) => {
    words.set('two', 2)
    holder.words.write((same) => same.set('three', 3))
    assert.deepEqual(holder.words.read((same) => [...same.keys()]), ['one', 'two', 'three'])
    return words.size
  }), 3)
  assert.throws(() => holder.words.write(() => holder.all.write(() => 1)), /one write at a time/)
  let written = 0
  assert.throws(() => holder.words.read(() => holder.words.write(() => written++)), /a write inside of a read/)
  assert.equal(written, 0)
  assert.throws(() => holder.words.write((words) => Promise.resolve(words.set('four', 4)) as never), /must not be async/)
  for (const form of ['read', 'write'] as const) assert.throws(() => holder.words[form](undefined as never), { code: 'INVALID_ARGUMENT', message: /takes a function/ })
  assert.deepEqual(plain(holder.words), new Map([['one', 1], ['two', 2], ['three', 3]]))
  holder.words = [['new', 5]] as never
  assert.deepEqual(JSON.parse(JSON.stringify(holder.words)), { new: 5 })
  const copy = copyGraph(holder, arena)
  assert.deepEqual(plain(copy), plain(holder))
  release(arena, copy)
  release(arena, holder)
  arena.assertEmpty()
})

test('what is made of something shared that changes meanwhile is an error, and leaves nothing', () => {
  const arena = new Arena(1 << 19)
  holding(arena)
  const holder = make(arena)
  const { region, word } = locationOf(holder.all)
  const { live } = arena
  const allocate = arena.allocate.bind(arena)
  for (const again of [() => build(Holder, arena, { ...start, all: holder.all }), () => copyGraph(holder, arena)]) {
    arena.allocate = (byteLength) => {
      region.i32[word + 1]! += 2
      return allocate(byteLength)
    }
    assert.throws(again, { code: 'ABORTED' })
    arena.allocate = allocate
    region.i32[word + 1]! |= 1
    assert.throws(again, { code: 'ABORTED' })
    region.i32[word + 1]!++
    assert.equal(arena.live, live)
    const made = again()
    assert.deepEqual(plain(made), plain(holder))
    release(arena, made)
  }
  release(arena, holder)
  arena.assertEmpty()
})

test('what another member holds and never gives back ends in an error, for readers and writers', () => {
  const arena = new Arena(1 << 19)
  holding(arena)
  const holder = make(arena)
  const { word } = locationOf(holder.words)
  for (const timeoutMs of [NaN, -1, 'soon' as never]) {
    assert.throws(() => holder.words.read(() => 0, { timeoutMs }), { code: 'INVALID_ARGUMENT', message: /timeoutMs/ })
    assert.throws(() => holder.words.write(() => 0, { timeoutMs }), { code: 'INVALID_ARGUMENT', message: /timeoutMs/ })
  }
  arena.region.i32[word] = 7
  assert.throws(() => holder.words.write((words) => words.set('x', 1), { timeoutMs: 30 }), { code: 'DEADLINE_EXCEEDED' })
  assert.equal(holder.words.read((words) => words.get('one')), 1)
  arena.region.i32[word + 1] = 1
  assert.throws(() => holder.words.read((words) => words.get('one'), { timeoutMs: 30 }), { code: 'DEADLINE_EXCEEDED' })
  // With nobody at the lock, or a number that no member has, nobody is waited for.
  for (const nobody of [0, -1, 1 << 20]) {
    arena.region.i32.set([nobody, 5], word)
    assert.equal(holder.words.read((words) => words.get('one'), { timeoutMs: 30 }), 1)
    arena.region.i32.set([nobody, 5], word)
    holder.words.write((words) => words.set('one', 1), { timeoutMs: 30 })
    assert.equal(arena.region.i32[word + 1]! & 1, 0)
  }
  arena.region.i32.set([0, 5], word)
  arena.region.readOnly = true
  assert.throws(() => holder.words.read((words) => words.get('one'), { timeoutMs: 30 }), { code: 'DEADLINE_EXCEEDED', message: /being changed whenever/ })
  arena.region.readOnly = false
  arena.region.i32.set([7, 5], word)
  assert.throws(() => holder.words.read((words) => words.get('one'), { timeoutMs: 30 }), { code: 'DEADLINE_EXCEEDED', message: /member 7 / })
  // In a private copy nobody will ever end the write.
  arena.region.isPrivate = true
  assert.throws(() => holder.words.read((words) => words.get('one')), { code: 'ABORTED' })
  arena.region.isPrivate = false
  arena.region.membership = null
  assert.throws(() => holder.words.write((words) => words.set('x', 1)), { code: 'FAILED_PRECONDITION' })
  assert.throws(() => shared(text), RpcError)
})

test('whatever a peer writes into lock, sequence and journal: an error or a value, soon', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = new Random(seed)
    const arena = new Arena(1 << 18)
    const member = holding(arena)
    const holder = make(arena)
    holder.words.write((words) => {
      for (let i = 0; i < 40; i++) words.set(`key number ${i}`, i)
    })
    const { region, word } = locationOf(holder.words)
    const { i32 } = region
    const journal = region.resolve(i32[word + 3]!, i32[word + 2]!, 2)
    for (let i = 0; i < 1 + random.below(6); i++) {
      if (random.chance(2)) i32[word + random.below(6)] = random.nasty()
      else i32[journal + random.below(40)] = random.chance(3) ? region.lowOf(word) : random.nasty()
    }
    if (random.chance(2)) member.gone.add(i32[word]!)
    for (const work of [
      () => holder.words.read((words) => [...words], { timeoutMs: 2 }),
      () => holder.words.write((words) => words.set('a new key with memory', 5), { timeoutMs: 2 }),
      () => release(arena, holder),
    ]) {
      try {
        work()
      } catch (error) {
        if (!RpcError.is(error)) throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
      }
    }
  }
})

/** Points the journal of `words` to records that a peer wrote: blocks, each of so many words in use, at words of the arena from its middle on. */
function forge(arena: Arena, holder: ReturnType<typeof make>, blocks: ReadonlyArray<readonly [word: number, words: readonly number[]]>): void {
  const { region, word: p } = locationOf(holder.words)
  for (const [i, [word, words]] of blocks.entries()) {
    const next = blocks[i + 1]
    region.i32.set(words, word)
    region.i32[word] = next === undefined ? 0 : region.lowOf(next[0])
    region.i32[word + 1] = next === undefined ? 0 : region.high
  }
  region.i32[p + 2] = region.lowOf(blocks[0]![0])
  region.i32[p + 3] = region.high
  arena.region.i32[p] = 0
}

test('journals whose blocks lie over each other, or lead round in circles, are not gone through', () => {
  const RECORDS = 30_000
  for (const [blocks, apart] of [[20, 10], [2, 0]] as const) {
    const arena = new Arena(1 << 20)
    holding(arena)
    const holder = make(arena)
    const first = 1 << 16
    const last = first + 10 * blocks + RECORDS * 3
    arena.region.i32.fill(2, first, last)
    const heads = Array.from({ length: blocks }, (_, i) => first + i * apart)
    forge(arena, holder, heads.map((word) => [word, [0, 0, last - word, last - word, 1, 0]]))
    if (apart === 0) arena.region.i32.set([arena.region.lowOf(first), arena.region.high], first)
    const looked = { at: 0 }
    arena.free = () => {
      looked.at++
    }
    assert.throws(() => holder.words.write((words) => words.set('x', 1)), /lie over each other, or lead round in circles/)
    assert.equal(looked.at, 0)
  }
})

test('frees that a peer wrote into a journal are refused so many times only, and what it holds is undone the latest first', () => {
  const arena = new Arena(1 << 20)
  holding(arena)
  const holder = make(arena)
  const { region } = arena
  const block = 1 << 16
  const target = region.lowOf(block - 2)
  const frees = Array.from({ length: 20_000 }, () => [3, target, region.high]).flat()
  forge(arena, holder, [[block, [0, 0, 6 + frees.length, 6 + frees.length, 1, 0, ...frees]]])
  let refused = 0
  const free = arena.free.bind(arena)
  arena.free = (home, word) => {
    refused++
    free(home, word)
  }
  holder.words.write((words) => words.set('x', 1))
  assert.ok(refused > 0 && refused < 2000, `${refused} frees`)
  // Two blocks, each of which says twice what the word was.
  const saves = (...values: readonly number[]): number[] => [0, 0, 6 + values.length * 4, 6 + values.length * 4, 0, 0, ...values.flatMap((value) => [1 | 1 << 2, target, region.high, value])]
  forge(arena, holder, [[block, saves(11, 12)], [block + 100, saves(13, 14)]])
  holder.words.write((words) => words.set('x', 1))
  assert.equal(region.i32[block - 2], 11)
})

test('an iterator that was left half-way in a read keeps nobody from writing', () => {
  const arena = new Arena(1 << 19)
  holding(arena)
  const holder = make(arena)
  const left = holder.all.read((all) => {
    const keys = all.sorted.keys()
    assert.equal(keys.next().value, 'key number 0')
    return [keys]
  })
  holder.all.write((all) => {
    all.sorted.set('another key', { id: 1, name: 'a name' })
    all.sorted.clear()
  })
  assert.throws(() => left[0]!.next(), { code: 'FAILED_PRECONDITION' })
})
