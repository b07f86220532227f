// A list in its holder: 16 bytes, { u64 pointer to the elements, u32 length, u32 capacity }; all zero is the empty list.
// The elements lie side by side in a block of their own.
import { RpcError } from '../../base/errors.js'
import { locate, type Region } from '../../memory/region.js'
import { building, type Build } from '../graph/build.js'
import { CODEC, Codec, codecOf, once, retireGathered, type Describer, type TypeNode } from '../codec.js'
import type { Copier } from '../graph/copier.js'
import { Elements, emitSequence, findThroughPointer, gatherInOrder, MOVED_THROUGH_POINTER, requireElement, valuesOf, type SequenceClass } from './elements.js'
import { Gather } from '../graph/gather.js'
import { journal, willChange } from '../shared/journal.js'
import { MAX_LIST_LENGTH } from '../limits.js'
import { snapshots } from '../graph/plain.js'
import { allocatorOf, damaged, refuseWrite } from '../problems.js'
import { installChanges, installInPlace } from './in-place.js'
import type { Sequence } from './sequence.js'
import { borrowStaging, returnStaging } from '../graph/staging.js'
import { freePointer } from '../text/write.js'
import type { AnyType, ListType } from '../types.js'
import { REGION, WORD } from '../view.js'

const LENGTH = 2
const CAPACITY = 3
const FIRST_CAPACITY = 4
const MOVED = new Error('the getters of a value have changed the list that it is pushed onto')
/** Up to here a loop is faster than the two objects that a bulk copy needs (measured). */
const LOOP_BYTES = 64

/** A list's words, each read once, with its elements' place checked. */
interface Opened {
  readonly lo: number
  readonly hi: number
  readonly length: number
  readonly capacity: number
  readonly home: Region
  readonly start: number
}

/** Where a list's elements are put. */
interface Room {
  readonly isNew: boolean
  readonly home: Region
  readonly start: number
  readonly capacity: number
}

class ListCodec extends Codec {
  readonly bytes = 16
  readonly align = 8
  readonly #elements: () => Elements
  readonly #viewClass: () => SequenceClass

  constructor(type: ListType<AnyType>) {
    super(type)
    this.#elements = once(() => new Elements(codecOf(type.element)))
    this.#viewClass = once(() => this.#makeViewClass())
  }

  #makeViewClass(): SequenceClass {
    const elements = this.#elements()
    const viewClass = emitSequence(this.type, elements, 'r.i32[w + 2] >>> 0', findThroughPointer(elements.stride), MOVED_THROUGH_POINTER)
    installInPlace(viewClass, (region, p, order) => this.#reorder(region, p, order))
    installChanges(viewClass, this, this.type.label)
    return viewClass
  }

  read(region: Region, p: number): Sequence {
    return new (this.#viewClass())(region, p)
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    const values = value === undefined ? [] : valuesOf(value, where)
    const count = values.length
    if (count === 0) {
      setHeader(region, p, 0, 0, 0, 0)
      return
    }
    const elements = this.#elements()
    const start = build.allocate(elements.bytesFor(count))
    const home = build.region
    elements.write(build, home, start, values, where)
    setHeader(region, p, home.lowOf(start), home.high, count, count)
  }

  #open(region: Region, p: number): Opened {
    const a = region.i32
    const lo = a[p]! | 0
    const hi = a[p + 1]! | 0
    const length = a[p + LENGTH]! >>> 0
    const capacity = a[p + CAPACITY]! >>> 0
    const words = this.#elements().wordsFor(Math.max(length, capacity))
    if (words === 0) return { lo, hi, length, capacity, home: region, start: 0 }
    const home = locate(region, hi, lo, words)
    return { lo, hi, length, capacity, home, start: ((lo - home.low) >>> 2) + home.shift }
  }

