// A peer writes anything anywhere, at any time: whoever reads or changes json gets values or RpcErrors, and soon.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { RpcError } from '../../../src/base/errors.js'
import { FOUR_GIB, type Address } from '../../../src/base/numbers.js'
import { Region } from '../../../src/memory/region.js'
import { buildJson, copyGraph, fast, jsonPath, locationOf, parseJson, plain, release } from '../../../src/objects/index.js'
import { MAX_COMPILED_KEYS, MAX_KEPT_KEYS, MAX_SHAPES_KNOWN } from '../../../src/objects/json/limits.js'
import { keptNeedles } from '../../../src/objects/json/needle.js'
import { proxies } from '../../../src/objects/json/proxies.js'
import { knownShapes } from '../../../src/objects/json/shapes.js'
import { Arena, Bump } from '../../support/arena.js'
import { newSeed, Random } from '../../support/random.js'

type Tree = Record<string, unknown>

const ALLOWANCE = 20_000
const MAX_NODES = 3000

function sample(i: number): Tree {
  return {
    num: i, name: `the name of number ${i}`, wide: `κλειδί ${i}`, inner: { str: 'short', num: i / 3, deep: { list: [1, 'a text with memory', { last: true }] } },
    list: [i, `element ${i} of a list`, null, [i]], many: Object.fromEntries(Array.from({ length: 12 }, (_, k) => [`key ${k} of many`, k])),
  }
}

const isNamed = jsonPath('name').equals('the name of number 3')
const deep = jsonPath('inner', 'deep', 'list')
const startsWith = jsonPath('name').startsWith('the name')
const includes = jsonPath('list').includes('element 3 of a list')
const last = jsonPath('inner', 'deep', 'list', 2, 'last')
const first = jsonPath('list', '3', 0)

const reads: ReadonlyArray<readonly [string, (view: Tree) => unknown]> = [
  ['plain', (view) => plain(view, { maxNodes: MAX_NODES })],
  ['stringify', (view) => JSON.stringify(plain(view, { maxNodes: MAX_NODES }))?.length],
  ['inspect', (view) => inspect(view, { depth: 4 })],
  ['keys', (view) => Object.keys(view).map((key) => inspect(view[key], { depth: 0 }))],
  ['spread', (view) => ({ ...view, ...view['inner'] as object })],
  ['in', (view) => 'name' in view && Object.hasOwn(view['many'] as object, 'key 3 of many')],
  ['fast', (view) => {
    const hot = fast(view) as { num: number, inner?: { num?: unknown, deep?: { list?: unknown } }, list?: { at?: (index: number) => unknown } }
    return [hot.num, hot.inner?.num, inspect(hot.inner?.deep?.list), hot.list?.at?.(1)]
  }],
  ['paths', (view) => [isNamed(view), inspect(deep(fast(view))), startsWith(view), includes(fast(view)), last(view), first(fast(view))]],
  ['indexOf', (view) => [view['list'] as unknown[]].map((list) => [list.indexOf(view['inner']), list.includes(list[3]), list.lastIndexOf(list[3])])],
  ['copy', (view) => copyGraph(view, new Arena(1 << 20), { maxNodes: MAX_NODES })],
]

const writes: ReadonlyArray<readonly [string, (view: Tree) => unknown]> = [
  ['set', (view) => { view['name'] = 'another text with memory' }],
  ['add', (view) => { (view['inner'] as Tree)['a new key'] = { a: 1 } }],
  ['delete', (view) => delete view['num'] && delete (view['many'] as Tree)['key 3 of many']],
  ['push', (view) => (view['list'] as unknown[]).push('pushed', 1, { a: 2 })],
  ['splice', (view) => (view['list'] as unknown[]).splice(0, 2, 'x')],
  ['length', (view) => { (view['list'] as unknown[]).length = 1 }],
]

function onlyRpcErrors(what: string, work: () => unknown): boolean {
  try {
    work()
    return true
  } catch (error) {
    if (RpcError.is(error)) return false
    // What a spoiled document no longer has.
    if (error instanceof TypeError && /undefined|null|not a function|not iterable|Cannot (?:use 'in'|convert|create property|assign to read only property 'length' of string)|non-object|'set' on proxy/.test(error.message)) return false
    throw new Error(`${what}: ${inspect(error)}`, { cause: error })
  }
}

