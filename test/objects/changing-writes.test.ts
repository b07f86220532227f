// Memory that a peer changes while it is written: each write of each kind ends in a value or an error, and soon.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { RpcError } from '../../src/base/errors.js'
import { build, cellOf, locationOf, release, struct, map, list, sortedMap, text, u32, type View } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'
import { All, everyField, writes } from './every-write.js'
import { changing, lastUsed, randomSource, spoil } from './spoiling.js'

const ALLOWANCE = 20_000
const ROUNDS = 25

/** What large containers do beyond small ones. */
const Large = struct('ChangingLarge', { byKey: map(text, u32), byNumber: map(u32, text), order: sortedMap(text, u32), words: list(text) })
const many = Array.from({ length: 300 }, (_, i) => i)
const key = (i: number): string => `the key of number ${i}`
const large = { byKey: many.map((i) => [key(i), i] as const), byNumber: many.map((i) => [i, key(i)] as const), order: many.map((i) => [key(i), i] as const), words: many.map(key) }
const largeWrites: Readonly<Record<string, (view: View<typeof Large>) => unknown>> = {
  'map: many more': ({ byKey }) => { for (let i = 0; i < 200; i++) byKey.set(`another ${key(i)}`, i) },
  'map: most taken out': ({ byKey }) => { for (const i of many) if (i % 5 !== 0) byKey.delete(key(i)) },
  'map: taken out while it is gone through': ({ byNumber }) => { for (const i of byNumber.keys()) byNumber.delete(i) },
  'sorted map: many more': ({ order }) => { for (let i = 0; i < 200; i++) order.set(`the key of number ${i} and more`, i) },
  'sorted map: most taken out': ({ order }) => { for (const i of many) order.delete(key(i)) },
  'list: sorted, cut and filled': ({ words }) => {
    words.sort((a, b) => a < b ? 1 : -1)
    words.splice(20, 200, 'another', 'a further text with memory')
    words.unshift(...many.map(String))
    words.copyWithin(3, 90, 200)
  },
}

/** What a spoiled value no longer has: `undefined` in the place of json, null in that of a ref. */
const GONE = /undefined|null|not a function|not iterable|Cannot (?:convert|create property|set propert|assign to read only property 'length' of string)|'set' on proxy|trap returned falsish/

const outcomes = { values: 0, errors: 0 }

function attempt(what: string, work: () => unknown): void {
  try {
    work()
    outcomes.values++
  } catch (error) {
    if (!RpcError.is(error) && !(error instanceof TypeError && GONE.test(error.message))) throw new Error(`${what}: ${inspect(error)}`, { cause: error })
    outcomes.errors++
  }
}

// A change comes after so many looks; a write to a large one takes thousands.
for (const [name, type, content, kinds, looksOf] of [['small', All, everyField, writes, [3, 12, 60, 400]], ['large', Large, large, largeWrites, [60, 1000, 10_000, 100_000]]] as const) {
  test(`whatever changes between any two looks of a write to ${name} containers, it ends in a value or an error`, () => {
    outcomes.values = outcomes.errors = 0
    for (let round = 1; round <= ROUNDS; round++) {
      for (const [i, [what, write]] of Object.entries(kinds).entries()) {
        const seed = round * 1000 + i
        const random = randomSource(seed)
        const arena = new Arena(1 << 18)
        const view = build(type, arena, content as never)
        const { region, word } = locationOf(view)
        const used = lastUsed(region)
        region.endless = false
        region.allowance = ALLOWANCE
        region.refill()
        const often = looksOf[round % looksOf.length]!
        const restless = changing(region, () => {
          if (random(often) === 0) spoil(region, used, random)
        })
        attempt(`seed ${seed}, ${what}`, () => (write as (view: unknown) => unknown)(cellOf(type).read(restless, region.lowOf(word), region.high)))
        region.refill()
        attempt(`seed ${seed}, free after ${what}`, () => release(arena, view))
      }
    }
    assert.ok(outcomes.values > 30 && outcomes.errors > 30, `${outcomes.values} values, ${outcomes.errors} errors: too few of one to show anything`)
  })
}
