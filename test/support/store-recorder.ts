// Memory that takes note of every store into it, in order, so that a test can have what a process would have left that died after any of
// them. Its typed arrays are Proxies, which everything that is made inside of `run` over its buffer gets in place of real ones.

/** One store: the words that it changed, and what they hold since. A number of eight bytes is two words in one store. */
export type Store = ReadonlyArray<readonly [word: number, value: number]>

type AnyArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Float32Array | Float64Array
type ArrayName = 'Int8Array' | 'Uint8Array' | 'Int16Array' | 'Uint16Array' | 'Int32Array' | 'Float32Array' | 'Float64Array'
const ARRAYS: readonly ArrayName[] = ['Int8Array', 'Uint8Array', 'Int16Array', 'Uint16Array', 'Int32Array', 'Float32Array', 'Float64Array']
const ATOMICS = ['load', 'store', 'add', 'sub', 'or', 'and', 'xor', 'exchange', 'compareExchange'] as const
const BULK: ReadonlySet<string> = new Set(['set', 'fill', 'copyWithin', 'reverse', 'sort'])

type Works = Record<string, (...given: unknown[]) => unknown>

export class StoreRecorder {
  readonly buffer: ArrayBuffer
  readonly #words: Int32Array
  /** What was there at the last store. */
  readonly #known: Int32Array
  readonly #real = new WeakMap<object, AnyArray>()
  #stores: Store[] = []

  constructor(image: Int32Array) {
    this.buffer = new ArrayBuffer(image.byteLength)
    this.#words = new Int32Array(this.buffer)
    this.#words.set(image)
    this.#known = image.slice()
  }

  /** The memory as it is. */
  image(): Int32Array {
    return this.#words.slice()
  }

  /** The stores since the last time. */
  take(): readonly Store[] {
    const stores = this.#stores
    this.#stores = []
    return stores
  }

  /** Runs work, all of it that touches this memory: what it makes over the buffer is recorded, and Atomics work on that. */
  run<R>(work: () => R): R {
    const globals = globalThis as unknown as Record<string, unknown>
    const atomics = Atomics as unknown as Works
    const before = new Map<string, unknown>(ARRAYS.map((name) => [name, globals[name]]))
    const operations = new Map(ATOMICS.map((name) => [name, atomics[name]!]))
    for (const name of ARRAYS) globals[name] = this.#constructorLike(globalThis[name])
    for (const [name, operation] of operations) {
      atomics[name] = (array, index, ...given) => {
        const real = this.#real.get(array as object)
        if (real === undefined) return operation(array, index, ...given)
        const outcome = operation(real, index, ...given)
        this.#noteElement(real, index as number)
        return outcome
      }
    }
    try {
      return work()
    } finally {
      for (const [name, constructor] of before) globals[name] = constructor
      for (const [name, operation] of operations) atomics[name] = operation
    }
  }

  #constructorLike(real: (typeof globalThis)[ArrayName]): unknown {
    return new Proxy(real, {
      construct: (target, given): object => {
        const array = Reflect.construct(target, given) as unknown as AnyArray
        return array.buffer === this.buffer ? this.#recorded(array) : array
      },
    })
  }

  #recorded(array: AnyArray): AnyArray {
    const proxy = new Proxy(array, {
      get: (target, key): unknown => {
        const value: unknown = Reflect.get(target, key, target)
        if (typeof value !== 'function') return value
        return (...given: unknown[]): unknown => {
          const outcome: unknown = Reflect.apply(value, target, given)
          if (BULK.has(String(key))) this.#noteAll()
          return outcome
        }
      },
      set: (target, key, value): boolean => {
        Reflect.set(target, key, value, target)
        this.#noteElement(target, Number(key))
        return true
      },
    })
    this.#real.set(proxy, array)
    return proxy
  }

  #noteElement(array: AnyArray, index: number): void {
    const start = array.byteOffset + index * array.BYTES_PER_ELEMENT
    this.#note(start >>> 2, array.BYTES_PER_ELEMENT === 8 ? 2 : 1)
  }

  /** Whatever has changed: word by word, in ascending order. */
  #noteAll(): void {
    const [words, known] = [this.#words, this.#known]
    for (let word = 0; word < words.length; word++) if (words[word] !== known[word]) this.#note(word, 1)
  }

  #note(word: number, count: number): void {
    const store: Array<readonly [number, number]> = []
    for (let at = word; at < word + count; at++) {
      const value = this.#words[at]!
      if (value === this.#known[at]) continue
      this.#known[at] = value
      store.push([at, value])
    }
    if (store.length > 0) this.#stores.push(store)
  }
}

export function applyStore(image: Int32Array, store: Store): void {
  for (const [word, value] of store) image[word] = value
}
