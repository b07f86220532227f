// Methods of arrays that would move values through views, each a deep copy: here the cells themselves are moved.
import { RpcError } from '../../base/errors.js'
import { ARRAY, OBJECT, RECORD_WORDS } from '../../layout/json-layout.js'
import { MAX_WALK_NODES } from '../limits.js'
import { show } from '../problems.js'
import { TextBudget } from '../text/budget.js'
import { asView, REGION, WORD, type Located } from '../view.js'
import { PlainReader } from './plain.js'
import { openArray } from './record.js'
import { reorderElements, setLength, spliceElements } from './update.js'

type Self = Located & readonly unknown[]

function lengthOf(self: Self): number {
  return openArray(self[REGION], self[WORD]).count
}

/** Elements as plain values: what is taken out of an array is no view any more. */
function snapshots(self: Self, start: number, count: number): unknown[] {
  const { region, word, count: length } = openArray(self[REGION], self[WORD])
  const taken: unknown[] = []
  const reader = new PlainReader(MAX_WALK_NODES, new TextBudget(region))
  for (let i = start; i < Math.min(start + count, length); i++) {
    const p = word + RECORD_WORDS + i * 2
    taken.push(reader.cell(region, region.i32[p]! | 0, region.i32[p + 1]! | 0))
  }
  return taken
}

function take(self: Self, start: number, count: number, values: readonly unknown[]): unknown[] {
  const taken = snapshots(self, start, count)
  spliceElements(self[REGION], self[WORD], start, taken.length, values)
  return taken
}

/** The integer that an argument of splice stands for, within the array. */
function clamp(value: unknown, length: number): number {
  const whole = Math.trunc(Number(value ?? 0)) || 0
  return whole < 0 ? Math.max(0, length + whole) : Math.min(whole, length)
}

/** Index of the element that a view stands for, from `first` on by `step`; -1 for none. Every read of it is a view of its own. */
function indexOfView(self: Self, view: Located, first: number, step: 1 | -1): number {
  const { region, word, count } = openArray(self[REGION], self[WORD])
  const { high } = view[REGION]
  const low = view[REGION].lowOf(view[WORD])
  for (let i = first; i >= 0 && i < count; i += step) {
    const p = word + RECORD_WORDS + i * 2
    const hi = region.i32[p + 1]! | 0
    const tag = hi >> 16
    if ((tag === OBJECT || tag === ARRAY) && (hi & 0xffff) === high && (region.i32[p]! & ~7) === low) return i
  }
  return -1
}

const methods = {
  // What is compared by identity: one object, however it was read.
  indexOf(this: Self, ...given: [value: unknown, from?: number]): number {
    const view = asView(given[0])
    return view === undefined ? Array.prototype.indexOf.apply(this, given) : indexOfView(this, view, clamp(given[1], lengthOf(this)), 1)
  },
  lastIndexOf(this: Self, ...given: [value: unknown, from?: number]): number {
    const view = asView(given[0])
    if (view === undefined) return Array.prototype.lastIndexOf.apply(this, given as [unknown])
    const length = lengthOf(this)
    const from = given.length === 1 ? length - 1 : Math.trunc(Number(given[1])) || 0
    return indexOfView(this, view, from < 0 ? length + from : Math.min(from, length - 1), -1)
  },
  includes(this: Self, ...given: [value: unknown, from?: number]): boolean {
    return asView(given[0]) === undefined ? Array.prototype.includes.apply(this, given) : methods.indexOf.apply(this, given) >= 0
  },
  push(this: Self, ...values: readonly unknown[]): number {
    const length = lengthOf(this)
    spliceElements(this[REGION], this[WORD], length, 0, values)
    return length + values.length
  },
  pop(this: Self): unknown {
    const length = lengthOf(this)
    return length === 0 ? undefined : take(this, length - 1, 1, [])[0]
  },
  shift(this: Self): unknown {
    return take(this, 0, 1, [])[0]
  },
  unshift(this: Self, ...values: readonly unknown[]): number {
    spliceElements(this[REGION], this[WORD], 0, 0, values)
    return lengthOf(this)
  },
  splice(this: Self, ...given: readonly unknown[]): unknown[] {
    const length = lengthOf(this)
    const start = clamp(given[0], length)
    const count = given.length === 0 ? 0 : given.length === 1 ? length - start : Math.min(Math.max(0, Math.trunc(Number(given[1])) || 0), length - start)
    return take(this, start, count, given.slice(2))
  },
  reverse(this: Self): unknown {
    const length = lengthOf(this)
    reorderElements(this[REGION], this[WORD], Array.from({ length }, (_, i) => length - 1 - i))
    return this
  },
  sort(this: Self, compare?: (a: unknown, b: unknown) => number): unknown {
    if (compare !== undefined && typeof compare !== 'function') throw new TypeError('sort takes a function that compares two elements, or nothing')
    const texts = new TextBudget(this[REGION])
    const values = Array.from(this, (value) => {
      if (typeof value === 'string') texts.spend(value.length)
      return value
    })
    const order = values.map((_, i) => i)
    // The default order is that of strings, as Array's.
    const by = compare ?? ((a: unknown, b: unknown) => {
      const [x, y] = [String(a), String(b)]
      return x < y ? -1 : x > y ? 1 : 0
    })
    order.sort((a, b) => by(values[a], values[b]))
    reorderElements(this[REGION], this[WORD], order)
    return this
  },
  copyWithin(): never {
    throw new RpcError('UNIMPLEMENTED', 'copyWithin is not for arrays of json: use splice')
  },
  *values(this: Self): IterableIterator<unknown> {
    for (let i = 0; i < lengthOf(this); i++) yield this[i]
  },
}

/** A method of an array of json: its own where it has one, Array's otherwise; undefined for what is none. */
export function arrayMethod(name: string): unknown {
  return Object.hasOwn(methods, name) ? methods[name as keyof typeof methods] : Reflect.get(Array.prototype, name)
}

/** `length = value`, as Array has it. */
export function assignLength(array: Located, value: unknown): void {
  const length = Number(value)
  if (length >>> 0 !== length) throw new RangeError('Invalid array length')
  setLength(array[REGION], array[WORD], length)
}

/** `array[key] = value` where the key is neither an index nor `length`. */
export function refuseProperty(key: string): never {
  throw new RpcError('INVALID_ARGUMENT', `an array of json has elements from 0 on and a length, no property ${show(key)}: use an object`)
}