function spoil({ i32, u8 }: Region, end: number, random: Random): void {
  for (let i = 1 + random.below(8); i > 0; i--) {
    const at = 2 + random.below(end - 2)
    switch (random.below(6)) {
      case 0: u8[at * 4 + random.below(4)] = random.below(256); break
      case 1: i32[at] = random.nasty(); break
      case 2: i32[at] = i32[2 + random.below(end - 2)]!; break
      case 3: i32[at] = i32[at]! ^ 1 << random.below(32); break
      case 4: i32[at] = (random.one([0xfffd, 0xfffe, 0xfffb, 0xfffc, 0x8000, 0xc000]) << 16) | i32[at]! & 0xffff; break
      default: i32[at] = i32[at]! + random.one([8, -8, 16, 4, 1])
    }
  }
}

test('documents that were changed at random between reads and writes', () => {
  const seed = newSeed()
  const random = new Random(seed)
  let fine = 0
  for (let round = 0; round < 4000; round++) {
    const arena = new Arena(1 << 16)
    const views = Array.from({ length: 4 }, (_, i) => buildJson(arena, sample(i)) as Tree)
    arena.region.endless = false
    arena.region.allowance = ALLOWANCE
    const end = locationOf(views[3]!).word + 200
    spoil(arena.region, end, random)
    const view = views[random.below(4)]!
    for (const [name, read] of reads) {
      arena.region.refill()
      if (onlyRpcErrors(`seed ${seed}, round ${round}, ${name}`, () => read(view))) fine++
    }
    const [name, write] = random.one(writes)
    arena.region.refill()
    onlyRpcErrors(`seed ${seed}, round ${round}, ${name}`, () => write(view))
    arena.region.refill()
    onlyRpcErrors(`seed ${seed}, round ${round}, free`, () => release(arena, view))
  }
  assert.ok(fine > 1000, `only ${fine} reads went through`)
})

test('documents that another thread changes while they are read', async () => {
  const shared = new SharedArrayBuffer(1 << 16)
  const region = new Region(shared as unknown as ArrayBuffer, 0x4100 * FOUR_GIB as Address)
  const bump = new Bump(1 << 16)
  const views = Array.from({ length: 20 }, (_, i) => buildJson(bump, sample(i)) as Tree)
  const end = locationOf(views[19]!).word + 100
  const clean = bump.region.i32.slice()
  // The same addresses, over memory that the other thread has too.
  const words = new Int32Array(shared)
  words.set(clean)
  Object.assign(region, { high: bump.region.high, low: bump.region.low, endless: false, allowance: ALLOWANCE })
  const worker = new Worker(`
    const { workerData } = require('node:worker_threads')
    const words = new Int32Array(workerData.shared), clean = workerData.clean
    let x = 12345
    const next = () => { x ^= x << 13; x ^= x >>> 17; x ^= x << 5; return x >>> 0 }
    for (;;) {
      for (let i = 0; i < 40; i++) {
        const at = 2 + next() % ${end - 2}
        words[at] = next() % 3 === 0 ? next() : words[2 + next() % ${end - 2}] + next() % 3
      }
      for (let i = 0; i < 200; i++) { const at = next() % ${end}; words[at] = clean[at] }
    }`, { eval: true, workerData: { shared, clean } })
  try {
    const { fastForm } = await import('../../../src/objects/json/fast.js')
    let fine = 0
    const until = performance.now() + 3000
    for (let round = 0; performance.now() < until; round++) {
      const { word } = locationOf(views[round % 20]!)
      const view = (round % 3 === 0 ? fastForm : proxies).object(region, word) as Tree
      for (const [name, read] of reads) {
        region.refill()
        if (onlyRpcErrors(`round ${round}, ${name}`, () => read(view))) fine++
      }
    }
    assert.ok(fine > 100, `only ${fine} reads went through`)
  } finally {
    await worker.terminate()
  }
})

/** What the reader keeps, after it has met more than it may keep of each. */
function assertBounded(): void {
  const { shapes, keys } = knownShapes()
  assert.ok(shapes > 1 && shapes <= MAX_SHAPES_KNOWN, `${shapes} shapes are known`)
  assert.equal(keys, MAX_COMPILED_KEYS)
  assert.ok(keptNeedles() <= MAX_KEPT_KEYS, `${keptNeedles()} keys are prepared`)
}

