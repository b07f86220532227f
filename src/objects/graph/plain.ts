import { RpcError } from '../../base/errors.js'
import { requireLimits } from '../../base/options.js'
import type { Region } from '../../memory/region.js'
import { codecOf, type AnyType, type Codec } from '../codec.js'
import { MAX_NESTING, MAX_WALK_NODES } from '../limits.js'
import { PlainReader } from '../json/plain.js'
import { isJson, tagOf } from '../json/whole.js'
import { TextBudget } from '../text/budget.js'
import type { Snapshot } from '../types.js'
import type { MapView, SequenceView, SetView, SharedView } from '../views.js'
import { asView, REGION, TYPE, WORD, type Located } from '../view.js'

/** How far {@link plain} goes. */
export interface PlainOptions {
  /** Objects and elements after which the conversion gives up with RESOURCE_EXHAUSTED. */
  readonly maxNodes?: number
  /** Code units of texts, keys included, and bytes after which it does too. By default as many as the memory holds in which they lie. */
  readonly maxUnits?: number
}

/**
 * Converts a view, with everything it reaches, into ordinary objects, arrays and maps that hold no shared memory. An object
 * reached twice becomes one object, so cycles convert too, also those that lead through something shared, up to 400 of these one behind
 * the other. Anything that is not a view is returned as it is.
 */
export function plain<V>(value: V, options: PlainOptions = {}): Snapshot<V> {
  // Of posts.map(plain) it is an index.
  if (typeof options === 'object') requireLimits('plain', options, { maxNodes: true, maxUnits: true })
  const texts = new TextBudget(undefined, options.maxUnits)
  return new Conversion(false, options.maxNodes ?? MAX_WALK_NODES, texts).run(value) as Snapshot<V>
}

/** Converts one value out of a region's memory after the other, as {@link plain} does, within the limits of one conversion. */
export function snapshots(region: Region): (value: unknown) => unknown {
  const conversion = new Conversion(false, MAX_WALK_NODES, new TextBudget(region), true)
  return (value) => conversion.run(value)
}

/**
 * What JSON.stringify prints for a view: 64-bit integers as decimal strings, bytes as base64, maps as objects. Objects
 * reached twice are printed twice; cycles are an error of JSON.stringify, as for ordinary objects.
 */
export function toJson(value: unknown): unknown {
  return new Conversion(true, MAX_WALK_NODES).run(value)
}

interface Pending {
  readonly view: Located
  readonly made: object
}

class Conversion {
  readonly #json: boolean
  readonly #maxNodes: number
  #nodes = 0
  readonly #made = new Map<Codec, Map<number, object>>()
  #queue: Pending[] = []
  readonly #texts: TextBudget
  /** Whether what is met came out of a view. */
  #isView: boolean
  readonly #read = new Map<Codec, Map<number, unknown>>()
  /** What was noted inside of reads, the latest last: one that is disturbed starts over without it. */
  readonly #noted: Array<readonly [of: Map<number, unknown>, address: number]> = []
  /** Reads of something shared that are under way, one inside of the other. */
  #depth = 0

  /** @param isView whether what is converted came out of a view. */
  constructor(json: boolean, maxNodes: number, texts = new TextBudget(), isView = false) {
    this.#json = json
    this.#texts = texts
    this.#isView = isView
    this.#maxNodes = maxNodes
  }