  push(region: Region, p: number, values: readonly unknown[]): number {
    const count = region.i32[p + LENGTH]! >>> 0
    if (values.length === 1 && this.#elements().codec.immediate && this.#pushInPlace(region, p, count, values[0])) return count + 1
    return this.#replace(region, p, Infinity, Infinity, values)
  }

  // Where there is room for a value that owns nothing, and its getters leave the list alone.
  #pushInPlace(region: Region, p: number, count: number, value: unknown): boolean {
    const a = region.i32
    if (count >= a[p + CAPACITY]! >>> 0) return false
    const elements = this.#elements()
    const lo = a[p]! | 0
    const hi = a[p + 1]! | 0
    const home = locate(region, hi, lo, elements.wordsFor(count + 1))
    try {
      elements.codec.assign(home, elements.at(((lo - home.low) >>> 2) + home.shift, count), value, this.type.label, () => {
        if (a[p] !== lo || a[p + 1] !== hi || a[p + LENGTH]! >>> 0 !== count) throw MOVED
      })
    } catch (error) {
      if (error === MOVED) return false
      throw error
    }
    willChange(region, p + LENGTH, 1)
    a[p + LENGTH] = count + 1
    return true
  }

  /** Puts values in the place of elements `first` to `end`, which must exist, and returns those: what the list held by value as snapshots. */
  takeOut(list: Sequence, first: number, end: number, values: readonly unknown[] = []): unknown[] {
    const isRef = this.#elements().codec.type.kind === 'ref'
    const snapshot = snapshots(list[REGION])
    const taken: unknown[] = []
    for (let i = first; i < end && i < list.length; i++) taken.push(isRef ? list.at(i) : snapshot(list.at(i)))
    this.#replace(list[REGION], list[WORD], first, end, values)
    return taken
  }

  /** Puts the elements into another order, in new memory: `orderOf` gives the index of each one's old place. */
  #reorder(region: Region, p: number, orderOf: (length: number) => Uint32Array): void {
    const allocator = allocatorOf(region, this.type.label)
    const list = this.#open(region, p)
    const { stride } = this.#elements()
    const order = orderOf(list.length)
    if (order.length !== list.length) damaged('a list was changed while it was sorted')
    const block = allocator.allocate(this.#elements().bytesFor(list.length))
    const home = allocator.region
    gatherInOrder(list.home.u8, list.start * 4, home.u8, block * 4, stride, order)
    willChange(region, p, 4)
    setHeader(region, p, home.lowOf(block), home.high, list.length, list.length)
    freePointer(allocator, region, list.lo, list.hi)
  }

  cut(list: Sequence, first: number, end: number): void {
    this.#replace(list[REGION], list[WORD], first, end, [])
  }

  clear(region: Region, p: number): void {
    const allocator = allocatorOf(region, this.type.label)
    retireGathered(allocator, (gather) => {
      this.gather(gather, region, p)
      willChange(region, p, 4)
      setHeader(region, p, 0, 0, 0, 0)
    })
  }