test('a stream of new shapes and of new keys costs a bounded amount of memory', () => {
  const arena = new Arena(1 << 27)
  const views: Tree[] = []
  for (let i = 0; i < 30_000; i++) {
    // Three times, so that each gets a shape as long as there are any.
    for (let times = 0; times < 3; times++) {
      const view = buildJson(arena, { [`key ${i}`]: i, common: `text number ${i}` }) as Tree
      if (i % 1000 === 0 && times === 2) views.push(view)
      else {
        if (i % 7 === 0) assert.equal(view[`key ${i}`], i)
        if (i % 7 === 0) assert.equal((fast(view))[`key ${i}`], i)
        release(arena, view)
      }
    }
  }
  for (const [i, view] of views.entries()) assert.deepStrictEqual(plain(view), { [`key ${i * 1000}`]: i * 1000, common: `text number ${i * 1000}` })
  for (const view of views) release(arena, view)
  assert.ok(arena.live <= 2048, `${arena.live} blocks stay`)
  assertBounded()
})

test('a reader that meets more shapes than it keeps forgets, and reads on', () => {
  const arenas = Array.from({ length: 6 }, () => new Arena(1 << 24))
  const views = arenas.flatMap((arena, a) => Array.from({ length: 2000 }, (_, i) => {
    const text = `{"only ${a} ${i}":${i},"b":"text"}`
    parseJson(arena, text)
    parseJson(arena, text)
    return parseJson(arena, text) as Tree
  }))
  const b = jsonPath('b').equals('text')
  const latecomer = jsonPath('only 5 1999')
  for (let times = 0; times < 2; times++) {
    for (const [n, view] of views.entries()) {
      assert.equal(view[`only ${Math.floor(n / 2000)} ${n % 2000}`], n % 2000)
      assert.ok(b(view))
      assert.equal(latecomer(view), n === 11_999 ? 1999 : undefined)
      assert.equal(fast(view)['b'], 'text')
    }
    assertBounded()
  }
})

test('keys that a peer makes longer while they are compared are an error before all of memory was read for each', () => {
  const arena = new Arena(1 << 20)
  const allocate = arena.allocate.bind(arena)
  const keys = Array.from({ length: 2000 }, (_, i) => `key number ${String(i).padStart(6, '0')}`)
  const head = keys[0]!.length
  const blocks: number[] = []
  arena.allocate = (byteLength) => {
    const { i32 } = arena.region
    for (const at of blocks) {
      for (let i = at; i < at + 2048; i++) if (i32[i] === head) i32[i] = (i32.length - i - 1) * 4
    }
    blocks[0] = allocate(byteLength)
    return blocks[0]
  }
  const text = `{${[...keys, keys[0]!].map((key) => `${JSON.stringify(key)}: 1`).join()}}`
  assert.throws(() => parseJson(arena, text), (error) => RpcError.is(error) && /the keys of an object changed/.test(error.message))
})

test('a copy of a dictionary whose keys all lead to one long text makes no more of them than its memory holds', () => {
  const arena = new Arena(1 << 20)
  const UNITS = 100_000
  // At each of its words a text of so many units begins, different from the others by where its mark is.
  const words = new Int32Array(UNITS / 2).fill(UNITS)
  words[UNITS / 5] = 1
  const long = Buffer.from(words.buffer).toString('latin1')
  const view = buildJson(arena, { long, many: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key number ${i}`, i])) }) as { long: string, many: object }
  const { region, word } = locationOf(view.many)
  const { i32 } = region
  const start = i32.indexOf(UNITS)
  assert.ok(i32[start + 1] === UNITS && i32[start + UNITS / 5] === 1)
  for (let i = 0; i < 300; i++) {
    i32[word + 4 + i * 4] = region.lowOf(start + i)
    i32[word + 4 + i * 4 + 1] = 0xfffc_0000 | region.high
  }
  assert.throws(() => copyGraph(view.many, new Arena(1 << 26)), (error) => RpcError.is(error) && /many of its cells lead to one text/.test(error.message))
})
