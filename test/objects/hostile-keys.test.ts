// Maps, sets and sorted maps with keys of every kind, in memory that a peer spoils: a value or an RpcError, and soon.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bool, build, cellOf, copyGraph, f32, f64, i16, i32, i64, i8, locationOf, map, plain, release, safeI64, safeU64, set, sortedMap, struct, text, u16, u32, u64, u8, type AnyType,
} from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'
import { changing, lastUsed, onlyRpcErrors, randomSource, spoil } from './spoiling.js'

const MAX_NODES = 500
const ALLOWANCE = 2000
const BYTES = 1 << 15

/** Kinds whose cells are read by one piece of code with that of u8. */
const ALIKE = new Set(['i8', 'u16', 'i16', 'u32', 'i32'])

const integer = (i: number): number => i
const big = (i: number): bigint => BigInt(i) << 33n
/** Of each type a key for a number. */
const kinds: ReadonlyArray<readonly [AnyType, (i: number) => unknown]> = [
  [u8, integer], [i8, (i) => i - 20], [u16, (i) => i * 1000], [i16, (i) => i * -700], [u32, (i) => i * 9e7], [i32, (i) => i * -5e7], [safeU64, (i) => i * 2 ** 34], [safeI64, (i) => -i * 2 ** 34],
  [u64, big], [i64, (i) => -big(i)], [f32, (i) => i / 2], [f64, (i) => i === 7 ? NaN : i / 3], [bool, (i) => i % 2 === 0], [text, (i) => `κλειδί ${i} ${'long'.repeat(i * 3)}`],
]

interface Keyed extends Iterable<unknown> {
  readonly size: number
  has(key: unknown): boolean
  delete(key: unknown): boolean
  clear(): void
  keys(): Iterable<unknown>
}
interface Kept extends Keyed {
  get(key: unknown): unknown
  set(key: unknown, value: string): unknown
  keys(range?: object): Iterable<unknown>
}
interface View {
  readonly byKey: Kept
  readonly keys: Keyed & { add(key: unknown): unknown }
  readonly sorted: Kept
  readonly pairs: Kept
}

/** Of whatever bytes a key is made, it is of its type. */
const RANGES: Readonly<Record<string, readonly [least: number, greatest: number]>> = {
  u8: [0, 255], i8: [-128, 127], u16: [0, 65_535], i16: [-32_768, 32_767], u32: [0, 2 ** 32 - 1], i32: [-(2 ** 31), 2 ** 31 - 1], safeU64: [0, 2 ** 53 - 1], safeI64: [1 - 2 ** 53, 2 ** 53 - 1],
}

function assertKey(kind: string, key: unknown): void {
  const range = RANGES[kind]
  if (range !== undefined) assert.ok(Number.isInteger(key) && Number(key) >= range[0] && Number(key) <= range[1], `${kind}: ${String(key)}`)
  else assert.equal(typeof key, { u64: 'bigint', i64: 'bigint', f32: 'number', f64: 'number', bool: 'boolean', text: 'string' }[kind])
}

function walk(kind: string, keys: Iterable<unknown>): void {
  let left = MAX_NODES
  for (const key of keys) {
    assertKey(kind, key)
    if (--left === 0) break
  }
}