  /**
   * Puts values in the place of elements `first` to `end`; the new ones are complete before the old ones go.
   * @returns how many elements there are then.
   */
  #replace(region: Region, p: number, first: number, end: number, values: readonly unknown[]): number {
    const allocator = allocatorOf(region, this.type.label)
    const elements = this.#elements()
    const staged = borrowStaging(elements.bytesFor(values.length))
    const removed = new Gather()
    const { list, from, to, length, room } = building(allocator, (build) => {
      if (values.length > 0) elements.write(build, staged, 0, values, this.type.label, Math.min(first, region.i32[p + LENGTH]! >>> 0))
      build.run()
      // Looked at now: getters of the values may have changed the list, and a peer may, since the caller read its length.
      const list = this.#open(region, p)
      const from = Math.min(first, list.length)
      const to = Math.min(end, list.length)
      const length = list.length - (to - from) + values.length
      const room = this.#roomFor(build, list, length, to < list.length || from < to)
      elements.gather(removed, list.home, list.start, from, to)
      return { list, from, to, length, room }
    })
    const { stride } = elements
    const target = room.home.u8
    const at = room.start * 4
    const source = list.home.u8
    const begin = list.start * 4
    if (room.isNew) copyBytes(source, begin, target, at, from * stride)
    if (room.isNew || values.length !== to - from) {
      copyBytes(source, begin + to * stride, target, at + (from + values.length) * stride, (list.length - to) * stride)
    }
    copyBytes(staged.u8, 0, target, at + from * stride, values.length * stride)
    returnStaging(staged)
    willChange(region, p, 4)
    if (room.isNew) setHeader(region, p, room.home.lowOf(room.start), room.home.high, length, room.capacity)
    else region.i32[p + LENGTH] = length
    if (room.isNew && (list.lo !== 0 || list.hi !== 0)) freePointer(allocator, region, list.lo, list.hi)
    removed.retire(allocator)
    return length
  }

  /** Where `length` elements lie: in the list's own memory, or in new memory when they do not fit, or when a change of what is there may have to be undone. */
  #roomFor(build: Build, list: Opened, length: number, changes: boolean): Room {
    if (length > MAX_LIST_LENGTH) throw new RpcError('OUT_OF_RANGE', `${this.type.label}: a list has at most ${MAX_LIST_LENGTH} elements`)
    const fits = length <= list.capacity
    if (fits && !(changes && journal.current !== null)) {
      // A peer's pointer may lead into memory that is only read here.
      if (list.home.readOnly) refuseWrite(this.type.label, list.home)
      return { isNew: false, home: list.home, start: list.start, capacity: list.capacity }
    }
    const capacity = Math.min(MAX_LIST_LENGTH, Math.max(length, fits ? list.capacity : list.capacity * 2, FIRST_CAPACITY))
    const start = build.allocate(this.#elements().bytesFor(capacity))
    return { isNew: true, home: build.region, start, capacity }
  }

  override gather(gather: Gather, region: Region, p: number): void {
    const list = this.#open(region, p)
    if (list.lo === 0 && list.hi === 0) return
    const home = list.capacity === 0 && list.length === 0 ? locate(region, list.hi, list.lo, 2) : list.home
    const start = ((list.lo - home.low) >>> 2) + home.shift
    if (gather.block(home, start)) this.#elements().gather(gather, home, start, 0, list.length)
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    const { length, home, start } = this.#open(from, p)
    if (length === 0) {
      setHeader(to, q, 0, 0, 0, 0)
      return
    }
    const elements = this.#elements()
    const target = copier.allocate(elements.bytesFor(length))
    const { region } = copier
    elements.copy(copier, home, start, length, region, target)
    setHeader(to, q, region.lowOf(target), region.high, length, length)
  }

  describe(describer: Describer): TypeNode {
    return ['list', describer.node(this.#elements().codec.type)]
  }
}

/** Also within one array, where the two may overlap. */
function copyBytes(source: Uint8Array, from: number, target: Uint8Array, to: number, count: number): void {
  if (count > LOOP_BYTES || (source === target && count > 0)) target.set(source.subarray(from, from + count), to)
  else for (let i = 0; i < count; i++) target[to + i] = source[from + i]!
}

function setHeader(region: Region, p: number, lo: number, hi: number, length: number, capacity: number): void {
  const a = region.i32
  a[p] = lo
  a[p + 1] = hi
  a[p + LENGTH] = length
  a[p + CAPACITY] = capacity
}

/**
 * A growable sequence of any type but nothing. The holder owns it: assigning replaces all elements, and frees the old ones
 * with what they own (never the target of a ref).
 */
export function list<Element extends AnyType>(element: Element): ListType<Element> {
  requireElement('list', element)
  const type: ListType<Element> = { kind: 'list', label: `list(${element.label})`, element, [CODEC]: once(() => new ListCodec(type)) }
  return type
}
