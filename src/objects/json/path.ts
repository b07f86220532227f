// Selectors and predicates over documents, compiled for one path of keys. Texts are compared where they lie.
import { ARRAY, CONSTANT, FALSE, INLINE_TEXT, INT, NEAR_TEXT, NULL, RECORD_WORDS, TEXT, TRUE } from '../../layout/json-layout.js'
import { RpcError } from '../../base/errors.js'
import type { Region } from '../../memory/region.js'
import { Emitter } from '../emit.js'
import { comparePrefix, compareUnits, Units } from '../text/compare.js'
import { BEHIND, REGION, WORD } from '../view.js'
import { fastForm } from './fast.js'
import { emitElement, emitEnter, emitEnterArray, emitFind, emitWalk, type Finish, Walk } from './key-code.js'
import { Needle } from './needle.js'
import { doubleOf, valueOf } from './read.js'
import { follow, openArray, opened } from './record.js'
import { FIRST_SLOT, indexOf, slotTable } from './shapes.js'
import { openUnits } from './units.js'
import { IS_ARRAY, jsonView } from './whole.js'

/** A value that a path's predicates compare with. */
export type JsonScalar = string | number | boolean | null

/** Says of a document whether it is looked for; false also where the path leads nowhere. */
export type JsonPredicate = (document: object) => boolean

/**
 * What a path of keys leads to in a document: the value, read through fast views, or undefined. Its predicates read no more
 * of the document than they need.
 */
export interface JsonPath {
  (document: object): unknown
  /** Whether there is a value. */
  readonly exists: JsonPredicate
  /** Whether the value is this one. */
  equals(value: JsonScalar): JsonPredicate
  /** Whether the value is a number, or a string, from `low` to `high`, both included. Strings are ordered by code units. */
  between<T extends number | string>(low: T, high: T): JsonPredicate
  /** Whether the value is a string that starts like this. */
  startsWith(prefix: string): JsonPredicate
  /** Whether the value is an array with this among its elements. */
  includes(value: JsonScalar): JsonPredicate
}

/** Judges a cell whose words were read from memory of `region`. */
type Judge = (region: Region, lo: number, hi: number) => boolean

/**
 * Compiles a path: `const city = jsonPath('address', 'city')`, then `city(document)`, `city.equals('Paris')(document)`. Make it
 * once, not for each document. A document is a view of json, of either form; fast ones are faster. In an array, a whole number
 * leads to the element, also when it is written as a text, as `document['items'][0]` and `['0']` do: `jsonPath('items', 0, 'name')`.
 * @throws RpcError INVALID_ARGUMENT without keys, and for what is no key.
 */
export function jsonPath(...path: ReadonlyArray<string | number>): JsonPath {
  if (path.length === 0 || !path.every(isKey)) {
    throw new RpcError('INVALID_ARGUMENT', 'a path is one or more keys, texts or indexes from 0: jsonPath(\'address\', \'city\'), jsonPath(\'items\', 0)')
  }
  const keys = path.map(String)
  const judged = (judge: Judge): JsonPredicate => compile(keys, false, `finish(r, v, h)`, judge) as JsonPredicate
  const select = compile(keys, undefined, `h === ${INT << 16} ? v : finish(r, v, h)`, (region, lo, hi) => valueOf(region, lo, hi, fastForm))
  return Object.assign(select, {
    exists: compile(keys, false, 'v !== 0 || h !== 0', (_region, lo, hi) => lo !== 0 || hi !== 0) as JsonPredicate,
    equals: (value: JsonScalar) => equalsPath(keys, value),
    between: (low: number | string, high: number | string) => judged(betweenJudge(low, high)),
    startsWith: (prefix: string) => judged(prefixJudge(prefix)),
    includes: (value: JsonScalar) => judged(includesJudge(equalJudge(value))),
  }) as JsonPath
}

function isKey(key: unknown): boolean {
  return typeof key === 'string' || (typeof key === 'number' && Number.isSafeInteger(key) && key >= 0)
}

/**
 * Compiles a function of a document: what `result` says of the cell (`v`, `h`) in region `r`, or `missing`. `finish` says the same
 * without generated code.
 */
function compile(keys: readonly string[], missing: undefined | false, result: string, finish: Finish): (document: object) => unknown {
  const emitter = new Emitter()
  emitter.named('BEHIND', BEHIND)
  emitter.named('REGION', REGION)
  emitter.named('WORD', WORD)
  emitter.named('IS_ARRAY', IS_ARRAY)
  emitter.named('jsonView', jsonView)
  emitter.named('finish', finish)
  emitter.named('walk', new Walk(keys, missing, finish))
  // From the last key to the first: each one's code goes around that of those behind it.
  const code = keys.reduceRight((rest, key, i) => (indexOf(key) < 0 ? emitKey(emitter, key, i, rest) : emitIndex(emitter, key, i, rest)), `return ${result}`)
  return emitter.compile(`function (document) {
var d = document[BEHIND] ?? document, r = d[REGION], w = d[WORD], a, s, p, e, t, v, h
if (r === undefined) jsonView(document)
${indexOf(keys[0]!) < 0 ? `if (d[IS_ARRAY] === true) return ${missing}` : ''}
a = r.i32
${code}
}`).value as (document: object) => unknown
}