for (const [type, keyOf] of kinds) {
  test(`keys of ${type.label}`, () => {
    const Holder = struct(`Spoiled${type.kind}`, { byKey: map(type as never, text), keys: set(type as never), sorted: sortedMap(type as never, text), pairs: sortedMap([type as never, u32], text) })
    // Sorted maps take no NaN.
    const ordered = (i: number): unknown => Number.isNaN(keyOf(i)) ? Infinity : keyOf(i)
    const indexes = Array.from({ length: 12 }, (_, i) => i)
    const value = (i: number): string => `the value of key ${i}`
    const content = {
      byKey: indexes.map((i) => [keyOf(i), value(i)]), keys: indexes.map(keyOf), sorted: indexes.map((i) => [ordered(i), value(i)]), pairs: indexes.map((i) => [[ordered(i), i], value(i)]),
    } as never
    const reads: ReadonlyArray<(view: View) => unknown> = [
      (view) => plain(view, { maxNodes: MAX_NODES }),
      ({ byKey, keys }) => { for (const i of indexes) inspected(byKey.get(keyOf(i)), byKey.has(keyOf(i + 12)), keys.has(keyOf(i))) },
      ({ byKey, keys, sorted, pairs }) => {
        for (const one of [byKey, keys, sorted]) walk(type.kind, one.keys())
        for (const pair of pairs.keys()) walk('u32', [(pair as readonly unknown[])[1]])
      },
      ({ sorted, pairs }) => {
        inspected(sorted.get(ordered(5)), pairs.has([ordered(3), 3]))
        for (const range of [{ from: ordered(2), before: ordered(9) }, { after: ordered(4), reverse: true }]) walk(type.kind, sorted.keys(range))
        for (const [key] of pairs.keys({ from: [ordered(2)], to: [ordered(3)] }) as Iterable<[unknown]>) assertKey(type.kind, key)
      },
      (view) => copyGraph(view, new Arena(BYTES), { maxNodes: MAX_NODES }),
    ]
    const writes: ReadonlyArray<(view: View) => unknown> = [
      ({ byKey }) => { for (const i of indexes) byKey.set(keyOf(i + 6), 'another value with memory') },
      ({ keys }) => { for (const i of indexes) keys.add(keyOf(i + 6)) },
      ({ sorted, pairs }) => {
        for (const i of indexes) sorted.set(ordered(i + 6), 'another value with memory')
        pairs.set([ordered(3), 77], 'another value with memory')
      },
      ({ byKey, keys, sorted, pairs }) => {
        for (const i of indexes) inspected(byKey.delete(keyOf(i)), keys.delete(keyOf(i)), sorted.delete(ordered(i)), pairs.delete([ordered(i), i]))
      },
      ({ byKey, keys, sorted, pairs }) => { for (const one of [byKey, keys, sorted, pairs]) one.clear() },
    ]
    const template = new Arena(BYTES)
    const { region: original, word } = locationOf(build(Holder, template, content))
    const used = lastUsed(original)
    // Half of the changes go to words that somebody looks at.
    const looked = new Set<number>()
    const noting = changing(original, (at) => looked.add(at))
    for (const read of reads) read(cellOf(Holder).read(noting, original.lowOf(word), original.high) as View)
    const among = [...looked].filter((at) => at >= 2 && at < used)
    assert.ok(among.length > 100)
    const outcomes = { values: 0, errors: 0 }
    const attempt = (seed: number, work: () => unknown): void => {
      outcomes.errors++
      onlyRpcErrors(seed, type.label, () => {
        work()
        outcomes.errors--
        outcomes.values++
      })
    }
    for (let seed = 1; seed <= (ALIKE.has(type.kind) ? 10 : 24); seed++) {
      const random = randomSource(seed)
      const arena = new Arena(BYTES)
      const view = build(Holder, arena, content) as View
      const { region } = arena
      region.endless = false
      region.allowance = ALLOWANCE
      const restless = changing(region, () => {
        if (random(60) === 0) spoil(region, used, random, among)
      })
      if (seed % 10 !== 0) spoil(region, used, random, seed % 2 === 0 ? among : undefined)
      const open = (): View => cellOf(Holder).read(seed % 10 === 0 ? restless : region, region.lowOf(word), region.high) as View
      for (const work of [...reads, writes[seed % writes.length]!, writes[random(writes.length)]!]) {
        region.refill()
        attempt(seed, () => work(open()))
      }
      attempt(seed, () => release(arena, view))
    }
    assert.ok(outcomes.values > 20 && outcomes.errors > 5, `${outcomes.values} values, ${outcomes.errors} errors: too few of one to show anything`)
  })
}

/** Looks at what was answered. */
function inspected(...answers: readonly unknown[]): void {
  for (const answer of answers) assert.ok(answer === undefined || typeof answer === 'boolean' || typeof answer === 'string')
}
