import { RpcError, WildPointerError } from '../../base/errors.js'
import { roundUp } from '../../base/numbers.js'
import { locate, type Region } from '../../memory/region.js'
import type { Build } from '../graph/build.js'
import { isType, type AnyType, type Codec } from '../codec.js'
import type { Copier } from '../graph/copier.js'
import { Emitter } from '../emit.js'
import type { Gather } from '../graph/gather.js'
import { Iteration } from '../iteration.js'
import { mismatch } from '../problems.js'
import { installProtocol } from '../protocol.js'
import { Sequence, unusualIndex } from './sequence.js'
import { asView } from '../view.js'
import { emitKeep } from '../watch.js'

export type SequenceClass = new (region: Region, word: number) => Sequence

/** Elements side by side: how wide they are, and where element i lies. */
export class Elements {
  readonly codec: Codec
  /** Bytes from one element to the next. */
  readonly stride: number
  /** Element positions per word, and per element. */
  readonly perWord: number
  readonly step: number

  constructor(codec: Codec) {
    this.codec = codec
    this.stride = roundUp(codec.bytes, codec.align)
    this.perWord = 4 / codec.unit
    this.step = this.stride / codec.unit
  }

  /** Bytes that `count` elements take; whole words of 8 bytes, so that copying by words covers them. */
  bytesFor(count: number): number {
    return roundUp(count * this.stride, 8)
  }

  wordsFor(count: number): number {
    return Math.ceil(count * this.stride / 4)
  }

  /** Position of element `index` of those that start at `word`. */
  at(word: number, index: number): number {
    return word * this.perWord + index * this.step
  }

  /**
   * Writes values into fresh memory at `word`; the last word is zeroed first where elements do not fill it.
   * @param first index of the first of them, for messages.
   */
  write(build: Build, region: Region, word: number, values: readonly unknown[], where: string, first = 0): void {
    const { codec } = this
    if (this.stride < 4) for (let i = word; i < word + this.wordsFor(values.length); i++) region.i32[i] = 0
    build.enter(where)
    let i = 0
    try {
      for (; i < values.length; i++) codec.write(build, region, this.at(word, i), values[i], where)
    } catch (error) {
      throw inElement(error, where, first + i)
    }
    build.leave()
  }

  gather(gather: Gather, region: Region, word: number, from: number, to: number): void {
    const { codec } = this
    if (codec.immediate) return
    gather.spend(to - from)
    gather.enter()
    for (let i = from; i < to; i++) codec.gather(gather, region, this.at(word, i))
    gather.leave()
  }

  copy(copier: Copier, from: Region, word: number, count: number, to: Region, target: number): void {
    const { codec } = this
    copier.spend(count)
    if (codec.immediate) {
      const words = this.wordsFor(count)
      for (let i = 0; i < words; i++) to.i32[target + i] = from.i32[word + i]!
      return
    }
    copier.enter()
    for (let i = 0; i < count; i++) codec.copy(copier, from, this.at(word, i), to, this.at(target, i))
    copier.leave()
  }
}

/** Copies elements, each of `stride` bytes, in the order of the indexes given. Positions are in bytes. */
export function gatherInOrder(source: Uint8Array, first: number, target: Uint8Array, at: number, stride: number, order: Uint32Array): void {
  for (let i = 0; i < order.length; i++) {
    const from = first + order[i]! * stride
    const to = at + i * stride
    for (let k = 0; k < stride; k++) target[to + k] = source[from + k]!
  }
}

/** Sentences that are longer say enough of where it was. */
const SENTENCE_MAX = 300

/** The same error, of a wrong value, with the index of the element that it was found in. */
function inElement(error: unknown, where: string, index: number): unknown {
  if (!RpcError.is(error) || error.code !== 'INVALID_ARGUMENT' || error instanceof WildPointerError || error.sentence.length > SENTENCE_MAX) return error
  const { sentence } = error
  const place = `${where}[${index}]`
  return new RpcError('INVALID_ARGUMENT', sentence.startsWith(where) ? `${place}${sentence.slice(where.length)}` : `${place}: ${sentence}`, { cause: error.cause })
}

/** The values that a list or array is given: any iterable but a string. */
export function valuesOf(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value as unknown[]
  if (asView(value) instanceof Sequence) return (value as Sequence).toArray()
  if (typeof value !== 'object' || value === null || !(Symbol.iterator in value)) mismatch(where, 'an array or another iterable', value)
  return gathered(value as Iterable<unknown>)
}

// An iterator can be gone through once, but a result that does not fit into its memory is written a second time.
const gatheredBefore = new WeakMap<object, readonly unknown[]>()

/** What an iterable yields; for an iterator, what it yielded the first time. */
export function gathered(iterable: Iterable<unknown>): readonly unknown[] {
  const iterator = iterable[Symbol.iterator]()
  if (!Object.is(iterator, iterable)) return [...iterable]
  let values = gatheredBefore.get(iterator)
  if (values === undefined) gatheredBefore.set(iterator, values = [...iterable])
  return values
}