/** From the object that is the document, or that the cell found last points to, to the cell of a key; then `rest`. */
function emitKey(emitter: Emitter, key: string, i: number, rest: string): string {
  const enter = i === 0 ? '' : emitEnter('walk', i)
  const table = slotTable(key)
  const walk = emitWalk('walk', i)
  return table === undefined ? `${enter}\n${walk}` : `${enter}\n${emitFind(emitter, table, likelySlot(table))}\n${rest}\n}\n${walk}`
}

/** The same for a key that an array may have too. */
function emitIndex(emitter: Emitter, key: string, i: number, rest: string): string {
  const table = slotTable(key)
  const walk = emitWalk('walk', i)
  return `${i === 0 ? 'if (d[IS_ARRAY] === true) {' : emitEnterArray()}
${emitElement('walk', i, indexOf(key))}
} else {
${i === 0 ? '' : emitEnter('walk', i)}
${table === undefined ? walk : `${emitFind(emitter, table, likelySlot(table))}\n} else ${walk}`}
}
${rest}`
}

/** The slot that a key had most often so far. */
function likelySlot(table: Uint8Array): number {
  const counts = new Map<number, number>()
  for (const slot of table) if (slot >= FIRST_SLOT) counts.set(slot, (counts.get(slot) ?? 0) + 1)
  let best = FIRST_SLOT
  for (const [slot, count] of counts) if (count > (counts.get(best) ?? 0)) best = slot
  return best - FIRST_SLOT
}

function equalsPath(keys: readonly string[], value: JsonScalar): JsonPredicate {
  const judge = equalJudge(value)
  if (typeof value === 'number' && Number.isInteger(value) && value === (value | 0) && value !== 0) {
    return compile(keys, false, `h === ${INT << 16} ? v === ${value} : finish(r, v, h)`, judge) as JsonPredicate
  }
  if (typeof value !== 'string') return compile(keys, false, 'finish(r, v, h)', judge) as JsonPredicate
  const needle = new Needle(value)
  const result = needle.inline ? `v === ${needle.lo} && h === ${needle.hi}`
    : needle.hi >> 16 === NEAR_TEXT ? `h === ${needle.hi} ? finish(r, v, h) : h >> 16 === ${TEXT} && finish(r, v, h)`
      : `h >> 16 === ${TEXT} && finish(r, v, h)`
  return compile(keys, false, result, judge) as JsonPredicate
}

function equalJudge(value: JsonScalar): Judge {
  if (typeof value === 'string') {
    const needle = new Needle(value)
    return (region, lo, hi) => needle.equals(region, lo, hi)
  }
  if (typeof value === 'number') return (_region, lo, hi) => numberOf(lo, hi) === value
  if (typeof value === 'boolean') return (_region, lo, hi) => hi === CONSTANT << 16 && lo === (value ? TRUE : FALSE)
  if (value !== null) throw new RpcError('INVALID_ARGUMENT', 'a path compares with a string, number, boolean or null')
  return (_region, lo, hi) => hi === CONSTANT << 16 && lo === NULL
}

/** The number of a cell, or NaN. */
function numberOf(lo: number, hi: number): number {
  const tag = hi >> 16
  if (tag === INT) return lo
  return tag > INT && tag <= INLINE_TEXT || (lo === 0 && hi === 0) ? NaN : doubleOf(lo, hi)
}

/** The text that is being compared. */
const value = new Units()

function unitsOf(text: string): Units {
  const units = new Units()
  units.set(text)
  return units
}

function betweenJudge(low: number | string, high: number | string): Judge {
  if (typeof low === 'number' && typeof high === 'number') {
    return (_region, lo, hi) => {
      const value = numberOf(lo, hi)
      return value >= low && value <= high
    }
  }
  if (typeof low !== 'string' || typeof high !== 'string') throw new RpcError('INVALID_ARGUMENT', 'between takes two numbers or two strings')
  const [first, last] = [unitsOf(low), unitsOf(high)]
  return (region, lo, hi) => openUnits(value, region, lo, hi) && compareUnits(value, first) >= 0 && compareUnits(value, last) <= 0
}

function prefixJudge(prefix: string): Judge {
  if (typeof prefix !== 'string') throw new RpcError('INVALID_ARGUMENT', 'startsWith takes a string')
  const units = unitsOf(prefix)
  return (region, lo, hi) => openUnits(value, region, lo, hi) && comparePrefix(value, units) === 0
}

function includesJudge(judge: Judge): Judge {
  return (region, lo, hi) => {
    if (hi >> 16 !== ARRAY) return false
    follow(region, hi & 0xffff, lo, RECORD_WORDS)
    const { region: home, word, count } = openArray(opened.region, opened.word)
    const first = word + RECORD_WORDS
    for (let i = 0; i < count; i++) if (judge(home, home.i32[first + i * 2]! | 0, home.i32[first + i * 2 + 1]! | 0)) return true
    return false
  }
}

