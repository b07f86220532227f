import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { RpcError } from '../../src/base/errors.js'
import { assign, bool, build, copyGraph, f32, f64, i32, list, locationOf, map, plain, release, set, struct, text, u32, u64, type MapView } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'
import { Random } from '../support/random.js'

const Item = struct('Item', { id: u32, name: text })
const Maps = struct('Maps', { byText: map(text, text), byNumber: map(u32, Item), byBig: map(u64, list(u32)) })
const keys = fc.oneof(fc.constantFrom('a', 'b', 'c', 'a longer key', 'ein Schlüssel', 'κλειδί', '__proto__', ''), fc.string({ maxLength: 12 }))

test('a map does what Map does, and frees what it drops', () => {
  const change = fc.oneof(
    fc.record({ do: fc.constantFrom('set' as const, 'delete' as const, 'get' as const), key: keys, value: fc.string({ maxLength: 20 }) }),
    fc.record({ do: fc.constant('clear' as const), key: fc.constant(''), value: fc.constant('') }),
  )
  fc.assert(fc.property(fc.array(change, { maxLength: 120 }), (run) => {
    const arena = new Arena(1 << 17)
    const holder = build(Maps, arena, {})
    const shared = holder.byText
    const model = new Map<string, string>()
    for (const { do: what, key, value } of run) {
      if (what === 'set') {
        shared.set(key, value)
        model.set(key, value)
      } else if (what === 'delete') assert.equal(shared.delete(key), model.delete(key))
      else if (what === 'clear') {
        shared.clear()
        model.clear()
      }
      assert.deepEqual([shared.get(key), shared.has(key), shared.size], [model.get(key), model.has(key), model.size])
    }
    assert.deepEqual([...shared], [...model])
    assert.deepEqual([...shared.keys()], [...model.keys()])
    assert.deepEqual([...shared.values()], [...model.values()])
    assert.deepEqual(plain(shared), model)
    release(arena, holder)
    arena.assertEmpty()
  }), { numRuns: 200 })
})

test('iterations side by side, all together through more than the memory holds, are no damage', () => {
  const Walked = struct('MapWalked', { m: map(u32, u32) })
  const { m } = build(Walked, new Arena(1 << 16), { m: Array.from({ length: 400 }, (_, i) => [i, i] as const) })
  const walks = Array.from({ length: 20 }, () => m.keys())
  for (const walk of walks) assert.equal(walk.next().value, 0)
  for (const walk of walks) assert.equal([...walk].length, 399)
})

test('an iteration over a map that is replaced meanwhile goes through all of the new one', () => {
  const holder = build(Maps, new Arena(1 << 17), { byText: [['a key that is long', ''], ['b', ''], ['c', '']] })
  const met: string[] = []
  for (const key of holder.byText.keys()) {
    met.push(key)
    if (met.length <= 3) assign(holder, { byText: [['x'.repeat(5 + met.length * 11), ''], ['another key, longer', ''], ['y', '']] })
  }
  assert.deepEqual(met, ['a key that is long', ...[1, 2, 3].map((i) => 'x'.repeat(5 + i * 11)), 'another key, longer', 'y'])
})

test('whoever reads a map learns nothing of how another one hashes, and chooses it for no copy', () => {
  const One = struct('SeedOfMap', { m: map(text, u32) })
  const seedOf = (one: { readonly m: MapView<string, number> }): number => {
    const { region, word } = locationOf(one.m)
    return region.i32[region.resolve(region.i32[word + 1]!, region.i32[word]!, 16) + 2]!
  }
  const arena = new Arena()
  const made = Array.from({ length: 5 }, () => build(One, arena, { m: [['a', 1]] }))
  const filled = build(One, arena, {})
  filled.m.set('a key of some length', 1)
  const copy = copyGraph(filled, arena)
  assert.equal(copy.m.get('a key of some length'), 1)
  const seeds = [...made, filled, copy].map(seedOf)
  assert.equal(new Set(seeds).size, seeds.length)
  assert.ok(seeds.every((seed) => (seed & 1) === 1))
})