  run(value: unknown): unknown {
    const result = this.#convert(value)
    for (let next = this.#queue.pop(); next !== undefined; next = this.#queue.pop()) this.#fill(next.view, next.made)
    return result
  }

  #convert(value: unknown): unknown {
    if (++this.#nodes > this.#maxNodes) throw new RpcError('RESOURCE_EXHAUSTED', `more than ${this.#maxNodes} objects and elements; raise maxNodes if it is legitimate`)
    if (typeof value === 'bigint') return this.#json ? String(value) : value
    if (typeof value === 'string') this.#spend(value)
    if (typeof value !== 'object' || value === null) return value
    const view = asView(value)
    if (view !== undefined) {
      this.#isView = true
      this.#texts.meet(view[REGION])
    } else this.#spend(value)
    if (view !== undefined) return (view[TYPE] as AnyType).kind === 'shared' ? this.#convertShared(view) : this.#convertView(view)
    if (value instanceof Uint8Array) return this.#json ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') : value
    if (this.#json && ArrayBuffer.isView(value)) return Array.from(value as unknown as Iterable<number | bigint>, (number) => typeof number === 'bigint' ? String(number) : number)
    return isVariant(value) ? this.#convertVariant(value) : value
  }

  /** Of a union; of anything else that looks like one, as it is. */
  #convertVariant(variant: { readonly kind: string, readonly value: unknown }): object {
    const value = this.#convert(variant.value)
    return value === variant.value ? variant : { kind: variant.kind, value }
  }

  /** All that is reached from something shared is converted inside of its read, but what is known already: pointers lead out of it, and back. */
  #convertShared(view: Located): unknown {
    const read = known(this.#read, codecOf(view[TYPE] as AnyType))
    const address = view[REGION].addressOf(view[WORD])
    if (!read.has(address)) {
      if (this.#depth === MAX_NESTING) throw new RpcError('INVALID_ARGUMENT', `something shared is reached through more than ${MAX_NESTING} others`)
      const [queue, nodes, noted, restart] = [this.#queue, this.#nodes, this.#noted.length, this.#texts.again()]
      this.#depth++
      try {
        this.#note(read, address, (view as unknown as SharedView<unknown>).read((content) => {
          restart()
          for (const [of, at] of this.#noted.splice(noted)) of.delete(at)
          this.#nodes = nodes
          this.#queue = []
          return this.run(content)
        }))
      } finally {
        this.#queue = queue
        if (--this.#depth === 0) this.#noted.length = 0
      }
    }
    return read.get(address)
  }

  #note<V>(of: Map<number, V>, address: number, made: V): void {
    of.set(address, made)
    if (this.#depth > 0) this.#noted.push([of, address])
  }

  // What is no view, and not out of one, is nobody else's.
  #spend(value: unknown): void {
    if (!this.#isView) return
    if (typeof value === 'string') this.#texts.spend(value.length)
    else if (ArrayBuffer.isView(value)) this.#texts.spend(value.byteLength)
  }

  #convertView(view: Located): object {
    if (isJson(view)) {
      const reader = new PlainReader(this.#maxNodes, this.#texts, this.#nodes)
      const made = reader.container(view[REGION], view[WORD], tagOf(view))
      this.#nodes = reader.visited
      return made
    }
    const codec = codecOf(view[TYPE] as AnyType)
    const all = known(this.#made, codec)
    const address = view[REGION].addressOf(view[WORD])
    let made = all.get(address)
    if (made === undefined) {
      made = this.#empty(codec.type.kind)
      this.#note(all, address, made)
      this.#queue.push({ view, made })
    }
    return made
  }

  #empty(kind: string): object {
    if (kind === 'list' || kind === 'array') return []
    if (kind === 'set') return this.#json ? [] : new Set<unknown>()
    return (kind === 'map' || kind === 'sortedMap') && !this.#json ? new Map<unknown, unknown>() : {}
  }

  #key<K>(key: K): K {
    this.#spend(key)
    return key
  }

  #fill(view: Located, made: object): void {
    const type = view[TYPE] as AnyType
    if (type.kind === 'set') {
      for (const key of view as unknown as SetView<unknown>) {
        if (made instanceof Set) made.add(this.#key(key))
        else (made as unknown[]).push(this.#convert(key))
      }
      return
    }
    if (Array.isArray(made)) {
      const sequence = view as unknown as SequenceView<unknown>
      for (let i = 0; i < sequence.length; i++) made.push(this.#convert(sequence.at(i)))
      return
    }
    if (type.kind === 'map' || type.kind === 'sortedMap') {
      for (const [key, value] of (view as unknown as MapView<unknown, unknown>).entries()) {
        if (made instanceof Map) made.set(this.#key(key), this.#convert(value))
        else define(made, String(this.#key(key)), this.#convert(value))
      }
      return
    }
    for (const name of codecOf(type).fieldNames) {
      const value = this.#convert(Reflect.get(view, name))
      if (value !== undefined || !this.#json) define(made, name, value)
    }
  }
}

/** What is known of a type, by address. */
function known<V>(all: Map<Codec, Map<number, V>>, codec: Codec): Map<number, V> {
  let of = all.get(codec)
  if (of === undefined) {
    of = new Map<number, V>()
    all.set(codec, of)
  }
  return of
}

// A map's key may be `__proto__`, which plain assignment would not store.
function define(object: object, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  else Reflect.set(object, key, value)
}

function isVariant(value: object): value is { readonly kind: string, readonly value: unknown } {
  return 'kind' in value && 'value' in value
}
