// How sequences are changed by methods of Array: those that keep the length, and those that only lists have.
import { RpcError } from '../../base/errors.js'
import type { Region } from '../../memory/region.js'
import { REGION, WORD } from '../view.js'
import type { SequenceClass } from './elements.js'
import { clamp, type Sequence } from './sequence.js'

type Change = (this: Sequence, ...values: readonly never[]) => unknown

function define(viewClass: SequenceClass, changes: Readonly<Record<string, Change>>): void {
  for (const [name, value] of Object.entries(changes)) Object.defineProperty(viewClass.prototype, name, { value, configurable: true, writable: true })
}

/**
 * The methods that keep the length. `fill` and `copyWithin` store one element after the other, as `set` does: when one is refused, those before it stay.
 * @param reorder puts the elements of a sequence, which are looked at before it asks for the order of so many, into another: element i is then what
 * element `order[i]` was.
 */
export function installInPlace(viewClass: SequenceClass, reorder: (region: Region, p: number, order: (length: number) => Uint32Array) => void): void {
  define(viewClass, {
    reverse(): Sequence {
      if (this.length > 1) reorder(this[REGION], this[WORD], (length) => Uint32Array.from({ length }, (_, i) => length - 1 - i))
      return this
    },
    sort(compare: (a: unknown, b: unknown) => number = compareAsTexts): Sequence {
      const elements = this.toArray()
      // Array's own sort, whatever the comparison says: nothing comes last, and nobody is asked about it.
      const present = [...elements.keys()].filter((i) => elements[i] !== undefined)
      const absent = [...elements.keys()].filter((i) => elements[i] === undefined)
      const order = Uint32Array.from([...present.toSorted((a, b) => compare(elements[a], elements[b])), ...absent])
      if (order.length > 1) reorder(this[REGION], this[WORD], () => order)
      return this
    },
    fill(value: unknown, start?: number, end?: number): Sequence {
      const { length } = this
      const last = clamp(end ?? length, length)
      for (let i = clamp(start ?? 0, length); i < last; i++) this.set(i, value)
      return this
    },
    copyWithin(target: number, start?: number, end?: number): Sequence {
      const { length } = this
      const [to, from] = [clamp(target, length), clamp(start ?? 0, length)]
      const count = Math.min(clamp(end ?? length, length) - from, length - to)
      // What is still to be copied is not overwritten: from behind, where it moves up.
      if (from < to) for (let i = count - 1; i >= 0; i--) this.set(to + i, this.at(from + i))
      else for (let i = 0; i < count; i++) this.set(to + i, this.at(from + i))
      return this
    },
  })
}

/** What a list's changes of length ask of its codec. */
export interface LengthAccess {
  push(region: Region, p: number, values: readonly unknown[]): number
  /** Puts values in the place of elements `first` to `end`, which must exist, and returns those. */
  takeOut(list: Sequence, first: number, end: number, values?: readonly unknown[]): unknown[]
  /** Takes elements `first` to `end` out and frees what they own. */
  cut(list: Sequence, first: number, end: number): void
  clear(region: Region, p: number): void
}

/** The methods by which a list changes its length. */
export function installChanges(viewClass: SequenceClass, codec: LengthAccess, label: string): void {
  define(viewClass, {
    push(...values: readonly unknown[]): number {
      return codec.push(this[REGION], this[WORD], values)
    },
    pop(): unknown {
      const { length } = this
      return length === 0 ? undefined : codec.takeOut(this, length - 1, length)[0]
    },
    shift(): unknown {
      return this.length === 0 ? undefined : codec.takeOut(this, 0, 1)[0]
    },
    unshift(...values: readonly unknown[]): number {
      codec.takeOut(this, 0, 0, values)
      return this.length
    },
    splice(...args: readonly unknown[]): unknown[] {
      const { length } = this
      const [start, count, ...values] = args as [start?: number, count?: number, ...values: unknown[]]
      const first = clamp(start ?? 0, length)
      // As an array does: without a count all the rest, without anything nothing.
      const most = args.length === 1 ? length : count ?? 0
      return codec.takeOut(this, first, first + clamp(Math.max(0, most), length - first), values)
    },
    clear(): void {
      codec.clear(this[REGION], this[WORD])
    },
  })
  Object.defineProperty(viewClass.prototype, 'length', {
    ...Object.getOwnPropertyDescriptor(viewClass.prototype, 'length'),
    set(this: Sequence, wanted: unknown) {
      const { length } = this
      const to = Number(wanted)
      if (!Number.isInteger(to) || to < 0 || to > length) {
        throw new RpcError('OUT_OF_RANGE', `${label}: the length is made ${length} at most by assigning it, as typed elements have no holes; push adds elements`)
      }
      if (to < length) codec.cut(this, to, length)
    },
  })
}

/** The order of Array.sort when it is given none. */
function compareAsTexts(a: unknown, b: unknown): number {
  const [x, y] = [String(a), String(b)]
  return x < y ? -1 : x > y ? 1 : 0
}