test('a set does what Set does, and frees what it drops', () => {
  const Sets = struct('Sets', { names: set(text), numbers: set(i32) })
  const change = fc.record({ do: fc.constantFrom('add' as const, 'add' as const, 'delete' as const, 'clear' as const), key: keys })
  fc.assert(fc.property(fc.array(change, { maxLength: 100 }), (run) => {
    const arena = new Arena(1 << 17)
    const holder = build(Sets, arena, { names: ['a', 'a', 'a name with memory'], numbers: new Set([-1, 5]) })
    const shared = holder.names
    const model = new Set(['a', 'a name with memory'])
    for (const { do: what, key } of run) {
      if (what === 'add') {
        shared.add(key)
        model.add(key)
      } else if (what === 'delete') assert.equal(shared.delete(key), model.delete(key))
      else {
        shared.clear()
        model.clear()
      }
      assert.deepEqual([shared.has(key), shared.size], [model.has(key), model.size])
    }
    assert.deepEqual([...shared], [...model])
    assert.deepEqual([...shared.entries()], [...model.entries()])
    assert.deepEqual(plain(holder), { names: model, numbers: new Set([-1, 5]) })
    assert.deepEqual(JSON.parse(JSON.stringify(holder)), { names: [...model], numbers: [-1, 5] })
    const copy = build(Sets, arena, { names: shared as Iterable<string> })
    assert.deepEqual([...copy.names], [...model])
    release(arena, copy)
    release(arena, holder)
    arena.assertEmpty()
  }), { numRuns: 100 })
})

test('iterating while changing follows the rules of Map', () => {
  const touch = fc.record({ do: fc.constantFrom('set' as const, 'delete' as const, 'clear' as const, 'nothing' as const), key: fc.nat(40) })
  fc.assert(fc.property(fc.array(fc.nat(40), { maxLength: 20 }), fc.array(touch, { maxLength: 60 }), (start, touches) => {
    const arena = new Arena(1 << 17)
    const holder = build(Maps, arena, {})
    const shared = holder.byNumber
    const model = new Map<number, object>()
    for (const key of start) {
      shared.set(key, { id: key, name: 'n' })
      model.set(key, {})
    }
    const queue = [...touches]
    const theirs: number[] = []
    const mine: number[] = []
    const iterator = model.keys()
    for (const key of shared.keys()) {
      theirs.push(key)
      const next = iterator.next()
      if (next.done !== true) mine.push(next.value)
      const step = queue.shift()
      if (step?.do === 'set') {
        shared.set(step.key, { id: 0, name: 'a new name for it' })
        model.set(step.key, {})
      } else if (step?.do === 'delete') {
        shared.delete(step.key)
        model.delete(step.key)
      } else if (step?.do === 'clear') {
        shared.clear()
        model.clear()
      }
      if (theirs.length > 500) break
    }
    assert.deepEqual(theirs, mine)
    release(arena, holder)
    arena.assertEmpty()
  }), { numRuns: 300 })
})

test('maps with integer keys, values by value, and many entries', () => {
  const arena = new Arena(8 << 20)
  const holder = build(Maps, arena, { byBig: new Map([[2n ** 64n - 1n, [1, 2]], [0n, []]]) })
  assert.deepEqual([...holder.byBig.get(2n ** 64n - 1n)!], [1, 2])
  holder.byBig.get(0n)!.push(5)
  assert.deepEqual(plain(holder.byBig), new Map([[2n ** 64n - 1n, [1, 2]], [0n, [5]]]))
  for (let i = 0; i < 5000; i++) holder.byNumber.set(i, { id: i, name: `number ${i}` })
  for (let i = 0; i < 5000; i += 2) holder.byNumber.delete(i)
  holder.byNumber.get(4999)!.name = 'the last of them all'
  assert.equal(holder.byNumber.size, 2500)
  assert.equal(holder.byNumber.get(4999)!.name, 'the last of them all')
  assert.equal(holder.byNumber.get(4998), undefined)
  assert.throws(() => holder.byNumber.set(-1, { id: 1, name: '' }), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => holder.byText.get(5 as never), { code: 'INVALID_ARGUMENT' })
  const { live } = arena
  assert.throws(() => holder.byNumber.set(1, { id: 1, name: 5 as never }), RpcError)
  assert.equal(arena.live, live)
  holder.byNumber = new Map() as never
  release(arena, holder)
  arena.assertEmpty()
})