/** The entries that a map is given: of a Map, or of another iterable of [key, value]. */
export function pairsOf(value: unknown, where: string): ReadonlyArray<readonly [unknown, unknown]> {
  if (typeof value !== 'object' || value === null || !(Symbol.iterator in value)) mismatch(where, 'a Map or an iterable of [key, value]', value)
  return gathered(value as Iterable<unknown>).map((entry) => {
    if (!Array.isArray(entry) || entry.length !== 2) mismatch(where, '[key, value]', entry)
    return entry as unknown as readonly [unknown, unknown]
  })
}

export function requireElement(constructor: string, element: unknown): asserts element is AnyType {
  if (!isType(element)) throw new RpcError('INVALID_ARGUMENT', `${constructor}(…) takes a type; where it is declared further down, write the field as a getter`)
  if (element.kind === 'nothing') throw new RpcError('INVALID_ARGUMENT', `${constructor}(nothing) holds nothing`)
}

/** A region that holds `words` at the pointer: elements in another heap, or a pointer that leads nowhere. */
function elsewhere(region: Region, lo: number, hi: number, words: number): Region {
  return locate(region, hi | 0, lo | 0, Math.ceil(words))
}

/**
 * Compiles the view class of a sequence. `length` is an expression, `find` statements that leave the element's region in
 * `r` and the word where elements start in `start`; both see the view's region `r`, its word `w`, and `find` the index `i`.
 * `moved` is an expression, where elements can move: a function that throws when the one that was found has.
 *
 * Each class stores region and word itself: in a constructor that all share, a store into objects with a Proxy in their
 * chain takes V8's slowest path as soon as there are more than four kinds (measured: half a microsecond a view).
 */
export function emitSequence(type: AnyType, elements: Elements, length: string, find: string, moved?: string): SequenceClass {
  const emitter = new Emitter()
  const keep = emitKeep(emitter)
  emitter.named('Sequence', Sequence)
  emitter.named('Iteration', Iteration)
  emitter.named('unusualIndex', unusualIndex)
  emitter.named('elsewhere', elsewhere)
  emitter.named('beyond', (index: unknown, count: number) => {
    throw new RpcError('OUT_OF_RANGE', `${type.label}: there is no element ${String(index)} of ${count}${type.kind === 'list' ? ': push adds elements' : ''}`)
  })
  emitter.named('moved', () => {
    throw new RpcError('ABORTED', `${type.label}: the list was changed by a getter or an iterator of the very value that is put into it`)
  })
  const p = `start * ${elements.perWord} + i * ${elements.step}`
  const label = JSON.stringify(type.label)
  const compiled = emitter.compile(`(() => {
class Values {
constructor(list) { this.list = list; this.index = 0 }
next() { const i = this.index, list = this.list
if (i < list.length) { this.index = i + 1; return { done: false, value: list.at(i) } }
this.index = Infinity; return { done: true, value: undefined } }
}
const Self = class { constructor(r, w) { ${keep} }
get length() { const r = this[REGION], w = this[WORD]
return ${length} }
at(i) { let r = this[REGION], w = this[WORD], n = ${length}
if (!(i >>> 0 === i && i < n)) { i = unusualIndex(i, n); if (i < 0) return undefined }
${find}
{ ${elements.codec.emitReturn(emitter, p)} } }
set(i, v) { let r = this[REGION], w = this[WORD], n = ${length}
if (!(i >>> 0 === i && i < n)) beyond(i, n)
${find}
{ ${elements.codec.emitAssign(emitter, p, 'v', label, moved)} } }
values() { return new Values(this) }
forEach(visit) { for (let i = 0, n = this.length; i < n && i < this.length; i++) visit(this.at(i), i, this) }
}
Object.setPrototypeOf(Values.prototype, Iteration.prototype)
Object.setPrototypeOf(Self.prototype, Sequence.prototype)
return Self })()`)
  compiled.link()
  const viewClass = compiled.value as SequenceClass
  installProtocol(viewClass.prototype as object, type)
  Object.defineProperty(viewClass, 'name', { value: type.label })
  return viewClass
}

/** How `moved` says that a list's elements are where they were: see {@link findThroughPointer}. */
export const MOVED_THROUGH_POINTER = `() => { const a = this[REGION].i32
if (a[w] !== lo || a[w + 1] !== hi || a[w + 2] >>> 0 <= i) moved() }`

/** How `find` says where the elements of a list start: its pointer is at the view's word. */
export function findThroughPointer(stride: number): string {
  return `const lo = r.i32[w], hi = r.i32[w + 1], words = (i + 1) * ${stride / 4}
let k = (lo - r.low) >>> 2
if (hi !== r.high || k + words > r.words) { r = elsewhere(r, lo, hi, words); k = (lo - r.low) >>> 2 }
const start = k + r.shift`
}
