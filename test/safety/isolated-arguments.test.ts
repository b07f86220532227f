// Arguments in private memory: what their sender does afterwards cannot be seen, and what it wrote leads nowhere else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WildPointerError } from '../../src/base/errors.js'
import { Heap, HeapScopes, HeapSet, type Scope } from '../../src/memory/index.js'
import { addressOf, bytes, cellOf, list, map, plain, ref, struct, text, u32, unsafeBytes, type Plain, type View } from '../../src/objects/index.js'
import { type Holding, IsolatedArguments } from '../../src/safety/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'
import { hasCode, KIB, MIB } from '../memory/model.js'

const Node = struct('IsolatedNode', {
  id: u32, name: text, tags: list(text), counts: map(text, u32), raw: bytes, get next() { return ref(Node) },
})
const cell = cellOf(Node)
const LIMIT = 1 * MIB

interface Ground {
  readonly heaps: HeapSet
  readonly scope: Scope
  readonly isolated: IsolatedArguments
  /** The words of a call's slot. */
  readonly slot: Int32Array
}

function ground(): Ground {
  const heaps = new HeapSet((space) => new Heap(new ArrayBuffer(4 * MIB), HEAPS_BASE, 1, space))
  return { heaps, scope: new HeapScopes(heaps).create(64 * KIB), isolated: new IsolatedArguments(heaps, LIMIT), slot: new Int32Array(2) }
}

function value(id: number, next: Plain<typeof Node> | null = null): Plain<typeof Node> {
  return { id, name: `the name of node ${id}`, tags: ['a tag of some length', 'b'], counts: new Map([['a key with memory', id]]), raw: new Uint8Array(40).fill(id), next }
}

function fromScope({ scope, isolated, slot }: Ground, used = scope.usedBytes): View<typeof Node> {
  return isolated.fromScope(cell, slot[0]!, slot[1]!, scope.region.low, scope.region.high, used) as View<typeof Node>
}

test('pointers of a scope resolve unchanged over its copy, which later stores do not reach', () => {
  const all = ground()
  cell.write(all.scope, value(1, value(2)), all.slot, 0)
  const original = cell.read(all.scope.region, all.slot[0]!, all.slot[1]!) as View<typeof Node>
  const before = plain(original)
  const copy = fromScope(all)
  assert.equal(addressOf(copy), addressOf(original))
  all.scope.region.u8.fill(0xff, all.scope.region.shift * 4, all.scope.region.shift * 4 + all.scope.byteLength)
  assert.deepEqual(plain(copy), before)
  assert.deepEqual([...unsafeBytes(copy, 'raw')], Array.from({ length: 40 }, () => 1))
  assert.throws(() => { copy.id = 5 }, hasCode('FAILED_PRECONDITION'))
  assert.throws(() => copy.tags.push('x'), hasCode('FAILED_PRECONDITION'))
  all.isolated.holding!.release()
  assert.throws(() => copy.next, WildPointerError, 'a view that outlives its call follows no pointer')
})

test('many cells that all lead to one long text, or block of bytes, are read for a moment, not for hours', () => {
  const Letter = struct('IsolatedLetter', { texts: list(text), blocks: list(bytes) })
  const letters = cellOf(Letter)
  const heaps = new HeapSet((space) => new Heap(new ArrayBuffer(16 * MIB), HEAPS_BASE, 1, space))
  const scope = new HeapScopes(heaps).create(4 * MIB)
  const isolated = new IsolatedArguments(heaps, 16 * MIB)
  const slot = new Int32Array(2)
  const count = 2000
  const long = 300_000
  const made = (cells: number): View<typeof Letter> => {
    letters.write(scope, { texts: ['x'.repeat(long), ...Array.from({ length: cells }, () => '')], blocks: [new Uint8Array(long), ...Array.from({ length: cells }, () => new Uint8Array(0))] }, slot, 0)
    return isolated.fromScope(letters, slot[0]!, slot[1]!, scope.region.low, scope.region.high, scope.usedBytes) as View<typeof Letter>
  }
  const honest = made(0)
  for (let times = 0; times < 50; times++) assert.equal(honest.texts.at(0)!.length + honest.blocks.at(0)!.length, 2 * long)
  made(count)
  const { i32, shift } = scope.region
  const object = (slot[0]! - scope.region.low >>> 2) + shift
  for (const field of [2, 6]) {
    const first = (i32[object + field]! - scope.region.low >>> 2) + shift
    for (let i = 1; i <= count; i++) i32.copyWithin(first + i * 2, first, first + 2)
  }
  const hostile = isolated.fromScope(letters, slot[0]!, slot[1]!, scope.region.low, scope.region.high, scope.usedBytes) as View<typeof Letter>
  let read = 0
  for (const each of [() => hostile.texts, () => hostile.blocks]) assert.throws(() => { for (const one of each()) read += one.length }, WildPointerError)
  assert.ok(read > long && read < count * long, `${read} units were read`)
})

test('a pointer out of the scope is wild, though it leads to live memory of the same connection', () => {
  const all = ground()
  const outside = new Int32Array(2)
  cell.write(all.heaps, value(7), outside, 0)
  cell.write(all.scope, value(1, value(2)), all.slot, 0)
  const object = cell.read(all.scope.region, all.slot[0]!, all.slot[1]!) as View<typeof Node>
  const { region } = all.scope
  const pointer = region.i32.indexOf(Number(BigInt.asIntN(32, BigInt(addressOf(object.next!)))), region.shift)
  region.i32[pointer] = outside[0]!
  region.i32[pointer + 1] = outside[1]!
  assert.equal(object.next!.id, 7, 'without isolation it is followed')
  const copy = fromScope(all)
  assert.throws(() => copy.next, WildPointerError)
  assert.equal(copy.id, 1)
  all.slot.set(outside)
  assert.throws(() => fromScope(all), WildPointerError, 'the argument itself may lie outside')
})