const Scalars = struct('Scalars', { byDouble: map(f64, text), bySingle: map(f32, u32), byBool: map(bool, text), doubles: set(f64) })

test('floats and booleans as keys are told apart as Map and Set do', () => {
  const number = fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, 0.1, Math.fround(0.1), 2 ** 53))
  fc.assert(fc.property(fc.array(fc.tuple(number, fc.boolean(), fc.boolean()), { maxLength: 60, size: 'max' }), (steps) => {
    const arena = new Arena()
    const holder = build(Scalars, arena, {})
    const doubles = new Map<number, string>()
    const singles = new Map<number, number>()
    const bools = new Map<boolean, string>()
    for (const [i, [key, flag, adds]] of steps.entries()) {
      if (adds) {
        holder.byDouble.set(key, `text number ${i}`)
        holder.bySingle.set(key, i)
        holder.byBool.set(flag, `text number ${i}`)
        holder.doubles.add(key)
        doubles.set(key, `text number ${i}`)
        singles.set(Math.fround(key), i)
        bools.set(flag, `text number ${i}`)
      } else {
        assert.equal(holder.byDouble.delete(key), doubles.delete(key))
        assert.equal(holder.bySingle.delete(key), singles.delete(Math.fround(key)))
        assert.equal(holder.byBool.delete(flag), bools.delete(flag))
        holder.doubles.delete(key)
      }
      assert.equal(holder.byDouble.get(key), doubles.get(key))
      assert.equal(holder.bySingle.has(key), singles.has(Math.fround(key)))
    }
    // deepStrictEqual tells 0 from -0; keys of a Map it does not.
    assert.deepEqual([...holder.byDouble], [...doubles])
    assert.deepEqual([...holder.bySingle], [...singles])
    assert.deepEqual([...holder.byBool], [...bools])
    assert.deepEqual([...holder.doubles], [...new Set(doubles.keys())])
    const again = build(Scalars, arena, { byDouble: doubles, bySingle: [...singles, [0.1, 7], [Math.fround(0.1), 8]], byBool: bools, doubles: new Set(doubles.keys()) })
    assert.deepEqual(plain(again.byDouble), doubles)
    assert.equal(again.bySingle.get(0.1), 8)
    assert.equal(again.bySingle.size, new Map([...singles, [Math.fround(0.1), 8]]).size)
    release(arena, holder)
    release(arena, again)
    arena.assertEmpty()
  }), { numRuns: 200 })
})

test('a float key is a number, a bool key a boolean', () => {
  const arena = new Arena()
  const holder = build(Scalars, arena, {})
  for (const wrong of ['1', true, null, 1n]) assert.throws(() => holder.byDouble.set(wrong as never, 'x'), { code: 'INVALID_ARGUMENT' })
  for (const wrong of [0, 'true', null]) assert.throws(() => holder.byBool.get(wrong as never), { code: 'INVALID_ARGUMENT' })
  release(arena, holder)
  arena.assertEmpty()
})

test('a large map under random changes is a Map, and all of it comes back', () => {
  for (const name of ['texts', 'numbers'] as const) {
    const arena = new Arena(1 << 24)
    const holder = build(struct('Big', { texts: map(text, text), numbers: map(u32, text) }), arena, {})
    const shared = holder[name] as unknown as MapView<unknown, string>
    const model = new Map<unknown, string>()
    const random = new Random(5)
    const key = (): unknown => name === 'numbers' ? random.below(20_000) : `key${'s'.repeat(random.chance(50) ? 400 : 1)} ${random.below(20_000)}`
    for (let phase = 0; phase < 4; phase++) {
      for (let step = 0; step < 20_000; step++) {
        const k = key()
        // The map grows for a while, then it shrinks.
        if (random.below(10) < (phase % 2 === 0 ? 8 : 1)) {
          shared.set(k, `value ${step}`)
          model.set(k, `value ${step}`)
        } else assert.equal(shared.delete(k), model.delete(k))
      }
      assert.equal(shared.size, model.size)
      assert.deepEqual([...shared], [...model])
      for (const [k, value] of model) assert.equal(shared.get(k), value)
      const copy = copyGraph(holder, arena)
      assert.deepEqual([...copy[name] as unknown as Iterable<unknown>], [...model])
      release(arena, copy)
    }
    const { live } = arena
    let seen = 0
    // Each third entry stays; chunks of entries go and are joined under the walk.
    for (const k of shared.keys()) {
      if (seen++ % 3 !== 0) assert.ok(shared.delete(k) && model.delete(k))
    }
    assert.deepEqual([...shared.keys()], [...model.keys()])
    assert.ok(arena.live < live * 0.7)
    for (const k of shared.keys()) assert.ok(shared.delete(k))
    assert.equal(arena.live, 2)
    release(arena, holder)
    arena.assertEmpty()
  }
})

