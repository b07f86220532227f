// A client that dies after its n-th store to shared memory. Typed arrays over mapped memory are Proxies here that count stores; the store that
// is one too many is not made, nor any after it: each of them throws instead, so that whatever the code does on its way out changes nothing.
// The memory is then as a client leaves it that died there. (Import this before anything is connected.)
import { Mapping } from '../../src/sys/index.js'

type ArrayName = 'Int8Array' | 'Uint8Array' | 'Int16Array' | 'Uint16Array' | 'Int32Array' | 'Uint32Array' | 'Float32Array' | 'Float64Array'
type AnyArray = InstanceType<(typeof globalThis)[ArrayName]>
const ARRAYS: readonly ArrayName[] = ['Int8Array', 'Uint8Array', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array']
const STORES = ['store', 'add', 'sub', 'or', 'and', 'xor', 'exchange', 'compareExchange'] as const
const OPERATIONS = ['load', ...STORES] as const

/** Thrown where a client would be dead. */
export class Death extends Error {}

/** Stores in one go that are not told apart, but for the first and the last. */
const RUN_MIN = 4

let left = Infinity
let made = 0
let steps: number[] = []
let onDeath: () => void = () => undefined
const mapped = new WeakSet<ArrayBuffer>()
const realOf = new WeakMap<object, AnyArray>()

/**
 * Runs a client's work until it has made so many stores. Tells whether it died of the next, and after how many stores it is worth dying: after each,
 * but only here and there in a long run of them. `die` is called at its death, before anything else is.
 */
export function live(stores: number, work: () => void, die: () => void = () => undefined): { readonly steps: readonly number[], readonly died: boolean } {
  left = stores
  made = 0
  steps = [0]
  onDeath = die
  try {
    work()
    return { steps: [...steps], died: false }
  } catch (error) {
    if (left >= 0) throw error
    return { steps: [...steps], died: true }
  } finally {
    left = Infinity
  }
}

/** From here on so many stores more are made, and no others. */
export function dieAfter(stores: number): void {
  left = stores
}

/** Stores made in this life. */
export function storesMade(): number {
  return made
}

/** How many of so many stores are still made; throws when none is. */
function spend(count: number): number {
  if (left >= count) {
    if (count >= RUN_MIN) steps.push(made + 1, made + (count >>> 1))
    else for (let i = 1; i < count; i++) steps.push(made + i)
    left -= count
    made += count
    steps.push(made)
    return count
  }
  const last = Math.max(0, left)
  if (left >= 0) {
    left = -1
    made += last
    if (last === 0) onDeath()
  }
  if (last === 0) throw new Death()
  return last
}

function constructorLike(real: (typeof globalThis)[ArrayName]): unknown {
  return new Proxy(real, {
    construct: (target, given, newTarget): object => {
      const array = Reflect.construct(target, given, newTarget as typeof target) as unknown as AnyArray
      return mapped.has(array.buffer) ? counted(array) : array
    },
  })
}

function counted(array: AnyArray): AnyArray {
  const proxy = new Proxy(array, {
    get: (target, key): unknown => {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      return (...given: unknown[]): unknown => {
        if (key === 'set') return setSome(target, given[0] as ArrayLike<number>, Number(given[1] ?? 0))
        if (key === 'fill') return fillSome(proxy, target, ...given as [number, number?, number?])
        if (key === 'subarray') return counted(Reflect.apply(value, target, given) as AnyArray)
        if (key === 'copyWithin' || key === 'reverse' || key === 'sort') throw new Error(`${key} of mapped memory is not counted: teach this file to`)
        return Reflect.apply(value, target, given)
      }
    },
    set: (target, key, value): boolean => {
      spend(1)
      return Reflect.set(target, key, value, target)
    },
  })
  realOf.set(proxy, array)
  return proxy
}

function setSome(target: AnyArray, given: ArrayLike<number>, at: number): void {
  const source = realOf.get(given) ?? given
  const { length } = source
  if (length === 0) return
  const some = spend(length)
  target.set(some === length ? source : Array.prototype.slice.call(source, 0, some) as number[], at)
  if (some < length) spend(1)
}

function fillSome(proxy: AnyArray, target: AnyArray, value: number, start = 0, end = target.length): AnyArray {
  if (end <= start) return proxy
  const some = spend(end - start)
  target.fill(value, start, start + some)
  if (some < end - start) spend(1)
  return proxy
}

const globals = globalThis as unknown as Record<string, unknown>
for (const name of ARRAYS) globals[name] = constructorLike(globalThis[name])
const atomics = Atomics as unknown as Record<string, (...given: unknown[]) => unknown>
for (const name of OPERATIONS) {
  const operation = atomics[name]!
  atomics[name] = (array, ...given) => {
    const real = realOf.get(array as object)
    if (real !== undefined && name !== 'load') spend(1)
    return operation(real ?? array, ...given)
  }
}
const map = Mapping.map.bind(Mapping)
Mapping.map = (...given) => {
  const mapping = map(...given)
  mapped.add(mapping.buffer)
  return mapping
}