test('used bytes that are a lie give an error or a shorter copy, and never memory beyond the heaps', () => {
  const all = ground()
  cell.write(all.scope, value(1), all.slot, 0)
  for (const used of [0, 0xffff_ffff, 0xffff_fffc, 0x8000_0000, 5 * MIB, 4 * MIB]) assert.throws(() => fromScope(all, used), WildPointerError, `used = ${used}`)
  assert.throws(() => fromScope(all, 3 * MIB), hasCode('RESOURCE_EXHAUSTED'))
  const { region } = all.scope
  const [low = 0, high = 0] = all.slot
  const from = (scopeLow: number, scopeHigh: number, used: number): unknown => all.isolated.fromScope(cell, low, high, scopeLow, scopeHigh, used)
  assert.throws(() => from(region.low + 4, region.high, 64), WildPointerError)
  assert.throws(() => from(region.low, region.high + 1, 64), WildPointerError)
  assert.throws(() => from(0, 0, 64), WildPointerError)
  assert.throws(() => from(-8, region.high, 64), WildPointerError)
  assert.throws(() => fromScope(all, 8), WildPointerError, 'the object is longer than the copy')
  const short = fromScope(all, 64)
  assert.throws(() => short.name, WildPointerError)
})

test('copies are bounded for each connection, and come back when their calls are answered', () => {
  const all = ground()
  cell.write(all.scope, value(1), all.slot, 0)
  const held: Holding[] = []
  const flood = (): void => {
    for (;;) {
      fromScope(all, 40 * KIB)
      held.push(all.isolated.holding!)
    }
  }
  assert.throws(flood, hasCode('RESOURCE_EXHAUSTED'))
  assert.equal(held.length, LIMIT / (64 * KIB), 'buffers double')
  assert.equal(all.isolated.heldBytes, LIMIT)
  const deep = (): unknown => all.isolated.fromHeap(cell, all.heaps.region, all.slot[0]!, all.slot[1]!)
  assert.throws(deep, hasCode('RESOURCE_EXHAUSTED'))
  for (const holding of held) {
    holding.release()
    holding.release()
  }
  assert.equal(all.isolated.heldBytes, 0)
  deep()
  const { holding } = all.isolated
  assert.ok(all.isolated.heldBytes > 0)
  holding!.release()
  holding!.release()
  assert.equal(all.isolated.heldBytes, 0)
  assert.equal(fromScope(all).id, 1)
})

test('an argument outside a scope is copied object by object, with sharing and cycles', () => {
  const all = ground()
  const first = value(1, value(2))
  ;(first.next as { next: unknown }).next = first
  cell.write(all.heaps, first, all.slot, 0)
  const original = cell.read(all.heaps.region, all.slot[0]!, all.slot[1]!) as View<typeof Node>
  const before = plain(original)
  const copy = all.isolated.fromHeap(cell, all.heaps.region, all.slot[0]!, all.slot[1]!) as View<typeof Node>
  original.name = 'changed afterwards, and longer than before'
  original.next!.next = null
  original.tags.clear()
  assert.deepEqual(plain(copy), before)
  assert.equal(addressOf(copy.next!.next!), addressOf(copy))
  assert.throws(() => { copy.id = 2 }, hasCode('FAILED_PRECONDITION'))
})

test('an object that claims billions of elements is refused before memory is taken for them', () => {
  const Big = struct('IsolatedBig', { numbers: list(u32) })
  const big = cellOf(Big)
  const all = ground()
  big.write(all.heaps, { numbers: Array.from({ length: 400_000 }, (_, i) => i) }, all.slot, 0)
  assert.throws(() => all.isolated.fromHeap(big, all.heaps.region, all.slot[0]!, all.slot[1]!), hasCode('RESOURCE_EXHAUSTED'))
  assert.equal(all.isolated.heldBytes, 0)
})

test('copies of scopes and copies made object by object share one limit, whichever come first', () => {
  const all = ground()
  cell.write(all.heaps, value(1), all.slot, 0)
  all.isolated.fromHeap(cell, all.heaps.region, all.slot[0]!, all.slot[1]!)
  const first = all.isolated.holding!
  assert.ok(all.isolated.heldBytes > 0)
  cell.write(all.scope, value(1), all.slot, 0)
  assert.throws(() => fromScope(all, 900 * KIB), hasCode('RESOURCE_EXHAUSTED'))
  first.release()
  fromScope(all, 900 * KIB)
  const second = all.isolated.holding!
  assert.throws(() => all.isolated.fromHeap(cell, all.scope.region, all.slot[0]!, all.slot[1]!), hasCode('RESOURCE_EXHAUSTED'))
  second.release()
  // The buffer that is kept for the next copy counts when it is used again.
  all.isolated.fromHeap(cell, all.scope.region, all.slot[0]!, all.slot[1]!)
  assert.throws(() => fromScope(all, 900 * KIB), hasCode('RESOURCE_EXHAUSTED'))
  assert.ok(all.isolated.heldBytes <= LIMIT)
})