test('a walk over a map goes on where it was, however entries are joined and chunks reused', () => {
  fc.assert(fc.property(fc.array(fc.nat(400), { minLength: 50, maxLength: 400, size: 'max' }), fc.array(fc.record({ at: fc.nat(20), keys: fc.array(fc.nat(400), { maxLength: 60, size: 'max' }), set: fc.boolean() }), { maxLength: 20 }), (start, changes) => {
    const arena = new Arena(1 << 18)
    const shared = build(map(text, u32), arena, [])
    const model = new Map<string, number>()
    for (const n of start) {
      shared.set(`key number ${n}`, n)
      model.set(`key number ${n}`, n)
    }
    const expected = model.keys()
    let left = 2000
    for (const key of shared.keys()) {
      assert.equal(key, expected.next().value)
      const change = changes[left % 7]
      if (change !== undefined && left % (change.at + 1) === 0) {
        for (const n of change.keys) {
          if (change.set && model.size < 400) {
            shared.set(`key number ${n}`, n)
            model.set(`key number ${n}`, n)
          } else assert.equal(shared.delete(`key number ${n}`), model.delete(`key number ${n}`))
        }
      }
      if (--left === 0) break
    }
    if (left > 0) assert.ok(expected.next().done)
    release(arena, shared)
    arena.assertEmpty()
  }), { numRuns: 100 })
})

test('whatever allocation fails while a map grows, the map is as before', () => {
  const arena = new Arena()
  const holder = build(Maps, arena, {})
  for (let i = 0; i < 100; i++) {
    const before = plain(holder.byText)
    const { live } = arena
    for (const failing of [0, 1, 2]) {
      arena.failAfter(failing)
      try {
        holder.byText.set(`key number ${i}`, `value number ${i}`)
        break
      } catch (error) {
        assert.ok(RpcError.is(error))
        assert.deepEqual(plain(holder.byText), before)
        assert.equal(arena.live, live)
      }
    }
    arena.failAfter(Infinity)
    holder.byText.set(`key number ${i}`, `value number ${i}`)
    assert.equal(holder.byText.size, i + 1)
  }
  release(arena, holder)
  arena.assertEmpty()
})


test('keys made so that a change in one word is taken back by the next do not collide', () => {
  const factor = 0xcc9e_2d51 | 0
  let inverse = 1
  for (let i = 0; i < 32; i++) inverse = Math.imul(inverse, 2 - Math.imul(factor, inverse))
  const word = (value: number): string => {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32LE(value)
    return bytes.toString('latin1')
  }
  // The upper bit of the first word, and what an unkeyed step makes of it.
  const pairs = [[0x4142_4344, 0x5152_5354], [0x4142_4344 ^ 0x8000_0000, Math.imul(inverse, Math.imul(0x5152_5354, factor) ^ 0x8001_0000)]].map((pair) => pair.map(word).join(''))
  const keyOf = (i: number): string => Array.from({ length: 11 }, (_, bit) => pairs[i >> bit & 1]).join('')
  const arena = new Arena(1 << 20)
  const holder = build(Maps, arena, {})
  const { byText } = holder
  for (let i = 0; i < 2000; i++) byText.set(keyOf(i), String(i))
  assert.equal(byText.size, 2000)
  for (let i = 0; i < 2000; i++) assert.equal(byText.get(keyOf(i)), String(i))
  release(arena, holder)
  arena.assertEmpty()
})
